#!/usr/bin/env python3
"""Makes the small models of this folder and ONNX Runtime's answers to them (NAME.onnx, NAME.io.json), which test_runner_models compares with.

Needs: pip install onnx onnxruntime numpy. The results are committed; run it again only when a case is added.
in0__NAME / out0__NAME are one row, in1__ / out1__ several. NaN and infinities are the texts "nan", "inf" and "-inf".
"""
import json
import math
import os

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
ML, MS = "ai.onnx.ml", "com.microsoft"
random = np.random.default_rng(7)


def plain(value):
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, dict):
        return json.dumps({str(k): v for k, v in value.items()})
    return value


def kind(array):
    return T.STRING if array.dtype == object else h.np_dtype_to_tensor_dtype(array.dtype)


def model(name, nodes, inputs, outputs, constants=(), opset=17, ml=3, ir=8, rows=True):
    """inputs: {name: array of several rows}; outputs: {name: type}. The first row alone is the first case."""
    shapes = {k: ([None] + list(v.shape[1:]) if rows else list(v.shape)) for k, v in inputs.items()}
    graph = h.make_graph(
        nodes, name,
        [h.make_tensor_value_info(k, kind(v), shapes[k]) for k, v in inputs.items()],
        [h.make_tensor_value_info(k, t, None) for k, t in outputs.items()],
        [numpy_helper.from_array(v, k) for k, v in dict(constants).items()])
    opsets = [h.make_opsetid("", opset), h.make_opsetid(ML, ml), h.make_opsetid(MS, 1)]
    m = h.make_model(graph, opset_imports=opsets, ir_version=ir)
    path = os.path.join(HERE, name)
    onnx.save(m, path + ".onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path + ".onnx", options, providers=["CPUExecutionProvider"])
    io = {}
    cases = [{k: v[:1] for k, v in inputs.items()}, inputs] if rows else [inputs]
    for i, case in enumerate(cases):
        for k, v in case.items():
            io[f"in{i}__{k}"] = plain(v)
        for out, v in zip(session.get_outputs(), session.run(None, case)):
            io[f"out{i}__{out.name}"] = plain(v)
    with open(path + ".io.json", "w") as f:
        f.write(json.dumps(io) + "\n")


def floats(*shape):
    return random.normal(size=shape).astype(np.float32)


def texts(*items):
    return np.array([[t] for t in items], dtype=object)


def N(op, inputs, outputs, domain="", **attributes):
    return h.make_node(op, inputs.split(), outputs.split(), domain=domain, **attributes)


def arithmetic():
    for name, dtype, t in (("float", np.float32, T.FLOAT), ("double", np.float64, T.DOUBLE), ("int64", np.int64, T.INT64), ("int32", np.int32, T.INT32)):
        x = (random.normal(size=(5, 4)) * 8).astype(dtype)
        y = (random.normal(size=(5, 1)) * 8).astype(dtype)
        y[y == 0] = 3
        row = np.array([3, -2, 1, 7], dtype=dtype)
        ops = ["Add", "Sub", "Mul", "Div", "Max", "Min"] + (["Sum"] if t in (T.FLOAT, T.DOUBLE) else [])
        nodes = [N(op, "X Y", f"xy_{op}") for op in ops] + [N(op, "X row", f"xr_{op}") for op in ops]
        outs = {f"{p}_{op}": t for p in ("xy", "xr") for op in ops}
        tests = ["Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"]
        nodes += [N(op, "X Y", f"t_{op}") for op in tests] + [N("Where", "t_Less X Y", "where")]
        outs.update({f"t_{op}": T.BOOL for op in tests})
        outs["where"] = t
        nodes += [N("Neg", "X", "neg"), N("Abs", "X", "abs")]
        outs.update({"neg": t, "abs": t})
        model(f"arithmetic_{name}", nodes, {"X": x, "Y": y}, outs, {"row": row})


def functions():
    x = np.concatenate([floats(4, 6) * 3, np.array([[0, -0.0, 1, 40, -40, np.nan]], np.float32)])
    ops = ["Exp", "Sigmoid", "Tanh", "Relu", "Floor", "Ceil", "Round", "Reciprocal", "Erf", "Softplus", "LeakyRelu", "Elu", "HardSigmoid", "Log", "Sqrt", "Neg", "Abs"]
    model("functions_float", [N(op, "X", op.lower()) for op in ops], {"X": x}, {op.lower(): T.FLOAT for op in ops})
    ops = ["Exp", "Sigmoid", "Tanh", "Relu", "Floor", "Ceil", "Reciprocal", "Log", "Sqrt"]
    model("functions_double", [N(op, "X", op.lower()) for op in ops], {"X": x.astype(np.float64)}, {op.lower(): T.DOUBLE for op in ops})
    model("clip", [N("Clip", "X low high", "both"), h.make_node("Clip", ["X", "", "high"], ["upper"]), N("Clip", "X low", "lower")],
          {"X": x}, {"both": T.FLOAT, "upper": T.FLOAT, "lower": T.FLOAT}, {"low": np.array(-1, np.float32), "high": np.array(1, np.float32)})
    model("clip_6", [N("Clip", "X", "y", min=-0.5, max=0.25), N("Softmax", "X", "s"), N("Unsqueeze", "X", "U", axes=[1]), N("Squeeze", "U", "q", axes=[1]),
                     N("ReduceSum", "X", "r", axes=[1], keepdims=0), N("Slice", "X", "c", starts=[1], ends=[-1], axes=[1])],
          {"X": x[:4]}, {"y": T.FLOAT, "s": T.FLOAT, "q": T.FLOAT, "r": T.FLOAT, "c": T.FLOAT}, opset=9, ml=1)
    b = random.integers(0, 2, size=(4, 3)).astype(bool)
    model("logic", [N("Not", "A", "n"), N("And", "A B", "a"), N("Or", "A B", "o"), N("Xor", "A B", "x"), N("Equal", "A B", "e")],
          {"A": b, "B": ~np.roll(b, 1, 0)}, {k: T.BOOL for k in "naoxe"})
    model("pow", [N("Pow", "X two", "p"), N("Pow", "X Y", "q")], {"X": np.abs(floats(3, 4)), "Y": floats(3, 4)}, {"p": T.FLOAT, "q": T.FLOAT},
          {"two": np.array(3, np.int64)})


def casts():
    x = np.array([[1.5, -2.7, 0, 100], [3.99, -0.5, 7, -120]], np.float32)
    nodes, outs = [], {}
    for name, t in (("float", T.FLOAT), ("double", T.DOUBLE), ("int64", T.INT64), ("int32", T.INT32), ("int8", T.INT8), ("bool", T.BOOL)):
        nodes += [N("Cast", "X", f"x_{name}", to=t), N("Cast", "I", f"i_{name}", to=t)]
        outs.update({f"x_{name}": t, f"i_{name}": t})
    nodes += [N("Cast", "I", "i_text", to=T.STRING), N("Cast", "S", "s_float", to=T.FLOAT), N("Cast", "S", "s_int", to=T.INT64)]
    outs.update({"i_text": T.STRING, "s_float": T.FLOAT, "s_int": T.INT64})
    model("cast", nodes, {"X": x, "I": np.array([[5, -7], [0, 12]], np.int64), "S": np.array([["12", "-3"], ["0", "7"]], dtype=object)}, outs)


def shapes():
    x = floats(4, 2, 3)
    c = {"shape": np.array([0, -1], np.int64), "ax1": np.array([1], np.int64), "idx": np.array([2, 0, -1], np.int64),
         "starts": np.array([0, 2], np.int64), "ends": np.array([2, -100], np.int64), "axes": np.array([1, 2], np.int64), "steps": np.array([1, -1], np.int64),
         "wide": np.array([1, 2, 3], np.int64), "col": np.array([[1.0], [2.0]], np.float32)}
    nodes = [N("Reshape", "X shape", "reshape"), N("Flatten", "X", "flat"), N("Flatten", "X", "flat2", axis=2), N("Unsqueeze", "X ax1", "un"),
             N("Squeeze", "un ax1", "sq"), N("Transpose", "X", "t", perm=[0, 2, 1]), N("Gather", "X idx", "g", axis=2), N("Slice", "X starts ends axes steps", "s"),
             N("Concat", "X g", "cat", axis=2), N("Shape", "X", "shp"), N("Shape", "X", "shp1", start=1), N("Identity", "X", "same"), N("Expand", "col wide", "ex"),
             N("ReduceSum", "X ax1", "rs", keepdims=0), N("ReduceMean", "X", "rm", axes=[-1]), N("ReduceMax", "X", "rx", axes=[1, 2], keepdims=0),
             N("ReduceMin", "X", "rn", axes=[2]), N("ReduceProd", "X", "rp", axes=[1]), N("ReduceSumSquare", "X", "rq", axes=[1]), N("ReduceL1", "X", "r1", axes=[1]),
             N("ReduceL2", "X", "r2", axes=[1]), N("ReduceLogSumExp", "X", "rl", axes=[2]), N("ReduceLogSum", "r1", "rg", axes=[2]),
             N("LpNormalization", "X", "lp1", p=1, axis=1), N("LpNormalization", "X", "lp2"), N("ArgMax", "X", "am", axis=2, keepdims=0), N("ArgMin", "X", "an", axis=1), N("Softmax", "X", "sm", axis=1),
             N("LogSoftmax", "X", "ls"), N("Mean", "X X", "mean"), N("ConstantOfShape", "shp1", "zero", value=h.make_tensor("v", T.INT64, [1], [9]))]
    outs = {o: T.FLOAT for n in nodes for o in n.output}
    outs.update({"shp": T.INT64, "shp1": T.INT64, "am": T.INT64, "an": T.INT64, "zero": T.INT64})
    nodes.append(h.make_node("Constant", [], ["k"], value_floats=[1.0, 2.0, 3.0]))
    nodes.append(N("Add", "X k", "plus"))
    outs["plus"] = T.FLOAT
    model("shapes", nodes, {"X": x}, outs, c)


def products():
    c = {"w": floats(3, 5), "b": floats(5), "wt": floats(5, 3), "v": floats(3), "batch": floats(2, 3, 4)}
    nodes = [N("MatMul", "X w", "m"), N("Gemm", "X w b", "g"), N("Gemm", "X wt b", "gt", transB=1, alpha=0.5, beta=2.0), N("MatMul", "X v", "mv"),
             N("MatMul", "X batch", "mb"), N("Gemm", "X w", "g0")]
    model("products", nodes, {"X": floats(4, 3)}, {o: T.FLOAT for n in nodes for o in n.output}, c)
    d = {k: v.astype(np.float64) for k, v in c.items()}
    model("products_double", nodes, {"X": floats(4, 3).astype(np.float64)}, {o: T.DOUBLE for n in nodes for o in n.output}, d)


def features():
    x = floats(5, 3)
    x[1, 2] = np.nan
    x[2] = 0
    i = random.integers(-3, 4, size=(5, 3)).astype(np.int64)
    nodes = [N("Scaler", "X", "sc", ML, offset=[1.0, 2.0, 3.0], scale=[0.5, 1.0, 2.0]), N("Scaler", "I", "si", ML, offset=[1.0], scale=[0.5]),
             N("Imputer", "X", "im", ML, imputed_value_floats=[9.0, 8.0, 7.0], replaced_value_float=float("nan")),
             N("Imputer", "X", "im0", ML, imputed_value_floats=[9.0], replaced_value_float=0.0),
             N("Imputer", "I", "ii", ML, imputed_value_int64s=[100], replaced_value_int64=0),
             N("Normalizer", "im", "n1", ML, norm="L1"), N("Normalizer", "im", "n2", ML, norm="L2"), N("Normalizer", "im", "nm", ML, norm="MAX"),
             N("Binarizer", "im", "bi", ML, threshold=0.1), N("ArrayFeatureExtractor", "X cols", "afe", ML),
             N("FeatureVectorizer", "X im", "fv", ML, inputdimensions=[3, 3])]
    outs = {o: T.FLOAT for n in nodes for o in n.output}
    outs["ii"] = T.INT64
    model("features", nodes, {"X": x, "I": i}, outs, {"cols": np.array([2, 0], np.int64)})


def categories():
    s, i = texts("b", "a", "zzz", "c", "Zürich"), np.array([[3], [1], [7], [2], [3]], np.int64)
    nodes = [N("OneHotEncoder", "S", "os", ML, cats_strings=["a", "b", "c", "Zürich"], zeros=1), N("OneHotEncoder", "I", "oi", ML, cats_int64s=[1, 2, 3], zeros=1),
             N("OneHotEncoder", "F", "of", ML, cats_int64s=[1, 2, 3], zeros=1),
             N("LabelEncoder", "S", "s_i", ML, keys_strings=["a", "b", "c"], values_int64s=[10, 20, 30], default_int64=-7),
             N("LabelEncoder", "I", "i_s", ML, keys_int64s=[1, 2, 3], values_strings=["eins", "zwei", "drei"], default_string="viele"),
             N("LabelEncoder", "S", "s_f", ML, keys_strings=["a", "b"], values_floats=[0.5, 1.5], default_float=-1.0),
             N("LabelEncoder", "F", "f_s", ML, keys_floats=[1.0, float("nan")], values_strings=["one", "nan"]),
             N("LabelEncoder", "I", "i_f", ML, keys_int64s=[1, 2], values_floats=[0.5, 1.5])]
    f = np.array([[3.0], [1.0], [np.nan], [2.0], [1.0]], np.float32)
    outs = {"os": T.FLOAT, "oi": T.FLOAT, "of": T.FLOAT, "s_i": T.INT64, "i_s": T.STRING, "s_f": T.FLOAT, "f_s": T.STRING, "i_f": T.FLOAT}
    model("categories", nodes, {"S": s, "I": i, "F": f}, outs)
    model("labels_1", [N("LabelEncoder", "S", "n", ML, classes_strings=["a", "b", "c"], default_int64=9), N("LabelEncoder", "I", "t", ML, classes_strings=["x", "y", "z"], default_string="?")],
          {"S": s, "I": i}, {"n": T.INT64, "t": T.STRING}, ml=1)
    model("labels_4", [N("LabelEncoder", "S", "n", ML, keys_tensor=numpy_helper.from_array(np.array(["a", "b"], dtype=object), "k"),
                         values_tensor=numpy_helper.from_array(np.array([4, 5], np.int64), "v"), default_tensor=numpy_helper.from_array(np.array([-2], np.int64), "d"))],
          {"S": s}, {"n": T.INT64}, ml=4)
    model("zipmap_text", [N("LinearClassifier", "X", "label p", ML, classlabels_strings=["no", "yes"], coefficients=[1.0, -2.0, -1.0, 2.0], intercepts=[0.1, -0.1], post_transform="SOFTMAX"),
                          N("Identity", "label", "out")], {"X": floats(4, 2)}, {"out": T.STRING, "p": T.FLOAT})


def linear():
    x = floats(6, 3)
    for post in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"):
        name = post.lower()
        scale = 0.02 if post == "PROBIT" else 1.0
        coefficients = [float(v) * scale for v in random.normal(size=9)]
        base = [0.2, 0.8, 0.7] if post == "PROBIT" else [0.1, -0.2, 0.3]
        # PROBIT cancels out near 0.5, where the last bit of the sum decides: stay away from it.
        nodes = [N("LinearClassifier", "X", "l3 p3", ML, classlabels_ints=[5, 6, 7], coefficients=coefficients, intercepts=base, post_transform=post),
                 N("LinearRegressor", "X", "r1", ML, coefficients=coefficients[:3], intercepts=base[:1], post_transform=post),
                 N("LinearRegressor", "X", "r3", ML, coefficients=coefficients, intercepts=base, targets=3, post_transform=post)]
        outs = {"l3": T.INT64, "p3": T.FLOAT, "r1": T.FLOAT, "r3": T.FLOAT}
        if post != "PROBIT":
            nodes.append(N("LinearClassifier", "X", "l1 p1", ML, classlabels_strings=["n", "y"], coefficients=coefficients[:3], intercepts=base[:1], post_transform=post))
            outs.update({"l1": T.STRING, "p1": T.FLOAT})
        model(f"linear_{name}", nodes, {"X": x}, outs)


def tree_lists(trees, depth, features, ids, modes, positive, missing):
    """Random complete trees; returns the attributes of nodes, and (tree, node, id, weight) of leaves."""
    nodes = {k: [] for k in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids", "missing_value_tracks_true", "hitrates")}
    leaves = []
    for tree in range(trees):
        for node in range(2 ** (depth + 1) - 1):
            leaf = node >= 2 ** depth - 1
            nodes["treeids"].append(tree)
            nodes["nodeids"].append(node)
            nodes["featureids"].append(0 if leaf else int(random.integers(0, features)))
            nodes["values"].append(0.0 if leaf else float(np.float32(round(random.normal(), 1))))
            nodes["modes"].append("LEAF" if leaf else modes[int(random.integers(0, len(modes)))])
            nodes["truenodeids"].append(0 if leaf else 2 * node + 1)
            nodes["falsenodeids"].append(0 if leaf else 2 * node + 2)
            nodes["missing_value_tracks_true"].append(0 if leaf or not missing else int(random.integers(0, 2)))
            nodes["hitrates"].append(1.0)
            if leaf:
                for i in ids:
                    w = float(np.float32(random.normal()))
                    leaves.append((tree, node, i, abs(w) * 0.3 if positive else w))
    return {f"nodes_{k}": v for k, v in nodes.items()}, leaves


def weights(prefix, leaves, ids_name=None):
    return {f"{prefix}_treeids": [x[0] for x in leaves], f"{prefix}_nodeids": [x[1] for x in leaves], ids_name or f"{prefix}_ids": [x[2] for x in leaves],
            f"{prefix}_weights": [x[3] for x in leaves]}


def trees():
    x = floats(24, 3).round(1)
    x[3, 1] = np.nan
    x[9] = np.nan
    every = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]
    for number, (modes, missing) in enumerate(((["BRANCH_LEQ"], False), (["BRANCH_LT"], True), (every, True), (["BRANCH_LEQ"], True))):
        nodes, leaves = tree_lists(4, 2, 3, [0], modes, False, missing)
        two, leaves2 = tree_lists(3, 2, 3, [0, 1], modes, False, missing)
        ops, outs = [], {}
        for function in ("SUM", "AVERAGE", "MIN", "MAX"):
            ops.append(N("TreeEnsembleRegressor", "X", f"one_{function}", ML, n_targets=1, aggregate_function=function, base_values=[0.5], **nodes, **weights("target", leaves)))
            ops.append(N("TreeEnsembleRegressor", "X", f"two_{function}", ML, n_targets=2, aggregate_function=function, **two, **weights("target", leaves2)))
            outs.update({f"one_{function}": T.FLOAT, f"two_{function}": T.FLOAT})
        model(f"trees_regressor_{number}", ops, {"X": x}, outs)
    for ids in ([0], [1], [0, 1]):
        for positive in (False, True):
            ops, outs = [], {}
            nodes, leaves = tree_lists(3, 2, 3, ids, ["BRANCH_LEQ"], positive, False)
            for base in ([], [0.25], [0.25, 0.25]):
                for post in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"):
                    n = f"{len(base)}_{post}"
                    extra = {"base_values": base} if base else {}
                    ops.append(N("TreeEnsembleClassifier", "X", f"l{n} p{n}", ML, classlabels_strings=["n", "y"], post_transform=post, **extra, **nodes, **weights("class", leaves)))
                    outs.update({f"l{n}": T.STRING, f"p{n}": T.FLOAT})
            model(f"trees_two_{''.join(map(str, ids))}_{'positive' if positive else 'mixed'}", ops, {"X": x}, outs)
    for ids in ([0, 1, 2], [0, 2]):
        nodes, leaves = tree_lists(3, 2, 3, ids, ["BRANCH_LEQ"], True, False)
        ops, outs = [], {}
        for base in ([], [0.25, 0.5, 0.125]):
            for post in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"):
                n = f"{len(base)}_{post}"
                extra = {"base_values": base} if base else {}
                ops.append(N("TreeEnsembleClassifier", "X", f"l{n} p{n}", ML, classlabels_int64s=[7, 8, 9], post_transform=post, **extra, **nodes, **weights("class", leaves)))
                outs.update({f"l{n}": T.INT64, f"p{n}": T.FLOAT})
        model(f"trees_three_{''.join(map(str, ids))}", ops, {"X": x}, outs)
    nodes, leaves = tree_lists(3, 2, 3, [0], ["BRANCH_LEQ"], False, False)
    w = weights("target", leaves)
    doubles = dict(nodes)
    del doubles["nodes_values"], doubles["nodes_hitrates"], w["target_weights"]
    ops = [N("TreeEnsembleRegressor", "X", "y", ML, n_targets=1,
             nodes_values_as_tensor=numpy_helper.from_array(np.array(nodes["nodes_values"], np.float64), "v"),
             target_weights_as_tensor=numpy_helper.from_array(np.array([x[3] for x in leaves], np.float64), "w"), **doubles, **w)]
    model("trees_double", ops, {"X": x.astype(np.float64)}, {"y": T.FLOAT})


def text():
    s = texts("The cat, the dog & THE Zürich-cat!", "", "a bb ccc dddd a_1", "ÀÉÎ straße 12.5 x", "one two one two one")
    nodes = [h.make_node("Reshape", ["S", "minus"], ["flat"]), N("StringNormalizer", "flat", "low", case_change_action="LOWER", is_case_sensitive=0, locale="C"),
             N("StringNormalizer", "flat", "up", case_change_action="UPPER", is_case_sensitive=0, locale="C")]
    outs = {"low": T.STRING, "up": T.STRING}
    model("text_case", nodes, {"S": s}, outs, {"minus": np.array([-1], np.int64)})
    for n, pattern in enumerate((r"[a-zA-Z0-9_]+", r"\b\w\w+\b", r"(?:a|bb|ccc?)+", r"[^ ,&!]{2,3}", r"\d+(\.\d+)?", r"o.?n?e|t[^x]o", r"\w+\W\w*")):
        nodes = [N("Tokenizer", "S", "tok", MS, mark=n % 2, mincharnum=1 + n % 2, pad_value="#", tokenexp=pattern)]
        model(f"text_pattern_{n}", nodes, {"S": s}, {"tok": T.STRING})
    model("text_separators", [N("Tokenizer", "S", "tok", MS, mark=0, mincharnum=2, pad_value="<pad>", separators=[" ", ",", "&"]),
                              N("Tokenizer", "S", "marked", MS, mark=1, mincharnum=1, pad_value="<pad>", separators=[" ", ",", "&"]),
                              N("Tokenizer", "S", "chars", MS, mark=0, mincharnum=1, pad_value="-", separators=[""]),
                              N("Tokenizer", "S", "marked_chars", MS, mark=1, mincharnum=1, pad_value="-", separators=[""])],
          {"S": s}, {"tok": T.STRING, "marked": T.STRING, "chars": T.STRING, "marked_chars": T.STRING})
    w = np.array([["a", "b", "a", "c", "a", "b"], ["c", "c", "a", "b", "x", "a"], ["x", "x", "x", "x", "x", "x"]], dtype=object)
    common = dict(ngram_counts=[0, 3], ngram_indexes=[0, 1, 2, 3, 5, 4], pool_strings=["a", "b", "c", "a", "b", "b", "a", "c", "a"], weights=[1.5, 2.0, 0.5, 3.0, 4.0, 5.0])
    nodes, outs = [], {}
    for mode in ("TF", "IDF", "TFIDF"):
        for low, high, skip in ((1, 1, 0), (1, 2, 0), (2, 2, 1), (1, 2, 2)):
            n = f"{mode}_{low}{high}{skip}"
            nodes.append(N("TfIdfVectorizer", "W", n, mode=mode, min_gram_length=low, max_gram_length=high, max_skip_count=skip, **common))
            outs[n] = T.FLOAT
    model("tfidf", nodes, {"W": w}, outs)
    model("tfidf_int", [N("TfIdfVectorizer", "I", "y", mode="TF", min_gram_length=1, max_gram_length=2, max_skip_count=0, ngram_counts=[0, 2], ngram_indexes=[0, 1, 2],
                          pool_int64s=[1, 2, 1, 2])], {"I": np.array([[1, 2, 1, 2], [2, 2, 3, 1]], np.int64)}, {"y": T.FLOAT})


if __name__ == "__main__":
    for make in (arithmetic, functions, casts, shapes, products, features, categories, linear, trees, text):
        make()
