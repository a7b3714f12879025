/* What templates of target kubernetes may ask for: the settings as mlctl.yaml names them, typed as Kubernetes wants them, and `this`, what mlctl works
 * out. Pure. */
#pragma once

#include "target/target.h"

struct kubernetes_input {
	struct document *document; /* owns the rest; its root is the input */
	const char *name;          /* of the Deployment: NAME or NAME-canary */
	char image[768];           /* "repository@sha256:..." */
	char control_secret[80];
	int64_t port, control_port, replicas, service_port; /* control_port 0: none */
	bool has_split, has_autoscaler, is_native, is_guarded;
	const struct value *labels, *pod_labels; /* what every object, and a Deployment and its pods, must carry */
};
int kubernetes_input_make(const struct target_context *context, const struct revision *revision, const struct value *facts, bool is_canary,
	struct kubernetes_input *out, struct err *err);
void kubernetes_input_clear(struct kubernetes_input *input);

/* The setting that decides a value of `this` ("port": "serve.port"); NULL: mlctl itself does. */
const char *kubernetes_input_setting(const char *name);

/* The memory that a pod is given for a measured peak. */
int64_t kubernetes_memory_for(int64_t peak_bytes);
