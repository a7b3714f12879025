#include "fakes/fake_kube.h"

#include "kube/client.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct document *read_json(struct str text) {
	struct document *document = NULL;
	struct err err = {0};
	if (json_read("fake", text, VALUE_LIMITS_WIRE, &document, &err) != 0)
		fail_msg("%s: %.*s", err.message, STR_ARGS(text));
	return document;
}

static char *write_json(const struct value *value) {
	char *text = NULL;
	struct err err = {0};
	if (json_write(value, JSON_COMPACT, &text, &err) != 0)
		fail_msg("%s", err.message);
	return text;
}

static struct str text_at(const struct value *object, const char *path) {
	const struct value *found = value_find(object, path);
	return found && found->kind == VALUE_STRING ? found->text : (struct str){"", 0};
}

static bool is_plural(const char *collection, const char *plural) {
	const char *slash = strrchr(collection, '/');
	return slash && strcmp(slash + 1, plural) == 0;
}

static size_t find(const struct fake_kube *kube, const char *collection, struct str name) {
	size_t i = 0;
	while (i < kube->count && (strcmp(kube->objects[i].collection, collection) != 0 || !str_is(name, kube->objects[i].name)))
		i++;
	return i;
}

static struct value *set_text(struct document *document, struct value *object, const char *key, const char *text) {
	struct value *found = (struct value *) value_get(object, key);
	if (!found)
		return value_add_text(document, object, key, text);
	found->text = str_of(arena_text_n(&document->memory, text, strlen(text)));
	return found;
}

/* The object gets a new version; its uid and, unless it brings one, its status stay. */
static struct fake_kube_object *store(struct fake_kube *kube, const char *collection, struct document *document) {
	struct str name = text_at(document->root, "metadata.name");
	size_t i = find(kube, collection, name);
	struct value *metadata = (struct value *) value_get(document->root, "metadata");
	struct fake_kube_object *object = &kube->objects[i];
	AUTO_FREE char *version = mem_format("%d", ++kube->version), *uid = mem_format("uid-%d", kube->version);
	if (i == kube->count) {
		assert_true(kube->count < FAKE_KUBE_OBJECTS_MAX);
		*object = (struct fake_kube_object){.collection = mem_text(collection), .name = str_dup(name)};
		kube->count++;
	} else {
		free(uid);
		uid = str_dup(text_at(object->document->root, "metadata.uid"));
		const struct value *status = value_get(object->document->root, "status");
		if (status && !value_get(document->root, "status"))
			value_add_copy(document, document->root, "status", status);
		document_free(object->document);
	}
	set_text(document, metadata, "resourceVersion", version);
	set_text(document, metadata, "uid", uid);
	object->document = document;
	return object;
}

static void drop_at(struct fake_kube *kube, size_t i) {
	free(kube->objects[i].collection);
	free(kube->objects[i].name);
	document_free(kube->objects[i].document);
	kube->objects[i] = kube->objects[--kube->count];
}

void fake_kube_clear(struct fake_kube *kube) {
	while (kube->count)
		drop_at(kube, kube->count - 1);
	texts_clear(&kube->log);
	texts_clear(&kube->urls);
}

void fake_kube_put(struct fake_kube *kube, const char *json) {
	struct document *document = read_json(str_of(json));
	AUTO_FREE char *kind = str_dup(text_at(document->root, "kind"));
	const struct kube_kind *row = kube_kind_find(kind);
	bool is_core = strcmp(row->api_version, "v1") == 0;
	AUTO_FREE char *collection = mem_format("/%s/%s%s/%s", is_core ? "api" : "apis", row->api_version, row->is_namespaced ? "/namespaces/ml" : "", row->plural);
	store(kube, collection, document);
}

static size_t find_plural(const struct fake_kube *kube, const char *plural, const char *name) {
	size_t i = 0;
	while (i < kube->count && (!is_plural(kube->objects[i].collection, plural) || strcmp(kube->objects[i].name, name) != 0))
		i++;
	return i;
}

const struct value *fake_kube_find(const struct fake_kube *kube, const char *plural, const char *name) {
	size_t i = find_plural(kube, plural, name);
	return i < kube->count ? kube->objects[i].document->root : NULL;
}

void fake_kube_touch(struct fake_kube *kube, const char *plural, const char *name) {
	size_t i = find_plural(kube, plural, name);
	AUTO_FREE char *version = mem_format("%d", ++kube->version);
	assert_true(i < kube->count);
	struct document *document = kube->objects[i].document;
	set_text(document, (struct value *) value_get(document->root, "metadata"), "resourceVersion", version);
}

void fake_kube_drop(struct fake_kube *kube, const char *plural, const char *name) {
	size_t i = find_plural(kube, plural, name);
	assert_true(i < kube->count);
	drop_at(kube, i);
}

size_t fake_kube_at(const struct fake_kube *kube, const char *what, size_t from) {
	for (size_t i = from; i < kube->log.count; i++)
		if (strcmp(kube->log.items[i], what) == 0)
			return i;
	return SIZE_MAX;
}

size_t fake_kube_writes(const struct fake_kube *kube) {
	size_t writes = 0;
	for (size_t i = 0; i < kube->log.count; i++)
		writes += strncmp(kube->log.items[i], "GET", 3) != 0 && !strstr(kube->log.items[i], "/proxy");
	return writes;
}

/* --- requests */

static void status(struct http_answer *answer, int code, const char *reason, const char *message, const char *plural, const char *name) {
	AUTO_FREE char *text = mem_format("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"code\":%d,\"reason\":\"%s\",\"message\":\"%s\","
					  "\"details\":{\"kind\":\"%s\",\"name\":\"%s\"}}",
		code, reason, message, plural, name);
	fake_answer(answer, code, "content-type: application/json\n", text);
}

static void give(struct http_answer *answer, int code, const struct value *object) {
	AUTO_FREE char *text = write_json(object);
	fake_answer(answer, code, "content-type: application/json\n", text);
}

/* The query's value, decoded; owned by the caller, NULL: not given. */
static char *query_of(struct str query, const char *name) {
	for (struct str rest = query; rest.len;) {
		struct str value, pair = str_cut(rest, '&', &rest), key = str_cut(pair, '=', &value);
		if (!str_is(key, name))
			continue;
		char *text = str_dup(value), *to = text;
		for (const char *c = text; *c; c++) {
			unsigned byte;
			if (*c == '%' && sscanf(c + 1, "%2x", &byte) == 1) {
				*to++ = (char) byte;
				c += 2;
			} else {
				*to++ = *c;
			}
		}
		*to = '\0';
		return text;
	}
	return NULL;
}

static bool is_selected(const struct value *object, const char *labels) {
	for (struct str rest = str_of(labels); rest.len;) {
		struct str value, key = str_cut(str_cut(rest, ',', &rest), '=', &value);
		AUTO_FREE char *name = str_dup(key);
		const struct value *label = value_get(value_find(object, "metadata.labels"), name);
		if (!label || !str_equal(label->text, value))
			return false;
	}
	return true;
}

/* "involvedObject.kind=Pod,involvedObject.name=x" */
static bool is_of_fields(const struct value *object, const char *fields) {
	for (struct str rest = str_of(fields); rest.len;) {
		struct str value, key = str_cut(str_cut(rest, ',', &rest), '=', &value);
		AUTO_FREE char *path = str_dup(key);
		if (!str_equal(text_at(object, path), value))
			return false;
	}
	return true;
}

static void list(const struct fake_kube *kube, const char *collection, struct str query, struct http_answer *answer) {
	AUTO_DOCUMENT struct document *document = document_new("list");
	AUTO_FREE char *labels = query_of(query, "labelSelector"), *version = mem_format("%d", kube->version);
	AUTO_FREE char *fields = query_of(query, "fieldSelector");
	struct value *root = value_root_object(document), *items = value_add_array(document, root, "items");
	value_add_text(document, value_add_object(document, root, "metadata"), "resourceVersion", version);
	for (size_t i = 0; i < kube->count; i++)
		if (strcmp(kube->objects[i].collection, collection) == 0 && (!labels || is_selected(kube->objects[i].document->root, labels)) &&
			(!fields || is_of_fields(kube->objects[i].document->root, fields)))
			value_add_copy(document, items, NULL, kube->objects[i].document->root);
	give(answer, 200, root);
}

/* Apply (there: NULL, it is made), and PUT. */
static void replace(struct fake_kube *kube, const char *collection, const struct fake_kube_object *there, const struct http_request *request,
	struct http_answer *answer) {
	AUTO_DOCUMENT struct document *document = read_json(request->body);
	struct str wanted = text_at(document->root, "metadata.resourceVersion");
	struct str its = there ? text_at(there->document->root, "metadata.resourceVersion") : (struct str){"", 0};
	if (wanted.len && (there ? !str_equal(wanted, its) : !str_is(wanted, "1")))
		status(answer, 409, "Conflict", "the object has been modified", "x", "x");
	else
		give(answer, there ? 200 : 201, store(kube, collection, take(&document))->document->root);
}

static void remove_one(struct fake_kube *kube, size_t i, const struct http_request *request, struct http_answer *answer) {
	AUTO_DOCUMENT struct document *options = read_json(request->body);
	const struct value *root = kube->objects[i].document->root;
	struct str uid = text_at(options->root, "preconditions.uid"), version = text_at(options->root, "preconditions.resourceVersion");
	if ((uid.len && !str_equal(uid, text_at(root, "metadata.uid"))) || (version.len && !str_equal(version, text_at(root, "metadata.resourceVersion")))) {
		status(answer, 409, "Conflict", "Precondition failed", "x", "x");
		return;
	}
	drop_at(kube, i);
	fake_answer(answer, 200, "", "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Success\"}");
}

static void scale(struct fake_kube *kube, const struct fake_kube_object *object, const struct http_request *request, struct http_answer *answer) {
	AUTO_DOCUMENT struct document *patch = read_json(request->body);
	struct value *replicas = (struct value *) value_find(object->document->root, "spec.replicas");
	struct str wanted = value_find(patch->root, "spec.replicas")->text;
	replicas->text = str_of(arena_text_n(&object->document->memory, wanted.ptr, wanted.len));
	kube->version++;
	fake_answer(answer, 200, "", "{}");
}

static bool is_watch(struct str query) {
	AUTO_FREE char *watch = query_of(query, "watch");
	return watch != NULL;
}

static void meddle(struct fake_kube *kube, const char *what) {
	if (!kube->when || strcmp(kube->when, what) != 0)
		return;
	kube->when = NULL;
	kube->meddle(kube, kube->meddle_name);
}

/* COLLECTION[/NAME[/SUBRESOURCE]], where a collection ends with what a kind is called. */
void fake_kube_handle(void *self, const struct http_request *request, struct http_answer *answer) {
	struct fake_kube *kube = self;
	struct str query, path = str_cut(str_of(request->url + strlen(FAKE_KUBE_SERVER)), '?', &query);
	AUTO_FREE char *whole = str_dup(path);
	char *plural = strstr(whole, "/namespaces/ml/") ? strstr(whole, "/namespaces/ml/") + 15 : strrchr(whole, '/') + 1;
	if (strncmp(whole, "/api/v1/namespaces/kube-system", 30) == 0 || strncmp(whole, "/api/v1/namespaces/ml", 22) == 0)
		plural = strstr(whole, "/namespaces") + 1;
	char *slash = strchr(plural, '/'), *end = slash ? strchr(slash + 1, '/') : NULL;
	AUTO_FREE char *collection = slash ? mem_text_n(whole, (size_t) (slash - whole)) : mem_text(whole);
	AUTO_FREE char *name = !slash ? NULL : end ? mem_text_n(slash + 1, (size_t) (end - slash - 1)) : mem_text(slash + 1);
	AUTO_FREE char *what = mem_format("%s %s%s", request->method, plural, name ? "" : "?");
	texts_add(&kube->log, what);
	texts_add(&kube->urls, request->url);
	meddle(kube, what);
	if (slash)
		*slash = '\0';
	if (kube->refused && strcmp(kube->refused, plural) == 0) {
		AUTO_FREE char *no = mem_format("%s is forbidden: User \\\"u\\\" cannot list resource \\\"%s\\\" in API group \\\"\\\" in the namespace \\\"ml\\\"", plural, plural);
		status(answer, 403, "Forbidden", no, plural, "");
		return;
	}
	if (end && strncmp(end + 1, "proxy", 5) == 0) {
		*strchr(name, ':') = '\0';
		if (kube->pod)
			kube->pod(kube->pod_self, name, request, answer);
		else
			fake_answer(answer, 502, "", "");
		return;
	}
	size_t i = name ? find(kube, collection, str_of(name)) : 0;
	bool is_there = name && i < kube->count;
	if (strcmp(request->method, "POST") == 0) {
		struct document *document = read_json(request->body);
		AUTO_FREE char *new_name = str_dup(text_at(document->root, "metadata.name"));
		if (find(kube, collection, str_of(new_name)) == kube->count) {
			give(answer, 201, store(kube, collection, document)->document->root);
			return;
		}
		document_free(document);
		status(answer, 409, "AlreadyExists", "already exists", plural, new_name);
	} else if (!name && is_watch(query)) {
		fake_answer(answer, 200, "", ""); /* it ends at once */
	} else if (strcmp(request->method, "GET") == 0 && !name) {
		list(kube, collection, query, answer);
	} else if (strcmp(request->method, "PATCH") == 0 && !end) {
		replace(kube, collection, is_there ? &kube->objects[i] : NULL, request, answer);
	} else if (!is_there) {
		status(answer, 404, "NotFound", "not found", plural, name);
	} else if (end && strcmp(end + 1, "log") == 0) {
		if (kube->pod)
			kube->pod(kube->pod_self, name, request, answer);
	} else if (strcmp(request->method, "PATCH") == 0) {
		scale(kube, &kube->objects[i], request, answer);
	} else if (strcmp(request->method, "PUT") == 0) {
		replace(kube, collection, &kube->objects[i], request, answer);
	} else if (strcmp(request->method, "DELETE") == 0) {
		remove_one(kube, i, request, answer);
	} else {
		give(answer, 200, kube->objects[i].document->root);
	}
}
