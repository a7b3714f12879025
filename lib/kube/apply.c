#include "kube/wire.h"

#include <errno.h>

#define FIELDS_SHOWN_MAX 6
#define NOT_YET "1" /* no object has this resourceVersion: absent, it is made; there, it is a conflict */

struct target {
	char *kind, *name, *namespace_;
};

static void target_clear(struct target *target) {
	free(target->kind);
	free(target->name);
	free(target->namespace_);
}
#define AUTO_TARGET __attribute__((cleanup(target_clear)))

/* Which object this is: kind, metadata.name, metadata.namespace (NULL: ours). Its apiVersion must be the one that we write. */
static int target_of(const struct value *object, struct target *out, struct err *err) {
	struct str none = {"", 0}, kind, name, namespace_, version;
	if (value_need_str(object, "kind", &kind, err) != 0 || value_need_str(object, "metadata.name", &name, err) != 0 ||
		value_need_str(object, "apiVersion", &version, err) != 0 ||
		value_opt_str(object, "metadata.namespace", none, &namespace_, err) != 0)
		return -1;
	out->kind = str_dup(kind);
	out->name = str_dup(name);
	out->namespace_ = namespace_.len ? str_dup(namespace_) : NULL;
	const struct kube_kind *row = kube_kind_find(out->kind);
	if (!row)
		return err_set(err, ERR_INVALID, "kind %s: not one that mlctl handles", out->kind);
	if (str_is(version, row->api_version))
		return 0;
	err_set(err, ERR_INVALID, "%s %s: apiVersion %.*s: removed, or never one of this kind", out->kind, out->name, STR_ARGS(version));
	return err_fix(err, "apiVersion: %s", row->api_version);
}

/* --- conflicts */

/* The values of a Secret are nobody's to read, and what looks like one in a ConfigMap is the redactor's. */
static bool is_hidden(const struct target *target, struct str field) {
	return strcmp(target->kind, "Secret") == 0 && (str_starts(field, ".data") || str_starts(field, ".stringData"));
}

static void add_conflict(
	const struct target *target, const struct value *ours, const struct value *live, const struct value *cause, struct buf *out) {
	struct str none = {"", 0}, field, message, rest = {0};
	struct err scratch = {0};
	if (value_opt_str(cause, "field", none, &field, &scratch) != 0 || value_opt_str(cause, "message", none, &message, &scratch) != 0)
		return;
	const char *at = message.len ? memchr(message.ptr, '"', message.len) : NULL;
	struct str owner = at ? str_cut((struct str){at + 1, (size_t) (message.ptr + message.len - at - 1)}, '"', &rest) : message;
	buf_text(out, out->len ? "; " : "");
	buf_str(out, field);
	buf_text(out, " belongs to ");
	buf_str(out, owner);
	if (!live)
		return;
	buf_text(out, " (there ");
	kube_show(kube_field(live, field), is_hidden(target, field), out);
	buf_text(out, ", ours ");
	kube_show(kube_field(ours, field), is_hidden(target, field), out);
	buf_char(out, ')');
}

static int owned_by_others(
	struct kube *kube, const struct target *target, const struct value *ours, const struct value *causes, struct err *err) {
	AUTO_DOCUMENT struct document *live = NULL;
	AUTO_BUF struct buf text = BUF((size_t) 16 * 1024), safe = BUF((size_t) 32 * 1024);
	struct err scratch = {0};
	struct kube_ask ask = {.selection = {.kind = target->kind, .namespace_ = target->namespace_}, .name = target->name};
	if (kube_ask_all(kube, &ask, 1, &scratch) == 0)
		live = ask.answer;
	size_t count = 0;
	value_each(cause, causes) if (count++ < FIELDS_SHOWN_MAX) add_conflict(target, ours, live ? live->root : NULL, cause, &text);
	if (count > FIELDS_SHOWN_MAX)
		buf_format(&text, "; and %zu more", count - FIELDS_SHOWN_MAX);
	redactor_apply(kube->options.redact, buf_view(&text), &safe);
	err_set(err, ERR_CONFLICT, "%s %s/%s: %zu field%s set by somebody else: %s", target->kind,
		target->namespace_ ? target->namespace_ : kube->config->namespace_, target->name, count, count == 1 ? " is" : "s are",
		safe.ptr ? safe.ptr : "");
	err->sys = EPERM;
	return err_fix(err, "mlctl deploy --force-conflicts   takes them over, as mlctl rollback --force-conflicts does; or leave the fields to their owner");
}

static int stale(struct kube *kube, const struct target *target, bool must_be_new, struct err *err) {
	return err_set(err, ERR_CONFLICT, "%s %s/%s: %s", target->kind, target->namespace_ ? target->namespace_ : kube->config->namespace_,
		target->name, must_be_new ? "it is there already" : "somebody changed it since it was read");
}

/* The reply of an earlier try was lost, and this one met an object that is not what it was: it may be our own doing. */
static int unclear(struct kube *kube, const struct target *target, struct err *err) {
	return err_set(err, ERR_UNCLEAR, "%s %s/%s: a try was sent and its reply was lost; the object has changed since, perhaps by that",
		target->kind, target->namespace_ ? target->namespace_ : kube->config->namespace_, target->name);
}

/* Does another manager own a field; and is it only the one that is to be taken? */
static bool has_owners(const struct value *causes, const char *taken_field, bool *is_taken_only) {
	size_t owned = 0, taken = 0;
	value_each(cause, causes && causes->kind == VALUE_ARRAY ? causes : NULL) {
		const struct value *reason = value_get(cause, "reason"), *field = value_get(cause, "field");
		if (!reason || reason->kind != VALUE_STRING || !str_is(reason->text, "FieldManagerConflict"))
			continue;
		owned++;
		taken += taken_field && field && field->kind == VALUE_STRING && str_is(field->text, taken_field);
	}
	*is_taken_only = owned && owned == taken;
	return owned > 0;
}

static int conflict(struct kube *kube, const struct target *target, struct kube_apply *apply, const struct http_answer *answer,
	bool was_lost, struct err *err) {
	AUTO_DOCUMENT struct document *status = kube_status_of(answer);
	const struct value *causes = status ? value_find(status->root, "details.causes") : NULL;
	apply->is_owned = has_owners(causes, apply->taken_field, &apply->is_to_be_taken);
	if (apply->is_owned)
		return owned_by_others(kube, target, apply->object, causes, err);
	if (was_lost)
		return unclear(kube, target, err);
	apply->is_stale = true;
	return stale(kube, target, apply->resource_version && !apply->resource_version[0], err);
}

/* --- apply */

static int body_of(const struct kube_apply *apply, struct document *document, char **out, struct err *err) {
	struct value *root = value_root_object(document);
	bool has_precondition = apply->resource_version || apply->uid;
	value_each(member, apply->object) {
		AUTO_FREE char *key = str_dup(member->key);
		if (!str_is(member->key, "metadata") || !has_precondition) {
			value_add_copy(document, root, key, member);
			continue;
		}
		struct value *metadata = value_add_object(document, root, key);
		value_each(own, member) {
			AUTO_FREE char *own_key = str_dup(own->key);
			if (!str_is(own->key, "resourceVersion") && !str_is(own->key, "uid"))
				value_add_copy(document, metadata, own_key, own);
		}
		if (apply->resource_version)
			value_add_text(
				document, metadata, "resourceVersion", apply->resource_version[0] ? apply->resource_version : NOT_YET);
		if (apply->uid)
			value_add_text(document, metadata, "uid", apply->uid);
	}
	return json_write(root, JSON_COMPACT, out, err);
}

static bool is_other_uid(const struct kube_apply *apply, const struct http_answer *answer) {
	return apply->uid && answer->status == 422 && answer->body && strstr(answer->body, "metadata.uid");
}

/* One apply on its way. */
struct applying {
	struct target target;
	char *body;
	struct buf url;
	bool was_lost;
	struct kube_doing doing;
};

static void applying_clear(struct applying *applying) {
	target_clear(&applying->target);
	free(applying->body);
	buf_clear(&applying->url);
}

static int prepare(struct kube *kube, struct kube_apply *apply, struct applying *out, struct rest_call *call, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("apply");
	apply->is_stale = apply->was_created = apply->is_owned = apply->is_to_be_taken = false;
	out->url = BUF(KUBE_URL_BYTES_MAX);
	if (target_of(apply->object, &out->target, err) != 0 ||
		kube_url(kube, out->target.kind, out->target.namespace_, out->target.name, NULL, &out->url, err) != 0 ||
		body_of(apply, document, &out->body, err) != 0)
		return -1;
	kube_query(&out->url, "fieldManager", STR(KUBE_FIELD_MANAGER));
	kube_query(&out->url, "force", apply->is_forced ? STR("true") : STR("false"));
	kube_query(&out->url, "fieldValidation", STR("Strict"));
	if (apply->is_dry_run)
		kube_query(&out->url, "dryRun", STR("All"));
	out->doing = (struct kube_doing){.verb = "apply",
		.kind = out->target.kind,
		.name = out->target.name,
		.namespace_ = out->target.namespace_,
		.http_method = "PATCH",
		.url = out->url.ptr};
	*call = (struct rest_call){.method = "PATCH",
		.url = out->url.ptr,
		.body = str_of(out->body),
		.content_type = "application/apply-patch+yaml",
		.accept = "application/json",
		.is_repeatable = true,
		.was_lost = &out->was_lost,
		.answer_bytes_max = KUBE_ANSWER_BYTES_MAX,
		.is_final = kube_is_final};
	return 0;
}

/* A dry run changes nothing: a reply that was lost leaves nothing unclear. */
static int not_done(struct kube *kube, const struct kube_apply *apply, const struct applying *applying, struct err *err) {
	if (apply->is_dry_run && err->code == ERR_UNCLEAR)
		err->code = ERR_NETWORK;
	return kube_explain(kube, &applying->doing, err);
}

static int done(struct kube *kube, struct kube_apply *apply, const struct applying *applying, struct http_answer *answer,
	struct document **out, struct err *err) {
	int rc = 0;
	bool has_precondition = apply->resource_version || apply->uid;
	apply->was_created = answer->status == 201;
	if (answer->status == 409 || is_other_uid(apply, answer))
		rc = conflict(kube, &applying->target, apply, answer, applying->was_lost && has_precondition && !apply->is_dry_run, err);
	else if (!kube_is_good(answer))
		rc = kube_failure(kube, &applying->doing, answer, err);
	else if (out)
		rc = kube_tree(applying->target.kind, answer, out, err);
	return rc;
}

static int apply_once(struct kube *kube, struct kube_apply *apply, struct document **out, struct err *err) {
	CLEANUP(applying_clear) struct applying applying = {0};
	struct rest_call call;
	struct http_answer answer = {0};
	if (prepare(kube, apply, &applying, &call, err) != 0)
		return -1;
	if (kube_call(kube, &call, &answer, err) != 0)
		return not_done(kube, apply, &applying, err);
	int rc = done(kube, apply, &applying, &answer, out, err);
	http_answer_clear(&answer);
	return rc;
}

int kube_apply(struct kube *kube, struct kube_apply *apply, struct document **out, struct err *err) {
	int rc = apply_once(kube, apply, out, err);
	if (rc == 0 || !apply->is_to_be_taken || apply->is_forced)
		return rc;
	err_clear(err);
	apply->is_forced = true;
	rc = apply_once(kube, apply, out, err);
	apply->is_forced = false;
	return rc;
}

int kube_apply_all(struct kube *kube, struct kube_apply *applies, size_t count, struct document **outs, struct err *errs, struct err *err) {
	if (!count)
		return 0;
	AUTO_FREE struct applying *applyings = mem_zero(count, sizeof(*applyings));
	AUTO_FREE struct rest_call *calls = mem_zero(count, sizeof(*calls));
	AUTO_FREE struct http_answer *answers = mem_zero(count, sizeof(*answers));
	AUTO_FREE struct err *said = mem_zero(count, sizeof(*said));
	AUTO_FREE size_t *of = mem_zero(count, sizeof(*of)); /* which apply a call is for: one that is wrong by itself asks nothing */
	size_t asked = 0;
	for (size_t i = 0; i < count; i++)
		if (prepare(kube, &applies[i], &applyings[i], &calls[asked], &errs[i]) == 0)
			of[asked++] = i;
	int rc = rest_call_all(&kube->rest, calls, asked, answers, said, err);
	for (size_t k = 0; k < asked; k++) {
		size_t i = of[k];
		if (rc == 0) {
			errs[i] = said[k];
			kube_heed(kube, &answers[k]);
		}
		if (rc == 0 && errs[i].code)
			best_effort(not_done(kube, &applies[i], &applyings[i], &errs[i])); /* it only adds to what is told already */
		else if (rc == 0)
			best_effort(done(
				kube, &applies[i], &applyings[i], &answers[k], outs ? &outs[i] : NULL, &errs[i])); /* told in errs[i] */
		http_answer_clear(&answers[k]);
	}
	for (size_t i = 0; i < count; i++)
		applying_clear(&applyings[i]);
	return rc;
}

/* --- other writes */

struct write {
	const char *verb, *method, *content_type;
	const char *name; /* in the path; NULL: the collection */
	const char *subresource;
	const struct value *body;
	bool is_repeatable;
};

static int write_one(struct kube *kube, const struct target *target, const struct write *write, struct document **out, struct err *err) {
	AUTO_FREE char *body = NULL;
	AUTO_BUF struct buf url = BUF(KUBE_URL_BYTES_MAX);
	if (kube_url(kube, target->kind, target->namespace_, write->name, write->subresource, &url, err) != 0 ||
		json_write(write->body, JSON_COMPACT, &body, err) != 0)
		return -1;
	kube_query(&url, "fieldManager", STR(KUBE_FIELD_MANAGER));
	kube_query(&url, "fieldValidation", STR("Strict"));
	bool was_lost = false;
	const struct kube_doing doing = {.verb = write->verb,
		.kind = target->kind,
		.name = target->name,
		.namespace_ = target->namespace_,
		.http_method = write->method,
		.url = url.ptr};
	const struct rest_call call = {.method = write->method,
		.url = url.ptr,
		.body = str_of(body),
		.content_type = write->content_type,
		.accept = "application/json",
		.is_repeatable = write->is_repeatable,
		.was_lost = &was_lost,
		.answer_bytes_max = KUBE_ANSWER_BYTES_MAX,
		.is_final = kube_is_final};
	struct http_answer answer = {0};
	int rc = kube_call(kube, &call, &answer, err);
	if (rc != 0)
		return kube_explain(kube, &doing, err);
	if (answer.status == 409 && was_lost)
		rc = unclear(kube, target, err);
	else if (answer.status == 409 && strcmp(write->verb, "create") != 0)
		rc = stale(kube, target, false, err);
	else if (!kube_is_good(&answer))
		rc = kube_failure(kube, &doing, &answer, err);
	else if (out)
		rc = kube_tree(target->kind, &answer, out, err);
	http_answer_clear(&answer);
	return rc;
}

/* A name is taken once: when another try finds it taken, that is told apart from somebody else's by reading. */
int kube_create(struct kube *kube, const struct value *object, struct document **out, struct err *err) {
	AUTO_TARGET struct target target = {0};
	if (target_of(object, &target, err) != 0)
		return -1;
	return write_one(kube, &target,
		&(struct write){
			.verb = "create", .method = "POST", .content_type = "application/json", .body = object, .is_repeatable = true},
		out, err);
}

int kube_replace(struct kube *kube, const struct value *object, struct document **out, struct err *err) {
	AUTO_TARGET struct target target = {0};
	struct str version;
	if (target_of(object, &target, err) != 0 || value_need_str(object, "metadata.resourceVersion", &version, err) != 0)
		return -1;
	return write_one(kube, &target,
		&(struct write){
			.verb = "replace", .method = "PUT", .content_type = "application/json", .name = target.name, .body = object},
		out, err);
}

/* Without a precondition, a second try could undo what somebody did between: then a lost reply is for the caller. */
int kube_patch(struct kube *kube, const char *kind, const char *name, const char *subresource, const struct value *patch,
	struct document **out, struct err *err) {
	AUTO_TARGET struct target target = {.kind = mem_text(kind), .name = mem_text(name)};
	return write_one(kube, &target,
		&(struct write){.verb = "patch",
			.method = "PATCH",
			.content_type = "application/merge-patch+json",
			.name = name,
			.subresource = subresource,
			.body = patch,
			.is_repeatable = value_find(patch, "metadata.resourceVersion") != NULL},
		out, err);
}

int kube_delete(struct kube *kube, const char *kind, const char *name, const char *uid, const char *resource_version, bool *was_there,
	struct err *err) {
	AUTO_BUF struct buf url = BUF(KUBE_URL_BYTES_MAX);
	AUTO_DOCUMENT struct document *document = document_new("delete");
	AUTO_FREE char *body = NULL;
	struct value *root = value_root_object(document);
	value_add_text(document, root, "kind", "DeleteOptions");
	value_add_text(document, root, "apiVersion", "v1");
	value_add_text(document, root, "propagationPolicy", "Background");
	struct value *preconditions = uid || resource_version ? value_add_object(document, root, "preconditions") : NULL;
	if (uid)
		value_add_text(document, preconditions, "uid", uid);
	if (resource_version)
		value_add_text(document, preconditions, "resourceVersion", resource_version);
	if (kube_url(kube, kind, NULL, name, NULL, &url, err) != 0 || json_write(root, JSON_COMPACT, &body, err) != 0)
		return -1;
	bool was_lost = false;
	const struct kube_doing doing = {.verb = "delete", .kind = kind, .name = name, .http_method = "DELETE", .url = url.ptr};
	const struct rest_call call = {.method = "DELETE",
		.url = url.ptr,
		.body = str_of(body),
		.content_type = "application/json",
		.accept = "application/json",
		.was_lost = &was_lost,
		.answer_bytes_max = KUBE_ANSWER_BYTES_MAX,
		.is_final = kube_is_final};
	struct http_answer answer = {0};
	int rc = kube_call(kube, &call, &answer, err);
	if (rc != 0)
		return kube_explain(kube, &doing, err);
	AUTO_DOCUMENT struct document *status = answer.status == 404 ? kube_status_of(&answer) : NULL;
	bool is_gone = status && value_find(status->root, "details.name");
	if (answer.status == 409)
		rc = err_set(err, ERR_CONFLICT, "delete %s %s: another object has this name now, or it changed since it was read", kind, name);
	else if (!kube_is_good(&answer) && !is_gone)
		rc = kube_failure(kube, &doing, &answer, err);
	if (rc == 0 && was_there)
		*was_there = !is_gone || was_lost;
	http_answer_clear(&answer);
	return rc;
}

/* --- permissions */

static int may_body(const struct kube *kube, const struct kube_permission *permission, char **out, struct err *err) {
	AUTO_DOCUMENT struct document *document = document_new("may");
	struct value *root = value_root_object(document);
	struct str subresource, main = str_cut(str_of(permission->resource), '/', &subresource);
	value_add_text(document, root, "apiVersion", "authorization.k8s.io/v1");
	value_add_text(document, root, "kind", "SelfSubjectAccessReview");
	struct value *asked = value_add_object(document, value_add_object(document, root, "spec"), "resourceAttributes");
	bool is_cluster_wide = false;
	for (const struct kube_kind *row = kube_kinds; row->kind; row++)
		is_cluster_wide = is_cluster_wide || (!row->is_namespaced && str_is(main, row->plural));
	if (!is_cluster_wide)
		value_add_text(document, asked, "namespace", kube->config->namespace_);
	value_add_text(document, asked, "verb", permission->verb);
	value_add_text(document, asked, "group", permission->group);
	value_add_str(document, asked, "resource", main);
	if (subresource.ptr)
		value_add_str(document, asked, "subresource", subresource);
	return json_write(root, JSON_COMPACT, out, err);
}

static int may_answer(struct kube *kube, const struct kube_doing *doing, const struct http_answer *answer, bool *out, struct err *err) {
	AUTO_DOCUMENT struct document *said = NULL;
	if (!kube_is_good(answer))
		return kube_failure(kube, doing, answer, err);
	if (kube_tree("SelfSubjectAccessReview", answer, &said, err) != 0)
		return -1;
	return value_opt_bool(said->root, "status.allowed", false, out, err);
}

int kube_may_all(struct kube *kube, struct kube_permission *permissions, size_t count, struct err *err) {
	if (!count)
		return 0;
	AUTO_FREE char *url = mem_format("%s/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", kube->config->server);
	AUTO_FREE struct rest_call *calls = mem_zero(count, sizeof(*calls));
	AUTO_FREE struct http_answer *answers = mem_zero(count, sizeof(*answers));
	AUTO_FREE struct err *said = mem_zero(count, sizeof(*said));
	AUTO_FREE char **bodies = mem_zero(count, sizeof(*bodies));
	const struct kube_doing doing = {.verb = "ask for permissions:", .http_method = "POST", .url = url};
	int rc = 0;
	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = may_body(kube, &permissions[i], &bodies[i], err);
		calls[i] = (struct rest_call){.method = "POST",
			.url = url,
			.body = str_of(bodies[i]),
			.content_type = "application/json",
			.accept = "application/json",
			.is_repeatable = true,
			.is_final = kube_is_final};
	}
	if (rc == 0)
		rc = rest_call_all(&kube->rest, calls, count, answers, said, err);
	for (size_t i = 0; i < count; i++) {
		struct kube_permission *permission = &permissions[i];
		permission->is_allowed = false;
		permission->err = said[i];
		if (rc == 0 && permission->err.code == ERR_UNCLEAR)
			permission->err.code = ERR_NETWORK; /* it was a question */
		if (rc == 0 && permission->err.code)
			best_effort(kube_explain(kube, &doing, &permission->err)); /* it only adds to what is told already */
		else if (rc == 0)
			best_effort(may_answer(kube, &doing, &answers[i], &permission->is_allowed, &permission->err)); /* told there */
		http_answer_clear(&answers[i]);
		free(bodies[i]);
	}
	return rc;
}

int kube_may(struct kube *kube, const char *verb, const char *group, const char *resource, bool *out, struct err *err) {
	struct kube_permission permission = {.verb = verb, .group = group, .resource = resource};
	if (kube_may_all(kube, &permission, 1, err) != 0)
		return -1;
	if (permission.err.code) {
		*err = permission.err;
		return -1;
	}
	*out = permission.is_allowed;
	return 0;
}
