/* A kubeconfig: read and chosen from, or refused with a place; no file of it is opened and nothing is run. What follows the first NUL is a
 * second file, so that merging is met as well. */
#include "kube/config.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(const struct kube_config *config) {
	assert(config->server[0] && config->namespace_[0] && config->source);
	assert(!config->certificate == !config->key.text);
	assert(!(config->token.text && config->basic.text));
	assert(!config->as ? !config->as_groups.count : true);
	for (const char *c = config->token.text; c && *c; c++)
		assert((unsigned char) *c > ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	struct str second = {0}, all = {(const char *) bytes, len}, first = str_cut(all, '\0', &second);
	struct document *files[2] = {0};
	struct err err = {0};
	struct env env = {0};
	struct redactor *redact = redactor_new();
	size_t count = 0;
	int rc = kube_config_parse("/f/one", first, &files[0], &err);
	count = rc == 0;
	if (rc == 0 && second.len) {
		rc = kube_config_parse("/f/two", second, &files[1], &err);
		count += rc == 0;
	}
	struct kube_config *config = NULL;
	const struct kube_config_options options = {.env = &env, .clock = &clock_system, .redact = redact};
	if (rc == 0)
		rc = kube_config_select(files, count, &options, false, &config, &err);
	assert(rc == 0 ? config && !err.code : !config && err.code == ERR_CONFIG && err.message[0] && err.at[0]);
	if (config)
		check(config);
	if (config && config->exec)
		assert(kube_exec_check(config->exec, &env, &(struct err){0}) != 0);
	kube_config_free(config);
	for (size_t i = 0; i < count; i++)
		document_free(files[i]);
	redactor_free(redact);
	return 0;
}
