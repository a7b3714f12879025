/* What the supervisor was told, on disk: read again after its own restart or the machine's. */
#include "supervise/reserve.h"
#include "supervise/state.h"

#include <stdio.h>

#define DESIRED_BYTES_MAX ((size_t) 256 * 1024)

struct wanted *wanted_find(struct supervisor *s, const char *name) {
	for (size_t i = 0; i < s->wanted_count; i++)
		if (strcmp(s->wanted[i].name, name) == 0)
			return &s->wanted[i];
	return NULL;
}

static int text_field(const struct value *v, const char *path, char *out, size_t size, struct err *err) {
	struct str text;
	if (value_need_str(v, path, &text, err) != 0)
		return -1;
	if (text.len >= size)
		return err_set(err, ERR_LIMIT, "%s: %zu bytes, at most %zu", path, text.len, size - 1);
	memcpy(out, text.ptr, text.len);
	out[text.len] = '\0';
	return 0;
}

int wanted_read(const struct value *v, struct wanted *out, struct err *err) {
	struct wanted wanted = {.side_fd = -1};
	if (text_field(v, "name", wanted.name, sizeof(wanted.name), err) != 0 || text_field(v, "image", wanted.image, sizeof(wanted.image), err) != 0 ||
		text_field(v, "rootfs", wanted.rootfs, sizeof(wanted.rootfs), err) != 0 ||
		text_field(v, "program", wanted.program, sizeof(wanted.program), err) != 0 ||
		text_field(v, "model", wanted.model, sizeof(wanted.model), err) != 0 ||
		text_field(v, "model_name", wanted.model_name, sizeof(wanted.model_name), err) != 0 ||
		text_field(v, "release", wanted.release, sizeof(wanted.release), err) != 0 ||
		(value_get(v, "model_created") && text_field(v, "model_created", wanted.model_created, sizeof(wanted.model_created), err) != 0) ||
		value_opt_int(v, "timeout_ms", 0, &wanted.timeout_ms, err) != 0 || value_opt_int(v, "memory_bytes", 0, &wanted.memory_bytes, err) != 0 ||
		value_opt_int(v, "front", 0, &wanted.count[ROLE_FRONT], err) != 0 || value_opt_int(v, "side", 0, &wanted.count[ROLE_SIDE], err) != 0)
		return -1;
	if (strchr(wanted.name, '/') || wanted.name[0] == '.' || wanted.name[0] == '\0')
		return err_set(err, ERR_INVALID, "revision name \"%s\": must be a plain name", wanted.name);
	for (int role = 0; role < 2; role++)
		if (wanted.count[role] < 0 || wanted.count[role] > SUPERVISOR_REPLICAS_MAX / 2)
			return err_set(err, ERR_LIMIT, "%lld replicas: at most %d", (long long) wanted.count[role], SUPERVISOR_REPLICAS_MAX / 2);
	*out = wanted;
	return 0;
}

void wanted_write(struct document *document, struct value *into, const struct wanted *wanted) {
	value_add_text(document, into, "name", wanted->name);
	value_add_text(document, into, "image", wanted->image);
	value_add_text(document, into, "rootfs", wanted->rootfs);
	value_add_text(document, into, "program", wanted->program);
	value_add_text(document, into, "model", wanted->model);
	value_add_text(document, into, "model_name", wanted->model_name);
	if (wanted->model_created[0])
		value_add_text(document, into, "model_created", wanted->model_created);
	value_add_text(document, into, "release", wanted->release);
	value_add_int(document, into, "timeout_ms", wanted->timeout_ms);
	value_add_int(document, into, "memory_bytes", wanted->memory_bytes);
	value_add_int(document, into, "front", wanted->count[ROLE_FRONT]);
	value_add_int(document, into, "side", wanted->count[ROLE_SIDE]);
}

int desired_save(const struct supervisor *s, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("desired.json");
	struct value *root = value_root_object(document);
	value_add_text(document, root, "schema", "mlctl.supervisor/1");
	value_add_text(document, root, "address", s->address);
	value_add_int(document, root, "port", s->port);
	value_add_int(document, root, "fence", s->fence);
	value_add_int(document, root, "serial", s->serial);
	struct value *revisions = value_add_array(document, root, "revisions");
	for (size_t i = 0; i < s->wanted_count; i++)
		wanted_write(document, value_add_object(document, revisions, NULL), &s->wanted[i]);
	AUTO_FREE char *text = NULL;
	if (json_write(document->root, JSON_PRETTY, &text, err) != 0)
		return -1;
	AUTO_FREE char *path = fs_join(s->folder, "desired.json");
	return reserve_replace(s->folder, path, text, strlen(text), err);
}

int desired_load(struct supervisor *s, struct err *err) {
	AUTO_FREE char *path = fs_join(s->folder, "desired.json");
	if (!fs_exists(path))
		return 0;
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	AUTO_DOCUMENT struct document *document = NULL;
	if (fs_read(path, DESIRED_BYTES_MAX, &text, &len, err) != 0 ||
		json_read("desired.json", (struct str) {text, len}, VALUE_LIMITS_CONFIG, &document, err) != 0)
		return -1;
	if (text_field(document->root, "address", s->address, sizeof(s->address), err) != 0 ||
		value_opt_int(document->root, "port", 0, &s->port, err) != 0 || value_opt_int(document->root, "fence", 0, &s->fence, err) != 0 ||
		value_opt_int(document->root, "serial", 0, &s->serial, err) != 0)
		return -1;
	value_each(revision, value_get(document->root, "revisions")) {
		if (s->wanted_count == SUPERVISOR_REVISIONS_MAX)
			return err_set(err, ERR_LIMIT, "desired.json: more than %d revisions", SUPERVISOR_REVISIONS_MAX);
		if (wanted_read(revision, &s->wanted[s->wanted_count], err) != 0)
			return -1;
		s->wanted_count++;
	}
	return 0;
}
