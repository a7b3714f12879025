"""Trains the two models of this folder and writes their files beside this script.

Not needed to use the example: every file it writes is committed.
It documents where they come from; the seeds are fixed, and these versions gave these bytes:
Python 3.11.7, scikit-learn 1.9.1, skl2onnx 1.20.0, onnx 1.23.2, onnxruntime 1.31.1, numpy 2.4.6.

    pip install scikit-learn==1.9.1 skl2onnx==1.20.0 onnx==1.23.2 onnxruntime==1.31.1
    python train.py
"""
import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

HERE = Path(__file__).resolve().parent
SEED = 7
GOLDEN_SIZES = [1, 3, 2, 1, 2]  # rows in each line of golden.jsonl
TRAFFIC_LINES = 120
# The model's inputs, in the order of the training table: ten columns, two of them words.
NUMBERS = ["age", "blood_pressure", "tc", "ldl", "hdl", "tch", "ltg", "glucose"]
WORDS = ["sex", "weight"]
COLUMNS = NUMBERS + WORDS


def table():
    """The bundled data with words in it: one object array with the columns above, and the target."""
    data = load_diabetes(scaled=False)
    column = dict(zip(data.feature_names, data.data.T.astype(np.float32)))
    sex = np.array(["1", "2"], dtype=object)[column["sex"].astype(int) - 1]  # the data set does not say which is which
    names = np.array(["underweight", "normal", "overweight", "obese"], dtype=object)
    weight = names[np.digitize(column["bmi"], [18.5, 25, 30])]  # the WHO's classes of the body mass index
    numbers = [column[c].astype(object) for c in ("age", "bp", "s1", "s2", "s3", "s4", "s5", "s6")]
    return np.column_stack(numbers + [sex, weight]), data.target


def pipeline(regressor):
    return make_pipeline(
        ColumnTransformer([
            ("numbers", StandardScaler(), list(range(len(NUMBERS)))),
            ("words", OneHotEncoder(handle_unknown="ignore"), list(range(len(NUMBERS), len(COLUMNS)))),
        ]), regressor)


def to_onnx(fitted, doc):
    """The pipeline as ONNX: one input a column, and one number a row as output `progression`."""
    model = convert_sklearn(
        fitted,
        name="diabetes",
        doc_string=doc,
        initial_types=[(c, FloatTensorType([None, 1])) for c in NUMBERS]
        + [(c, StringTensorType([None, 1])) for c in WORDS],
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    # The converter's output has the shape [rows, 1]; a plain number a row is nicer to read.
    graph = model.graph
    graph.initializer.append(helper.make_tensor("one_a_row", TensorProto.INT64, [1], [-1]))
    graph.node.append(helper.make_node("Reshape", [graph.output[0].name, "one_a_row"], ["progression"]))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("progression", TensorProto.FLOAT, [None]))
    model.opset_import.sort(key=lambda opset: opset.domain)  # skl2onnx's order changes from run to run
    return model.SerializeToString(deterministic=True)


def run(model, rows):
    """What ONNX Runtime answers to these rows: a float32 each."""
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    feed = {c: rows[:, [i]].astype(np.float32 if c in NUMBERS else object) for i, c in enumerate(COLUMNS)}
    return session.run(["progression"], feed)[0]


def named(row):
    """A row as a request has it; float32 as its shortest exact text."""
    return {c: float(str(np.float32(v))) if c in NUMBERS else v for c, v in zip(COLUMNS, row)}


def write_lines(path, objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(o, allow_nan=False) + "\n" for o in objects))


def write_version(folder, model, rows):
    """Writes model.onnx and its golden file: rows, and what this model answers to them."""
    lines, start = [], 0
    for size in GOLDEN_SIZES:
        part = rows[start:start + size]
        lines.append({"rows": [named(r) for r in part],
                      "predictions": [{"progression": float(str(v))} for v in run(model, part)],
                      "tolerance": 1e-3})  # answers are about 150: the seventh digit is float32's last
        start += size
    write_lines(folder / "golden.jsonl", lines)
    (folder / "model.onnx").write_bytes(model)


def main():
    x, y = table()
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=SEED)
    write_lines(HERE / "traffic.jsonl", [{"rows": [named(r)]} for r in x_test[:TRAFFIC_LINES]])
    golden = x_test[TRAFFIC_LINES:TRAFFIC_LINES + sum(GOLDEN_SIZES)]
    for folder, doc, regressor in (
            (HERE, "v1: categories, scaler, regression tree", DecisionTreeRegressor(max_depth=4, random_state=SEED)),
            (HERE / "versions/v2", "v2: categories, scaler, ridge regression", Ridge(alpha=10.0))):
        fitted = pipeline(regressor).fit(x_train, y_train)
        model = to_onnx(fitted, doc)
        write_version(folder, model, golden)
        answers = run(model, x_test)
        assert np.isfinite(answers).all()
        print(f"{doc}: {len(model)} bytes; off by {np.abs(answers - y_test).mean():.1f} on average, "
              f"R2 {fitted.score(x_test, y_test):.2f}")


if __name__ == "__main__":
    main()
