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
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).resolve().parent
SEED = 7
GOLDEN_SIZES = [1, 3, 2, 1, 2]  # rows in each line of golden.jsonl
TRAFFIC_LINES = 151  # odd, so that a client that takes every tenth line in a circle meets all of them


def with_gaps(rows, chosen, rng):
    """A copy of rows in which each chosen row lacks one to three measurements (NaN)."""
    rows = rows.copy()
    for i in chosen:
        rows[i, rng.choice(rows.shape[1], rng.randint(1, 4), replace=False)] = np.nan
    return rows


def one_in_five(lines, rng):
    """Which lines of the traffic have a gap: one in every five, at a place in the five that changes.

    Among the lines 0, 10, 20 ... (and 1, 11, 21 ...) it is one in five too: a canary that
    is given exactly each tenth request must see the same share of gaps as everybody else.
    """
    tens = lines // 10
    early = rng.permutation(np.resize(np.arange(5), tens))
    late = rng.permutation(np.resize(np.arange(5), tens))
    return sorted([10 * i + early[i] for i in range(tens)] + [10 * i + 5 + late[i] for i in range(tens)])


def to_onnx(pipeline, doc):
    """The pipeline as ONNX: probabilities as a tensor (no zipmap), outputs `label` and `probability`."""
    model = convert_sklearn(
        pipeline,
        name="breast-cancer",
        doc_string=doc,
        initial_types=[("features", FloatTensorType([None, 30]))],
        options={"zipmap": False},
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    for names in [node.output for node in model.graph.node] + [node.input for node in model.graph.node]:
        names[:] = ["probability" if name == "probabilities" else name for name in names]
    model.graph.output[1].name = "probability"
    model.opset_import.sort(key=lambda opset: opset.domain)  # skl2onnx's order changes from run to run
    return model.SerializeToString(deterministic=True)


def answer(model, rows):
    """What ONNX Runtime answers: one dictionary a row, keyed by the model's output names."""
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    label, probability = session.run(["label", "probability"], {"features": rows})
    return [{"label": int(a), "probability": numbers(b)} for a, b in zip(label, probability)]


def numbers(row):
    """float32 as the shortest text that reads back as the same float32; NaN as null."""
    return [None if np.isnan(x) else float(str(x)) for x in row]


def write_lines(path, objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(o, allow_nan=False) + "\n" for o in objects))


def write_version(folder, model, golden_rows):
    """Writes model.onnx and its golden file: rows, and what this model answers to them."""
    ends = np.cumsum(GOLDEN_SIZES)
    parts = [golden_rows[end - size:end] for size, end in zip(GOLDEN_SIZES, ends)]
    write_lines(folder / "golden.jsonl", [
        {"rows": [numbers(r) for r in part], "predictions": answer(model, part), "tolerance": 1e-4}
        for part in parts])
    (folder / "model.onnx").write_bytes(model)


def main():
    rng = np.random.RandomState(SEED)
    x, y = load_breast_cancer(return_X_y=True)  # y: 0 malignant, 1 benign
    x = x.astype(np.float32)  # what the model is given in production
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=SEED, stratify=y)

    # The data set is complete; the laboratory's is not: one row in five lacks some measurement.
    gaps = rng.choice(len(x_train), len(x_train) // 5, replace=False)
    x_gaps = with_gaps(x_train, gaps, rng)
    golden_rows = x_test[TRAFFIC_LINES:TRAFFIC_LINES + sum(GOLDEN_SIZES)]
    traffic_gaps = one_in_five(TRAFFIC_LINES, rng)
    traffic = with_gaps(x_test[:TRAFFIC_LINES], traffic_gaps, rng)
    truth = y_test[:TRAFFIC_LINES]

    v1 = make_pipeline(
        SimpleImputer(strategy="median"), StandardScaler(),
        LogisticRegression(C=0.01, max_iter=1000)).fit(x_gaps, y_train)
    v2 = make_pipeline(
        SimpleImputer(strategy="median"), StandardScaler(),
        GradientBoostingClassifier(n_estimators=200, max_depth=2, subsample=0.5, max_features=6,
                                   random_state=SEED)).fit(x_gaps, y_train)
    # The mistake: "drop the incomplete rows, then no imputer is needed". On complete rows, and the golden
    # rows are complete, it is better than v1. A row with a gap makes every number NaN.
    complete = ~np.isnan(x_gaps).any(axis=1)
    v3 = make_pipeline(
        StandardScaler(), LogisticRegression(C=1.0, max_iter=1000)).fit(x_gaps[complete], y_train[complete])

    write_lines(HERE / "traffic.jsonl", [{"rows": [numbers(r)]} for r in traffic])
    for folder, pipeline, doc in (
            (HERE, v1, "v1: median imputer, scaler, logistic regression"),
            (HERE / "versions/v2", v2, "v2: median imputer, scaler, gradient boosting"),
            (HERE / "versions/v3-bad", v3, "v3: scaler, logistic regression, trained on complete rows")):
        model = to_onnx(pipeline, doc)
        write_version(folder, model, golden_rows)
        probability = np.array([p["probability"] for p in answer(model, traffic)], dtype=float)
        nan = np.isnan(probability).any(axis=1)
        expected = traffic_gaps if pipeline is v3 else []
        assert list(np.flatnonzero(nan)) == list(expected), "NaN must come on exactly the rows with a gap"
        right = (probability[~nan].argmax(axis=1) == truth[~nan]).mean()
        loss = log_loss(truth[~nan], probability[~nan, 1])
        whole = (pipeline.predict(x_test) == y_test).mean()
        print(f"{doc}: {len(model)} bytes; traffic: {right:.1%} right, log loss {loss:.3f}, "
              f"NaN on {nan.sum()} of {len(nan)}; complete rows: {whole:.1%} right")


if __name__ == "__main__":
    main()
