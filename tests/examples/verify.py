"""Replays the examples' golden and traffic files on ONNX Runtime: an oracle that is not ours.

In no tier of the tests, because it needs Python: pip install onnx onnxruntime numpy, then python tests/examples/verify.py
Prints TAP; exit code 1 if a version does not behave as its README says.
"""
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MODEL_BYTES_MAX = 300_000


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def feed(session, rows):
    """A request's rows as ONNX Runtime's inputs: null is NaN, a row of several inputs is an object."""
    inputs = session.get_inputs()
    if len(inputs) == 1:
        return {inputs[0].name: np.array(rows, dtype=np.float32)}
    assert all(set(row) == {i.name for i in inputs} for row in rows)
    return {i.name: np.array([[row[i.name]] for row in rows],
                             dtype=object if i.type == "tensor(string)" else np.float32) for i in inputs}


def answer(session, rows):
    names = [o.name for o in session.get_outputs()]
    return [dict(zip(names, row)) for row in zip(*session.run(names, feed(session, rows)))]


def distance(got, expected):
    """The largest difference, relative where the expected number is above 1; NaN counts as infinite."""
    assert len(got) == len(expected)
    worst = 0.0
    for one, two in zip(got, expected):
        assert set(one) == set(two)
        for name, value in two.items():
            want = np.array(value, dtype=np.float64)
            away = np.abs(np.array(one[name], dtype=np.float64) - want) / np.maximum(1.0, np.abs(want))
            worst = max(worst, float(np.nan_to_num(away, nan=np.inf).max()))
    return worst


def check(version, traffic):
    """None, or what is wrong with this version."""
    model = version / "model.onnx"
    if model.stat().st_size > MODEL_BYTES_MAX:
        return f"{model.stat().st_size} bytes, more than {MODEL_BYTES_MAX}"
    onnx.checker.check_model(onnx.load(model), full_check=True)
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    golden = lines(version / "golden.jsonl")
    passed = sum(distance(answer(session, g["rows"]), g["predictions"]) <= g["tolerance"] for g in golden)
    if (passed == len(golden)) == (version.name == "v3-refused"):
        return f"golden {passed}/{len(golden)}"
    for number, request in enumerate(traffic, 1):
        values = [v for row in answer(session, request["rows"]) for v in row.values()]
        nan = any(np.isnan(v).any() for v in values)
        gap = any(v is None for row in request["rows"] for v in (row.values() if isinstance(row, dict) else row))
        if nan != (gap and version.name == "v3-bad"):
            return f"traffic line {number}: NaN {nan}, missing value {gap}"
    return None


def main():
    versions = sorted(path.parent for path in EXAMPLES.rglob("model.onnx"))
    print(f"1..{len(versions)}")
    failed = 0
    for number, version in enumerate(versions, 1):
        name = version.relative_to(EXAMPLES)
        wrong = check(version, lines(EXAMPLES / name.parts[0] / "traffic.jsonl"))
        failed += wrong is not None
        print(f"ok {number} - {name}" if wrong is None else f"not ok {number} - {name}: {wrong}")
    return 1 if failed or not versions else 0


if __name__ == "__main__":
    sys.exit(main())
