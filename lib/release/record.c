#include "release/record.h"

#include <inttypes.h>

#define RECORD_SCHEMA "mlctl.release/1"
#define KEPT_SCHEMA "mlctl.kept/1"
#define MEDIA_EVIDENCE "application/vnd.mlctl.evidence.v1+json"
#define TAG_MAX 128

static void tag_name(const char *env, int64_t n, char out[TAG_MAX]) {
	snprintf(out, TAG_MAX, "mlctl.%s.r%" PRId64, env, n);
}

int64_t record_tag_number(const char *tag, const char *env) {
	AUTO_FREE char *stem = mem_format("mlctl.%s.r", env);
	int64_t n = 0;
	if (!str_starts(str_of(tag), stem) || num_int(str_of(tag + strlen(stem)), 1, INT64_MAX / 2, &n) != 0)
		return 0;
	return n;
}

static void add_release(struct document *document, struct value *root, const char *key, const struct head_entry *entry) {
	if (!entry || !entry->n)
		return;
	struct value *v = value_add_object(document, root, key);
	value_add_int(document, v, "n", entry->n);
	value_add_text(document, v, "release", entry->release.text);
	value_add_text(document, v, "image", entry->image.text);
	value_add_text(document, v, "settings", entry->settings.text);
}

static void add_canary(struct document *document, struct value *root, const struct canary_settings *canary) {
	if (!canary)
		return;
	struct value *v = value_add_object(document, root, "canary");
	value_add_bool(document, v, "none", canary->is_none);
	value_add_double(document, v, "weight", canary->weight);
	value_add_int(document, v, "for_ms", canary->for_ms);
	value_add_int(document, v, "max_ms", canary->max_ms);
	value_add_int(document, v, "requests_min", canary->requests_min);
	value_add_double(document, v, "error_rate_max", canary->error_rate_max);
	value_add_int(document, v, "latency_p99_ms", canary->latency_p99_ms);
	value_add_int(document, v, "health_failures_max", canary->health_failures_max);
}

static void add_redacted(
	const struct release_context *context, struct document *document, struct value *root, const char *key, const char *text) {
	if (!text)
		return;
	AUTO_BUF struct buf clean = BUF(4096);
	redactor_apply(context->redact, str_of(text), &clean);
	value_add_str(document, root, key, buf_view(&clean));
}

int record_write(const struct release_context *context, const struct record_input *input, char **out, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("record");
	struct value *root = value_root_object(document);
	char created[CLOCK_TEXT_MAX];
	value_add_text(document, root, "schema", RECORD_SCHEMA);
	value_add_text(document, root, "service", context->service);
	value_add_text(document, root, "env", context->env);
	value_add_text(document, root, "target", context->target->name);
	char place[80];
	struct err asking = {0};
	if (context->target->identity && context->target->identity(context->target_state, place, &asking) == 0) /* else it is not said */
		value_add_text(document, root, "place", place);
	value_add_int(document, root, "n", input->n);
	value_add_text(document, root, "kind", input->again ? "rollback" : "deploy");
	if (input->again)
		value_add_int(document, root, "again", input->again);
	value_add_text(document, root, "created", clock_text(clock_wall_s(context->clock), created));
	add_redacted(context, document, root, "actor", context->actor);
	add_redacted(context, document, root, "ci_run", context->ci_run);
	add_redacted(context, document, root, "reason", input->reason);
	struct value *image = value_add_object(document, root, "image");
	value_add_text(document, image, "manifest", input->revision->image.text);
	value_add_int(document, image, "size", input->image_size);
	if (input->image_index && input->image_index->text[0])
		value_add_text(document, image, "index", input->image_index->text);
	struct value *revision = value_add_object(document, root, "revision");
	value_add_text(document, revision, "name", input->revision->name);
	value_add_text(document, revision, "settings", input->revision->settings.text);
	add_canary(document, root, input->canary);
	if (input->settings)
		value_add_copy(document, root, "settings", input->settings);
	if (input->facts)
		value_add_copy(document, root, "facts", input->facts);
	if (input->objects)
		value_add_copy(document, root, "objects", input->objects);
	if (input->golden && strlen(input->golden) <= RECORD_GOLDEN_MAX)
		value_add_text(document, root, "golden", input->golden);
	add_release(document, root, "previous", input->before);
	add_release(document, root, "back", input->back);
	return json_write(root, JSON_CANONICAL, out, err);
}

int record_check(
	const struct release_context *context, const struct value *record, int64_t n, const struct head_entry *entry, struct err *err) {
	struct str service, env, image, settings;
	int64_t number;
	if (value_need_str(record, "service", &service, err) != 0 || value_need_str(record, "env", &env, err) != 0 ||
		value_need_int(record, "n", &number, err) != 0 || value_need_str(record, "image.manifest", &image, err) != 0 ||
		value_need_str(record, "revision.settings", &settings, err) != 0)
		return err_wrap(err, "the record of r%" PRId64, n);
	if (number != n || !str_is(service, context->service) || !str_is(env, context->env))
		err_set(err, ERR_CONFLICT, "what is kept as r%" PRId64 " of %s %s is r%" PRId64 " of %.*s %.*s", n, context->service,
			context->env, number, STR_ARGS(service), STR_ARGS(env));
	else if (entry && (!str_is(image, entry->image.text) || !str_is(settings, entry->settings.text)))
		err_set(err, ERR_CONFLICT, "what is kept as r%" PRId64 " is image %.*s; the head says %s", n, STR_ARGS(image),
			entry->image.text);
	else
		return 0;
	return err_fix(err, "mlctl history   (another environment of the same name may use this repository)");
}

int record_check_place(const struct release_context *context, const struct value *record, int64_t n, struct err *err) {
	const struct value *place = value_find(record, "facts.place"), *image = value_find(record, "image.manifest"),
			   *repository = value_find(record, "settings.image");
	char here[80];
	if (!place || place->kind != VALUE_STRING || !context->target->identity)
		return 0;
	if (context->target->identity(context->target_state, here, err) != 0)
		return -1;
	struct str rest_there, rest_here, kind_there = str_cut(place->text, ' ', &rest_there), kind_here = str_cut(str_of(here), ' ', &rest_here);
	if (!str_equal(kind_there, kind_here) || str_equal(rest_there, rest_here))
		return 0;
	err_set(err, ERR_CONFLICT, "r%" PRId64 " was released to %.*s, and this is %s", n, STR_ARGS(place->text), here);
	if (!image || !repository || image->kind != VALUE_STRING || repository->kind != VALUE_STRING)
		return -1;
	return err_fix(err, "mlctl deploy --env %s --image %.*s@%.*s   (the same image, released here)", context->env, STR_ARGS(repository->text),
		STR_ARGS(image->text));
}

/* An artifact manifest around one blob, with the image as its subject (image-spec 1.1, "artifact guidance"). */
static int make_artifact(const char *type, const struct blob *layer, const struct blob *config, const char *image, int64_t image_size,
	struct blob *out, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("manifest");
	struct value *root = value_root_object(document);
	value_add_int(document, root, "schemaVersion", 2);
	value_add_text(document, root, "mediaType", MEDIA_MANIFEST);
	value_add_text(document, root, "artifactType", type);
	blob_describe(document, value_add_object(document, root, "config"), config);
	struct value *layers = value_add_array(document, root, "layers");
	blob_describe(document, value_add_object(document, layers, NULL), layer);
	struct value *subject = value_add_object(document, root, "subject");
	value_add_text(document, subject, "mediaType", MEDIA_MANIFEST);
	value_add_text(document, subject, "digest", image);
	value_add_int(document, subject, "size", image_size);
	char *text;
	if (json_write(root, JSON_COMPACT, &text, err) != 0)
		return -1;
	blob_of_text(out, MEDIA_MANIFEST, "record", text);
	return 0;
}

static void add_manifest(struct document *document, struct value *manifests, const struct blob *blob, const char *type) {
	struct value *v = value_add_object(document, manifests, NULL);
	blob_describe(document, v, blob);
	value_add_text(document, v, "artifactType", type);
}

static int make_index(const struct release_context *context, int64_t n, const char *image, int64_t image_size, struct record_pack *pack,
	struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("index");
	struct value *root = value_root_object(document);
	value_add_int(document, root, "schemaVersion", 2);
	value_add_text(document, root, "mediaType", MEDIA_INDEX);
	struct value *manifests = value_add_array(document, root, "manifests");
	struct value *first = value_add_object(document, manifests, NULL);
	value_add_text(document, first, "mediaType", MEDIA_MANIFEST);
	value_add_text(document, first, "digest", image);
	value_add_int(document, first, "size", image_size);
	add_manifest(document, manifests, &pack->manifest, MEDIA_RECORD);
	if (pack->evidence.size)
		add_manifest(document, manifests, &pack->evidence_manifest, MEDIA_EVIDENCE);
	struct value *annotations = value_add_object(document, root, "annotations");
	AUTO_FREE char *title = mem_format("%s %s r%" PRId64, context->service, context->env, n);
	value_add_text(document, annotations, "org.opencontainers.image.title", title);
	char *text;
	if (json_write(root, JSON_COMPACT, &text, err) != 0)
		return -1;
	blob_of_text(&pack->index, MEDIA_INDEX, "release", text);
	return 0;
}

void record_pack_clear(struct record_pack *pack) {
	struct blob *blobs[] = {&pack->record, &pack->config, &pack->manifest, &pack->evidence, &pack->evidence_manifest, &pack->index};
	for (size_t i = 0; i < sizeof(blobs) / sizeof(blobs[0]); i++)
		free(blobs[i]->owned);
	*pack = (struct record_pack){0};
}

int record_pack(const struct release_context *context, int64_t n, const char *record, const char *evidence, struct record_pack *out,
	struct err *err) {
	AUTO_DOCUMENT struct document *document = NULL;
	struct value_limits limits = {RECORD_BYTES_MAX, 500000, 128};
	struct str image;
	int64_t image_size;
	if (json_read("record", str_of(record), limits, &document, err) != 0 ||
		value_need_str(document->root, "image.manifest", &image, err) != 0 ||
		value_opt_int(document->root, "image.size", 0, &image_size, err) != 0)
		return err_wrap(err, "the record of r%" PRId64, n);
	AUTO_FREE char *digest = str_dup(image);
	struct record_pack pack = {0};
	blob_of_text(&pack.record, MEDIA_RECORD, "record", mem_text(record));
	blob_of_text(&pack.config, MEDIA_EMPTY, "config", mem_text("{}"));
	int rc = make_artifact(MEDIA_RECORD, &pack.record, &pack.config, digest, image_size, &pack.manifest, err);
	if (rc == 0 && evidence) {
		blob_of_text(&pack.evidence, MEDIA_EVIDENCE, "evidence", mem_text(evidence));
		rc = make_artifact(MEDIA_EVIDENCE, &pack.evidence, &pack.config, digest, image_size, &pack.evidence_manifest, err);
	}
	if (rc == 0)
		rc = make_index(context, n, digest, image_size, &pack, err);
	if (rc != 0) {
		record_pack_clear(&pack);
		return -1;
	}
	*out = pack;
	return 0;
}

int record_push(const struct release_context *context, int64_t n, const struct record_pack *pack, struct err *err) {
	char tag[TAG_MAX];
	tag_name(context->env, n, tag);
	struct store *store = context->store;
	if (store_put_blob(store, &pack->config, err) != 0 || store_put_blob(store, &pack->record, err) != 0 ||
		store_put_manifest(store, &pack->manifest, NULL, err) != 0)
		return err_wrap(err, "pushing the record of r%" PRId64, n);
	if (pack->evidence.size &&
		(store_put_blob(store, &pack->evidence, err) != 0 || store_put_manifest(store, &pack->evidence_manifest, NULL, err) != 0))
		return err_wrap(err, "pushing the evidence of r%" PRId64, n);
	if (store_put_manifest(store, &pack->index, tag, err) != 0)
		return err_wrap(err, "pushing %s", tag);
	return 0;
}

int record_keep(const struct release_context *context, int64_t n, const char *record, const char *evidence, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("kept");
	struct value *root = value_root_object(document);
	value_add_text(document, root, "schema", KEPT_SCHEMA);
	value_add_text(document, root, "record", record);
	if (evidence)
		value_add_text(document, root, "evidence", evidence);
	AUTO_FREE char *text = NULL;
	if (json_write(root, JSON_COMPACT, &text, err) != 0)
		return -1;
	return context->target->keep_put(context->target_state, n, text, err);
}

void kept_clear(struct kept *kept) {
	free(kept->record);
	free(kept->evidence);
	*kept = (struct kept){0};
}

static int fetch_kept(const struct release_context *context, int64_t n, struct kept *out, struct err *err) {
	AUTO_FREE char *text = NULL;
	AUTO_DOCUMENT struct document *document = NULL;
	struct value_limits limits = {2 * RECORD_BYTES_MAX, 500000, 128};
	struct str record, evidence;
	if (context->target->keep_get(context->target_state, n, &text, err) != 0)
		return -1;
	if (json_read("kept", str_of(text), limits, &document, err) != 0 || value_need_str(document->root, "record", &record, err) != 0 ||
		value_opt_str(document->root, "evidence", STR(""), &evidence, err) != 0)
		return err_wrap(err, "what the target keeps of r%" PRId64, n);
	out->record = str_dup(record);
	out->evidence = evidence.len ? str_dup(evidence) : NULL;
	return 0;
}

/* The one layer of the artifact that an index lists under `type`; NULL when it lists none. */
static int fetch_artifact(const struct release_context *context, const struct value *index, const char *type, char **out, struct err *err) {
	value_each(entry, value_get(index, "manifests")) {
		struct str found, digest;
		if (value_opt_str(entry, "artifactType", STR(""), &found, err) != 0 || value_need_str(entry, "digest", &digest, err) != 0)
			return -1;
		if (!str_is(found, type))
			continue;
		struct manifest manifest __attribute__((cleanup(manifest_clear))) = {0};
		AUTO_DOCUMENT struct document *document = NULL;
		AUTO_FREE char *name = str_dup(digest);
		struct digest layer;
		struct str text;
		size_t len;
		if (store_get_manifest(context->store, name, &manifest, err) != 0 ||
			json_read("manifest", (struct str){manifest.bytes, manifest.len}, VALUE_LIMITS_WIRE, &document, err) != 0 ||
			value_need_str(value_at(value_get(document->root, "layers"), 0), "digest", &text, err) != 0 ||
			digest_parse(text, &layer, err) != 0)
			return -1;
		return store_get_blob_text(context->store, &layer, RECORD_BYTES_MAX, out, &len, err);
	}
	*out = NULL;
	return 0;
}

static int fetch_pushed(const struct release_context *context, int64_t n, struct kept *out, struct err *err) {
	char tag[TAG_MAX];
	tag_name(context->env, n, tag);
	struct manifest manifest __attribute__((cleanup(manifest_clear))) = {0};
	AUTO_DOCUMENT struct document *document = NULL;
	struct kept kept __attribute__((cleanup(kept_clear))) = {0};
	if (store_get_manifest(context->store, tag, &manifest, err) != 0)
		return -1;
	if (json_read(tag, (struct str){manifest.bytes, manifest.len}, VALUE_LIMITS_WIRE, &document, err) != 0 ||
		fetch_artifact(context, document->root, MEDIA_RECORD, &kept.record, err) != 0 ||
		fetch_artifact(context, document->root, MEDIA_EVIDENCE, &kept.evidence, err) != 0)
		return err_wrap(err, "%s", tag);
	if (!kept.record)
		return err_set(err, ERR_NOT_FOUND, "%s names no record", tag);
	*out = kept;
	kept = (struct kept){0};
	return 0;
}

int record_fetch(const struct release_context *context, int64_t n, struct kept *out, struct err *err) {
	struct err near = {0};
	if (fetch_kept(context, n, out, &near) == 0)
		return 0;
	if (!context->store || fetch_pushed(context, n, out, err) != 0) {
		if (!context->store || (err->code == ERR_NOT_FOUND && near.code != ERR_NOT_FOUND))
			*err = near;
		return err_wrap(err, "the record of r%" PRId64, n);
	}
	out->is_from_registry = true;
	return 0;
}
