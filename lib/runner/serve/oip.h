/* Open Inference Protocol v2, REST: the bodies of metadata and of infer. Field names are the specification's
 * (open_inference_rest.yaml: metadata_model_response, inference_request, inference_response). */
#pragma once

#include "data/value.h"
#include "runner/model/model.h"

struct oip_request {
	struct str id;      /* echoed when it was given: ptr is NULL else */
	uint64_t want;      /* outputs asked for; ~0 for all */
};

/* A request's tensors in the model's order, memory from `arena`. ERR_INVALID names the input, what came and what the model takes. */
int oip_decode(const struct model *model, const struct value *body, struct arena *arena, struct tensor inputs[MODEL_PORTS_MAX],
	struct oip_request *request, struct err *err);
void oip_encode(const struct model *model, const struct oip_request *request, const struct tensor *outputs, struct buf *out);
void oip_server_metadata(struct buf *out);
void oip_model_metadata(const struct model *model, struct buf *out);
/* [{"name":...,"datatype":...,"shape":[...]}, ...]; a map-list output has a column per key. */
void oip_ports(const struct port *ports, size_t count, struct buf *out);
#define OIP_VERSION "1" /* an image holds one version of its model */
