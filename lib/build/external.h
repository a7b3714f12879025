/* Which files an ONNX model keeps its weights in. Reads the protobuf's structure only, by pread: lengths are skipped, weights are not read.
 */
#pragma once

#include "base/str.h"

#define EXTERNAL_FILES_MAX 10000
#define EXTERNAL_DEPTH_MAX 32	     /* graphs inside of nodes inside of graphs */
#define EXTERNAL_FIELDS_MAX 10000000 /* of one model; what is beyond is no model */

/* Appends each file once, as the model writes it (relative to its folder). ERR_INVALID: not a protobuf that ends where it says, or a
 * location that is absolute or leads up. path: where it is; shown: how messages name it. */
int external_list(const char *path, const char *shown, struct texts *out, struct err *err);
