/* Settings to Kubernetes objects, from templates (project/overlay.h): a function of the settings, the templates and the build's facts, without the network.
 *
 * The tree: {"kind": "kubernetes/1", "service", "env", "namespace": NS or null (the context's), "image": "REPO@sha256:..", "payload": "native",
 * "answers": the server's image, when it is not ours, "has_split": may the stable version hand requests on?, "ports": {"http", "control": null without the runner}, "service_port", "replicas": scale.min,
 * "has_autoscaler", "memory_needed_bytes": as build measured, when it did, "control_secret": NAME of a Secret with the key `key`, "stable": [objects in the order of applying], "canary": [the same]}.
 *
 * Both lists come from the same files, rendered with this.role "stable" and "canary". Every object carries our labels; a template that lacks them gets
 * them, one that says otherwise is refused. */
#pragma once

#include "target/target.h"
#include "tmpl/tmpl.h"

#define OBJECTS_TEMPLATES "kubernetes"
#define OBJECTS_LABEL_SERVICE "mlctl.dev/service"
#define OBJECTS_LABEL_ENV "mlctl.dev/env"
#define OBJECTS_LABEL_ROLE "mlctl.dev/role"
#define OBJECTS_LABEL_REVISION "mlctl.dev/revision"

/* context->settings must be there. `facts`: of the build; NULL: nothing was built, and memory that nobody set gets no limit. ERR_CONFIG,
 * ERR_INVALID with the template's place. origins (may be NULL): paths begin with "stable[0]." or "canary[0]."; the array is the caller's
 * (tmpl_origins_clear), its texts the document's. */
int objects_render(const struct target_context *context, const struct revision *revision, const struct value *facts, struct document *document,
	struct value **out, struct tmpl_origins *origins, struct err *err);

/* What templates may ask for, a line each, for `help templates`. */
void objects_reference(struct buf *out);
/* The same, and no object is held against the API's schemas: for whoever wants to tell all that is wrong, not the first. */
int objects_render_unchecked(const struct target_context *context, const struct revision *revision, const struct value *facts,
	struct document *document, struct value **out, struct tmpl_origins *origins, struct err *err);
