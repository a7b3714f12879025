/* Settings to Kubernetes objects, from templates: pure. */
#pragma once

#include "target/target.h"
#include "tmpl/tmpl.h"

int objects_render(const struct target_context *context, const struct revision *revision, const struct value *facts, struct document *document,
	struct value **out, struct tmpl_origins *origins, struct err *err);
