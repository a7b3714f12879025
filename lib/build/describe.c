#include "build/describe.h"

#include <stdio.h>

#define PORT "8080/tcp"
#define LISTEN "MLCTL_LISTEN=0.0.0.0:8080"
#define USER "65532:65532" /* "nonroot" by the custom of distroless images */
#define SECOND_NS 1000000000LL

static int finish(struct document *document, const char *media_type, const char *title, struct blob *out, struct err *err) {
	char *text = NULL;
	if (json_write(document->root, JSON_CANONICAL, &text, err) != 0)
		return -1;
	blob_of_text(out, media_type, title, text);
	return 0;
}

static void add_setting(struct document *document, struct value *env, const char *name, const char *text) {
	AUTO_FREE char *item = mem_format("%s=%s", name, text);
	value_add_text(document, env, NULL, item);
}

/* The base's variables stay, but for the ones that are ours. */
static void add_env(const struct describe *from, struct document *document, struct value *config) {
	struct value *env = value_add_array(document, config, "Env");
	bool has_path = false;
	value_each(item, value_find(from->base, "config.Env")) {
		if (str_starts(item->text, "MLCTL_"))
			continue;
		has_path |= str_starts(item->text, "PATH=");
		value_add_str(document, env, NULL, item->text);
	}
	if (!has_path)
		add_setting(document, env, "PATH", "/");
	value_add_text(document, env, NULL, LISTEN);
	add_setting(document, env, "MLCTL_MODEL", from->context->model_name);
	add_setting(document, env, "MLCTL_NAME", from->name);
	if (from->context->has_golden)
		add_setting(document, env, "MLCTL_GOLDEN", "/" CONTEXT_GOLDEN);
}

/* image-spec's config knows no health check; Docker and Podman read this member of theirs, others pass over it. */
static void add_health(struct document *document, struct value *config) {
	struct value *health = value_add_object(document, config, "Healthcheck");
	struct value *test = value_add_array(document, health, "Test");
	value_add_text(document, test, NULL, "CMD");
	value_add_text(document, test, NULL, "/mlctl-runner");
	value_add_text(document, test, NULL, "health");
	value_add_int(document, health, "Interval", 10 * SECOND_NS);
	value_add_int(document, health, "Timeout", 3 * SECOND_NS);
	value_add_int(document, health, "StartPeriod", 30 * SECOND_NS);
	value_add_int(document, health, "Retries", 3);
}

static void add_labels(const struct describe *from, struct document *document, struct value *config) {
	struct value *labels = value_add_object(document, config, "Labels");
	value_each(label, value_find(from->base, "config.Labels")) {
		AUTO_FREE char *key = str_dup(label->key);
		if (strncmp(key, "mlctl.", 6) != 0)
			value_add_str(document, labels, key, label->text);
	}
	value_add_text(document, labels, "mlctl.model", from->context->model_name);
	value_add_text(document, labels, "mlctl.model.digest", plan_model(from->plan)->text);
	value_add_text(document, labels, "mlctl.version", MLCTL_VERSION);
}

static void add_history(const struct describe *from, struct document *document, struct value *root) {
	struct value *history = value_add_array(document, root, "history");
	value_each(step, value_get(from->base, "history")) value_add_copy(document, history, NULL, step);
	for (size_t i = 0; i < plan_layers(from->plan); i++) {
		struct value *step = value_add_object(document, history, NULL);
		AUTO_FREE char *by = mem_format("mlctl build: %s", plan_history(from->plan, i));
		value_add_text(document, step, "created", from->created);
		value_add_text(document, step, "created_by", by);
	}
}

int describe_config(const struct describe *from, struct blob *out, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("config");
	struct value *root = value_root_object(document), *config = value_add_object(document, root, "config");
	value_add_text(document, root, "architecture", from->architecture);
	value_add_text(document, root, "os", "linux");
	value_add_text(document, root, "created", from->created);
	value_add_text(document, config, "User", USER);
	value_add_text(document, config, "WorkingDir", "/");
	value_add_text(document, config, "StopSignal", "SIGTERM");
	value_add_text(document, value_add_array(document, config, "Entrypoint"), NULL, "/mlctl-runner");
	value_add_text(document, value_add_array(document, config, "Cmd"), NULL, "serve");
	value_add_object(document, value_add_object(document, config, "ExposedPorts"), PORT);
	add_env(from, document, config);
	add_health(document, config);
	add_labels(from, document, config);
	struct value *rootfs = value_add_object(document, root, "rootfs");
	value_add_text(document, rootfs, "type", "layers");
	struct value *diffs = value_add_array(document, rootfs, "diff_ids");
	value_each(diff, value_find(from->base, "rootfs.diff_ids")) value_add_str(document, diffs, NULL, diff->text);
	/* Plain tar layers: the digest of the blob is the one of its content. */
	for (size_t i = 0; i < plan_layers(from->plan); i++)
		value_add_text(document, diffs, NULL, plan_blob(from->plan, i).digest.text);
	add_history(from, document, root);
	return finish(document, MEDIA_CONFIG, "config", out, err);
}

int describe_manifest(const struct describe *from, const struct blob *config, struct blob *out, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("manifest");
	struct value *root = value_root_object(document);
	value_add_int(document, root, "schemaVersion", 2);
	value_add_text(document, root, "mediaType", MEDIA_MANIFEST);
	blob_describe(document, value_add_object(document, root, "config"), config);
	struct value *layers = value_add_array(document, root, "layers");
	for (size_t i = 0; i < from->base_layer_count; i++)
		blob_describe(document, value_add_object(document, layers, NULL), &from->base_layers[i]);
	for (size_t i = 0; i < plan_layers(from->plan); i++) {
		struct blob layer = plan_blob(from->plan, i);
		blob_describe(document, value_add_object(document, layers, NULL), &layer);
	}
	return finish(document, MEDIA_MANIFEST, "manifest", out, err);
}

char *describe_source(const char *remote) {
	if (!remote)
		return NULL;
	const char *scheme = strstr(remote, "://");
	struct str rest = str_of(scheme ? scheme + 3 : remote), path;
	struct str host = str_cut(rest, '/', &path), port;
	if (!scheme || strncmp(remote, "http", 4) != 0)
		host = str_cut(host, ':', &port); /* the port of ssh is not the one of the web */
	if (str_ends(path, ".git"))
		path.len -= 4;
	return mem_format("%s://%.*s/%.*s", strncmp(remote, "http://", 7) == 0 ? "http" : "https", STR_ARGS(host), STR_ARGS(path));
}

int describe_index(const struct describe *from, const struct blob *manifest, const char *title, const char *tag,
	const struct git_facts *git, struct blob *out, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("index");
	struct value *root = value_root_object(document);
	value_add_int(document, root, "schemaVersion", 2);
	value_add_text(document, root, "mediaType", MEDIA_INDEX);
	struct value *entry = value_add_object(document, value_add_array(document, root, "manifests"), NULL);
	blob_describe(document, entry, manifest);
	struct value *platform = value_add_object(document, entry, "platform");
	value_add_text(document, platform, "architecture", from->architecture);
	value_add_text(document, platform, "os", "linux");
	struct value *notes = value_add_object(document, root, "annotations");
	AUTO_FREE char *source = git ? describe_source(git->remote) : NULL;
	value_add_text(document, notes, "org.opencontainers.image.title", title);
	value_add_text(document, notes, "org.opencontainers.image.created", git && git->author_time ? git->author_time : from->created);
	if (git && git->commit)
		value_add_text(document, notes, "org.opencontainers.image.revision", git->commit);
	if (source)
		value_add_text(document, notes, "org.opencontainers.image.source", source);
	if (tag)
		value_add_text(document, notes, "org.opencontainers.image.version", tag);
	if (git && git->commit && git->is_dirty)
		value_add_text(document, notes, "mlctl.dirty", "true");
	return finish(document, MEDIA_INDEX, "index", out, err);
}
