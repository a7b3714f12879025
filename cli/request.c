#include "request.h"

#include "out.h"

#define GOLDEN_BYTES_MAX ((size_t) 8 * 1024 * 1024)

static void canary_of(const struct settings *settings, struct canary_settings *out) {
	const struct settings_canary *canary = &settings->rollout.canary;
	const struct settings_rollback *rollback = &settings->rollout.rollback;
	*out = (struct canary_settings){
		.is_none = !canary->is_on,
		.weight = canary->weight * 100,
		.for_ms = canary->for_ms,
		.max_ms = canary->max_ms,
		.requests_min = canary->requests_min,
		.error_rate_max = rollback->error_rate,
		.latency_p99_ms = rollback->latency_p99_ms,
		.health_failures_max = rollback->health_failures,
	};
}

/* --image REF@sha256:...: from the registry, no files needed. */
static int take_image(struct session *s, const char *image, struct deploy_request *request, struct err *err) {
	struct str digest, name = str_cut_last(str_of(image), '@', &digest);
	if (!digest.ptr || digest_parse(digest, &request->revision.image, err) != 0) {
		err_clear(err);
		err_set(err, ERR_USAGE, "--image %s: deploys are by digest", image);
		return err_fix(err, "--image %.*s@sha256:… (mlctl push prints it)", STR_ARGS(name));
	}
	struct str tag, repository = str_cut_last(name, ':', &tag);
	if (!tag.ptr || memchr(tag.ptr, '/', tag.len)) /* that was a port's colon */
		repository = name;
	if (!str_is(name, store_name(s->store)) && !str_is(repository, store_name(s->store))) {
		err_set(err, ERR_USAGE, "--image %s: releases of this service live in %s", image, store_name(s->store));
		return err_fix(err, "mlctl.yaml: image: %.*s", STR_ARGS(repository));
	}
	bool has = false;
	if (store_has_manifest(s->store, request->revision.image.text, NULL, &has, err) != 0)
		return -1;
	if (!has)
		return err_set(err, ERR_REGISTRY, "%s has no image %s", store_name(s->store), request->revision.image.text);
	return 0;
}

static int build_image(struct session *s, bool is_untested, struct request *request, struct err *err) {
	int64_t start = clock_mono_ms(s->cli->clock);
	if (session_build(s, is_untested, &request->build, err) != 0)
		return -1;
	const struct build *b = request->build;
	char took[NUM_HUMAN_MAX];
	const char *test = !b->has_test ? "not tested" : b->golden_total ? "golden examples answered" : "model loads";
	out_step(s->cli, "build", "%.19s…  %s%s, %s  %s", b->image.manifest.digest.text, b->commit_short ? b->commit_short : "no git",
		b->is_dirty ? "-dirty" : "", test, num_human_ms(clock_mono_ms(s->cli->clock) - start, took));
	request->deploy.revision.image = b->image.manifest.digest;
	request->deploy.image_index = b->image.index.digest;
	request->deploy.image_manifest_size = b->image.manifest.size;
	request->deploy.facts = b->facts->root;
	return 0;
}

static int read_golden(const struct session *s, char **out, struct err *err) {
	size_t len = 0;
	if (!s->settings->model.golden)
		return 0;
	AUTO_FREE char *path = project_path(s->project, s->settings->model.golden);
	return fs_read(path, GOLDEN_BYTES_MAX, out, &len, err);
}

/* The build's facts, and which place this goes to. */
static int complete_facts(struct session *s, struct request *request, struct err *err) {
	char place[80];
	struct document *facts = request->facts = document_new("facts");
	struct value *root = value_root_object(facts);
	value_each(fact, request->deploy.facts) {
		AUTO_FREE char *key = str_dup(fact->key);
		value_add_copy(facts, root, key, fact);
	}
	request->deploy.facts = root;
	if (!s->target->identity)
		return 0;
	if (s->target->identity(s->target_state, place, err) != 0)
		return -1;
	value_add_text(facts, root, "place", place);
	return 0;
}

static bool is_same_host(const char *a, const char *b) {
	struct str rest;
	return a && b && str_equal(str_cut(str_of(a), '/', &rest), str_cut(str_of(b), '/', &rest));
}

/* What a tag of another server's image names just now. */
static int ask_digest(struct session *s, const char *repository, const char *tag, struct digest *out, struct err *err) {
	struct http *http = NULL;
	struct store *store = NULL;
	bool has = false;
	if (cli_http(s->cli, &http, err) != 0)
		return -1;
	bool is_ours = is_same_host(repository, s->settings->image);
	const struct store_options options = {.http = http,
		.clock = s->cli->clock,
		.env = &s->cli->env,
		.redact = s->cli->redact,
		.log = &s->cli->log,
		.is_insecure = is_ours && s->settings->registry.is_insecure,
		.ca_file = is_ours && s->settings->registry.ca_file ? s->settings->registry.ca_file : env_get(&s->cli->env, "MLCTL_CA_FILE")};
	if (store_open(repository, &options, &store, err) != 0)
		return -1;
	int rc = store_has_manifest(store, tag, out, &has, err);
	store_close(store);
	if (rc == 0 && !has)
		return err_set(err, ERR_REGISTRY, "%s has no image with tag %s", repository, tag);
	return rc;
}

/* Another server's image goes out by its digest: what a tag names today may be something else tomorrow, and then it is another revision. */
static int pin_payload(struct session *s, struct request *request, struct err *err) {
	struct deploy_request *deploy = &request->deploy;
	const char *image = s->settings->payload.image;
	struct digest digest;
	if (!image)
		return 0;
	struct str pinned, tag, name = str_cut(str_of(image), '@', &pinned), repository = str_cut_last(name, ':', &tag);
	bool has_tag = tag.ptr && !memchr(tag.ptr, '/', tag.len);
	AUTO_FREE char *from = str_dup(has_tag ? repository : name), *word = has_tag ? str_dup(tag) : mem_text("latest");
	if (!pinned.ptr && ask_digest(s, from, word, &digest, err) != 0) {
		err_wrap(err, "payload.image: which image %s is", image);
		return err_fix(err, "payload.image: %s@sha256:…   needs no registry", from);
	}
	AUTO_FREE char *full = pinned.ptr ? mem_format("%s@%.*s", from, STR_ARGS(pinned)) : mem_format("%s@%s", from, digest.text);
	struct value *payload = value_add_object(request->facts, request->facts->root, "payload");
	value_add_text(request->facts, payload, "image", full);
	value_add_text(request->facts, payload, "asked", image);
	if (pinned.ptr)
		return 0;
	AUTO_FREE char *both = mem_format("%s %s", deploy->revision.settings.text, digest.text);
	digest_of(str_of(both), &deploy->revision.settings);
	out_step(s->cli, "payload", "%s is %.19s…", image, digest.text);
	return 0;
}

int request_make(struct session *s, const struct request_options *options, struct request *out, struct err *err) {
	struct deploy_request *deploy = &out->deploy;
	struct value *rendered = NULL;
	int rc = options->image ? take_image(s, options->image, deploy, err) : build_image(s, options->is_untested, out, err);
	if (rc != 0 || read_golden(s, &out->golden, err) != 0 || complete_facts(s, out, err) != 0)
		return -1;
	out->objects = document_new("objects");
	deploy->revision.settings = s->settings->settings_digest;
	if (pin_payload(s, out, err) != 0)
		return -1;
	revision_name(&deploy->revision.image, &deploy->revision.settings, deploy->revision.name);
	if (s->target->render(s->target_state, &deploy->revision, deploy->facts, out->objects, &rendered, err) != 0)
		return -1;
	canary_of(s->settings, &deploy->canary);
	deploy->objects = rendered;
	deploy->settings = s->tree->root;
	deploy->golden = out->golden;
	return 0;
}

int request_push(struct session *s, const struct request *request, struct err *err) {
	struct push_result pushed;
	char sent[NUM_HUMAN_MAX];
	if (!request->build)
		return 0;
	if (session_push(s, request->build, &pushed, err) != 0)
		return -1;
	if (pushed.pushed)
		out_step(s->cli, "push", "%s in %zu blobs, %zu were there", num_human_bytes(pushed.sent_bytes, sent), pushed.pushed,
			pushed.existed);
	return 0;
}

void request_clear(struct request *request) {
	build_free(request->build);
	document_free(request->objects);
	document_free(request->facts);
	free(request->golden);
	*request = (struct request){0};
}
