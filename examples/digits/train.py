"""Trains the three models of this folder and writes their files beside this script.

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
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).resolve().parent
SEED = 7
GOLDEN_SIZES = [1, 3, 2, 1, 2]  # rows in each line of golden.jsonl
TRAFFIC_LINES = 150


def to_onnx(pipeline, doc):
    """The pipeline as ONNX: probabilities as a tensor (no zipmap), outputs `label` and `probability`."""
    model = convert_sklearn(
        pipeline,
        name="digits",
        doc_string=doc,
        initial_types=[("features", FloatTensorType([None, 64]))],
        options={"zipmap": False},
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    for names in [node.output for node in model.graph.node] + [node.input for node in model.graph.node]:
        names[:] = ["probability" if name == "probabilities" else name for name in names]
    model.graph.output[1].name = "probability"
    model.opset_import.sort(key=lambda opset: opset.domain)  # skl2onnx's order changes from run to run
    return model.SerializeToString(deterministic=True)


def run(model, rows):
    """The labels and the probabilities ONNX Runtime gives for these rows."""
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(["label", "probability"], {"features": rows})


def predictions(label, probability):
    """One dictionary a row, keyed by the model's output names; float32 as its shortest exact text."""
    return [{"label": int(a), "probability": [float(str(x)) for x in b]} for a, b in zip(label, probability)]


def pixels(row):
    return [int(x) for x in row]


def write_lines(path, objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(o, allow_nan=False) + "\n" for o in objects))


def write_version(folder, model, rows, label, probability):
    """Writes model.onnx and its golden file: the rows, and the answers that are expected of it."""
    lines, start = [], 0
    for size in GOLDEN_SIZES:
        part = slice(start, start + size)
        lines.append({"rows": [pixels(r) for r in rows[part]],
                      "predictions": predictions(label[part], probability[part]), "tolerance": 1e-4})
        start += size
    write_lines(folder / "golden.jsonl", lines)
    (folder / "model.onnx").write_bytes(model)


def main():
    x, y = load_digits(return_X_y=True)  # 8x8 pixels, 0 white to 16 black
    x = x.astype(np.float32)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=SEED, stratify=y)
    traffic = x_test[:TRAFFIC_LINES]
    golden = x_test[TRAFFIC_LINES:TRAFFIC_LINES + sum(GOLDEN_SIZES)]
    write_lines(HERE / "traffic.jsonl", [{"rows": [pixels(r)]} for r in traffic])

    def report(doc, model):
        label, probability = run(model, x_test)
        assert np.isfinite(probability).all()
        print(f"{doc}: {len(model)} bytes; {(label == y_test).mean():.1%} of {len(y_test)} test digits right")

    for folder, doc, network in (
            (HERE, "v1: scaler, network 64-16-10",
             MLPClassifier((16,), max_iter=600, random_state=SEED)),
            (HERE / "versions/v2", "v2: scaler, network 64-128-64-10",
             MLPClassifier((128, 64), alpha=1.0, max_iter=600, random_state=SEED))):
        model = to_onnx(make_pipeline(StandardScaler(), network).fit(x_train, y_train), doc)
        write_version(folder, model, golden, *run(model, golden))
        report(doc, model)

    # The mistake: the pixels were divided by 16 in the notebook, before the pipeline, and the golden
    # answers were copied from the notebook. The model itself never learns of the 16.
    doc = "v3: network 64-32-10 on pixels of 0 to 1"
    notebook = make_pipeline(MLPClassifier((32,), alpha=0.1, max_iter=600, random_state=SEED))
    notebook.fit(x_train / 16, y_train)
    print(f"v3 in the notebook: {notebook.score(x_test / 16, y_test):.1%} right")
    model = to_onnx(notebook, doc)
    believed = notebook.predict(golden / 16), notebook.predict_proba(golden / 16).astype(np.float32)
    write_version(HERE / "versions/v3-refused", model, golden, *believed)
    wrong = np.abs(run(model, golden)[1] - believed[1]).max(axis=1) > 1e-3
    assert wrong.any()
    print(f"v3: {wrong.sum()} of {len(wrong)} golden rows differ")
    report(doc, model)


if __name__ == "__main__":
    main()
