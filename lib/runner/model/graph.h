/* A model as its file says it, before anything is decided: nodes, attributes, constants, ports. onnx.c makes it from ONNX; nothing here is kept
 * after the load but what operators copied and the constants' data.
 *
 * Texts and raw data point into the file's bytes, everything else into the arena given to the reader. */
#pragma once

#include "runner/tensor/tensor.h"

#define GRAPH_NODES_MAX 65536
#define GRAPH_CONSTANTS_MAX 65536
#define GRAPH_ATTRIBUTES_MAX 128 /* of one node */
#define GRAPH_OPERANDS_MAX 4096  /* inputs of one node */
#define GRAPH_OUTPUTS_MAX 16     /* outputs of one node */
#define GRAPH_OPSETS_MAX 32
#define GRAPH_NAME_BYTES_MAX 4096

enum attribute_kind { ATTRIBUTE_FLOAT = 1, ATTRIBUTE_INT, ATTRIBUTE_TEXT, ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_FLOATS, ATTRIBUTE_INTS, ATTRIBUTE_TEXTS };

struct attribute {
	struct str name;
	enum attribute_kind kind; /* 0: of a kind that is not read (graphs, sparse tensors) */
	bool is_read;             /* an operator asked for it; one that nobody asked for is not supported */
	float number;
	int64_t integer;
	struct str text;
	struct tensor tensor;
	size_t count; /* of the list that `kind` names */
	float *numbers;
	int64_t *integers;
	struct str *texts;
};

struct node {
	struct str name, domain, op;
	size_t inputs_count, outputs_count, attributes_count;
	struct str *inputs, *outputs; /* an empty name: left out */
	struct attribute *attributes;
};

struct constant {
	struct str name;
	struct tensor tensor;
};

struct graph_port {
	struct str name;
	enum dtype dtype;
	struct shape shape; /* rank -1: the file does not say */
	bool is_map_list;
};

struct opset {
	struct str domain; /* "" is the default, also written "ai.onnx" */
	int version;
};

struct graph {
	size_t opsets_count, nodes_count, constants_count, inputs_count, outputs_count;
	struct opset opsets[GRAPH_OPSETS_MAX];
	struct node *nodes;
	struct constant *constants;
	struct graph_port *inputs, *outputs;
};
