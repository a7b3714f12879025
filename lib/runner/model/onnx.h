/* Reads an ONNX model (onnx.proto3, IR versions 3 to 13): a bounded reader of exactly these messages. Unknown fields pass, as protobuf wants;
 * every length is checked against what encloses it before it is used.
 *
 * Tensors in other files ("external data") are read beneath the model's own folder only, never through a symbolic link. */
#pragma once

#include "runner/model/graph.h"

#define ONNX_BYTES_MAX ((int64_t) 2147483647) /* protobuf's own limit */

/* `folder`: a descriptor of the model's folder, or -1 when external data is refused. `bytes` must outlive the graph. ERR_INVALID says where. */
int onnx_read(struct str bytes, int folder, struct arena *memory, struct graph *graph, struct err *err);
/* ONNX's number of an element type (onnx.proto3, TensorProto.DataType); DTYPE_NONE for one that is not supported. */
enum dtype onnx_dtype(int64_t number);
const char *onnx_dtype_name(int64_t number); /* for messages, also of unsupported ones: "float16" */
