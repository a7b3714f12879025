#include "kube/wire.h"

#include <errno.h>

#define CAUSES_SHOWN_MAX 8
#define SHOWN_BYTES_MAX ((size_t) 60)
#define WORDS_BYTES_MAX ((size_t) 900)

/* A Status, taken apart. */
struct said {
	struct str message, reason, kind, name; /* kind is the details': a plural */
	const struct value *causes;
	int status;
};

struct document *kube_status_of(const struct http_answer *answer) {
	CLEANUP(document_at_exit) struct document *document = NULL;
	struct value_limits limits = {.bytes_max = 1024 * 1024, .nodes_max = 20000, .depth_max = 32};
	struct err scratch = {0};
	struct str none = {"", 0}, kind, version;
	if (!answer->body || json_read("answer", (struct str){answer->body, answer->body_len}, limits, &document, &scratch) != 0 ||
		document->root->kind != VALUE_OBJECT || value_opt_str(document->root, "kind", none, &kind, &scratch) != 0 ||
		value_opt_str(document->root, "apiVersion", none, &version, &scratch) != 0 || !str_is(kind, "Status") ||
		!str_is(version, "v1"))
		return NULL;
	return take(&document);
}

static struct str text_at(const struct value *object, const char *path) {
	const struct value *value = value_find(object, path);
	return value && value->kind == VALUE_STRING ? value->text : (struct str){"", 0};
}

static struct said take_apart(const struct document *status, const struct http_answer *answer) {
	struct said said = {.status = answer->status, .message = {"", 0}, .reason = {"", 0}, .kind = {"", 0}, .name = {"", 0}};
	if (!status)
		return said;
	said.message = text_at(status->root, "message");
	said.reason = text_at(status->root, "reason");
	said.kind = text_at(status->root, "details.kind");
	said.name = text_at(status->root, "details.name");
	said.causes = value_find(status->root, "details.causes");
	if (said.causes && said.causes->kind != VALUE_ARRAY)
		said.causes = NULL;
	return said;
}

static bool holds(struct str text, const char *part) {
	return text.len && memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* What follows `part`; empty when it is not there. */
static struct str after(struct str text, const char *part) {
	const char *at = text.len ? memmem(text.ptr, text.len, part, strlen(part)) : NULL;
	if (!at)
		return (struct str){"", 0};
	at += strlen(part);
	return (struct str){at, (size_t) (text.ptr + text.len - at)};
}

/* The text in quotes that begins right after `part`. */
static struct str quoted_after(struct str text, const char *part) {
	struct str rest = after(text, part), end;
	struct str inside = str_cut(rest, '"', &end);
	return end.ptr ? inside : (struct str){"", 0};
}

/* "Deployment ml/web", "Namespace ml", "Pods of ml". */
static void thing(const struct kube *kube, const struct kube_doing *doing, struct buf *out) {
	const struct kube_kind *row = doing->kind ? kube_kind_find(doing->kind) : NULL;
	const char *namespace_ = doing->namespace_ ? doing->namespace_ : kube->config->namespace_;
	if (!row) {
		url_redact(doing->url, out);
		return;
	}
	buf_text(out, doing->name ? row->kind : row->plural);
	if (row->is_namespaced)
		buf_format(out, doing->name ? " %s/" : " of %s", namespace_);
	if (doing->name)
		buf_format(out, row->is_namespaced ? "%s" : " %s", doing->name);
}

static const char *namespace_of(const struct kube *kube, const struct kube_doing *doing) {
	return doing->namespace_ ? doing->namespace_ : kube->config->namespace_;
}

/* --- one for each status */

static int not_known(struct kube *kube, const struct kube_doing *doing, const char *what, struct err *err) {
	const struct kube_config *config = kube->config;
	if (config->is_in_cluster)
		err_set(err, ERR_AUTH, "%s %s: the API server does not take the service account's token (401)", doing->verb, what);
	else if (!config->user[0] || !(config->token.text || config->basic.text || config->certificate || config->exec))
		err_set(err, ERR_AUTH,
			"%s %s: the API server at %s wants to know who asks, and context \"%s\" names no user with a credential",
			doing->verb, what, config->server, config->context);
	else
		err_set(err, ERR_AUTH,
			"%s %s: the API server at %s does not take the credential of user \"%s\" of context \"%s\": expired, or not "
			"one of its own (401)",
			doing->verb, what, config->server, config->user, config->context);
	kube_config_fix_login(config, err);
	err->sys = EKEYEXPIRED;
	return -1;
}

/* User "U" cannot VERB resource "R" in API group "G" in the namespace "N" (or: at the cluster scope). */
static int not_allowed(const struct said *said, const struct kube_doing *doing, const char *what, struct err *err) {
	struct str user = quoted_after(said->message, "User \""), resource = quoted_after(said->message, " resource \"");
	struct str group = quoted_after(said->message, " in API group \""),
		   namespace_ = quoted_after(said->message, " in the namespace \"");
	struct str rest, verb = str_cut(after(said->message, "\" cannot "), ' ', &rest);
	err_set(err, ERR_AUTH, "%s %s: user \"%.*s\" may not %.*s %.*s%s%.*s %s%.*s%s (403)", doing->verb, what, STR_ARGS(user),
		STR_ARGS(verb), STR_ARGS(resource), group.len ? "." : "", STR_ARGS(group),
		namespace_.len ? "in namespace \"" : "at the cluster scope", STR_ARGS(namespace_), namespace_.len ? "\"" : "");
	return err_fix(err,
		"kubectl apply -f manifests/deployer.yaml   or a Role with {apiGroups: [\"%.*s\"], resources: [%.*s], verbs: [%.*s]}",
		STR_ARGS(group), STR_ARGS(resource), STR_ARGS(verb));
}

static void fix_of_refusal(struct kube *kube, const struct kube_doing *doing, struct str why, struct err *err) {
	const char *namespace_ = namespace_of(kube, doing);
	if (holds(why, "exceeded quota: ")) {
		struct str rest, quota = str_cut(after(why, "exceeded quota: "), ',', &rest);
		err_fix(err, "kubectl describe resourcequota %.*s -n %s   and ask for less (resources, scale), or for a larger quota",
			STR_ARGS(quota), namespace_);
	} else if (holds(why, "failed quota: ")) {
		err_fix(err, "the quota wants a request and a limit: set resources in mlctl.yaml");
	} else if (holds(why, "because it is being terminated")) {
		err_fix(err, "kubectl get namespace %s   and wait until it is gone, or use another", namespace_);
	} else if (holds(why, "violates PodSecurity")) {
		err_fix(err,
			"give the container what the policy wants, or choose another level: kubectl label namespace %s "
			"pod-security.kubernetes.io/enforce=baseline --overwrite",
			namespace_);
	} else if (holds(why, "admission webhook")) {
		struct str webhook = quoted_after(why, "admission webhook \"");
		err_fix(err,
			"whoever runs the webhook %.*s decides: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
			STR_ARGS(webhook));
	} else if (holds(why, "ValidatingAdmissionPolicy")) {
		err_fix(err, "kubectl get validatingadmissionpolicies,validatingadmissionpolicybindings");
	} else if (holds(why, "per Container") || holds(why, "per Pod")) {
		err_fix(err, "kubectl describe limitrange -n %s   and set resources in mlctl.yaml within it", namespace_);
	} else if (holds(why, "field is immutable")) {
		err_fix(err, "this field cannot be changed: another name, or delete the object first");
	}
}

/* Admission: whoever may ask was told no because of what is asked. */
static int refused(struct kube *kube, const struct said *said, const struct kube_doing *doing, const char *what, struct err *err) {
	AUTO_BUF struct buf words = BUF((size_t) 8 * 1024);
	struct str why = after(said->message, "\" is forbidden: ");
	redactor_quote(kube->options.redact, why.len ? why : said->message, WORDS_BYTES_MAX, &words);
	err_set(err, ERR_INVALID, "%s %s: refused by the cluster: %s", doing->verb, what, words.len ? words.ptr : "no reason given");
	fix_of_refusal(kube, doing, said->message, err);
	return -1;
}

/* Served by nobody: a version that was removed, or what somebody has to install first. */
static int not_served(struct kube *kube, const struct kube_doing *doing, struct err *err) {
	const struct kube_kind *row = kube_kind_find(doing->kind);
	err_set(err, ERR_NOT_FOUND, "%s: the API server at %s does not serve %s %s", doing->verb, kube->config->server, row->api_version,
		row->kind);
	err->sys = EOPNOTSUPP;
	if (strcmp(row->kind, "HTTPRoute") == 0)
		return err_fix(err,
			"install the Gateway API (https://gateway-api.sigs.k8s.io) and one of its controllers, or leave the route out");
	if (strcmp(row->api_version, "monitoring.coreos.com/v1") == 0)
		return err_fix(err, "install the Prometheus operator, or leave the %s out", row->kind);
	return err_fix(err, "Kubernetes 1.23 or newer serves it: kubectl version");
}

static int not_there(struct kube *kube, const struct said *said, const struct kube_doing *doing, const char *what, struct err *err) {
	const struct kube_kind *row = doing->kind ? kube_kind_find(doing->kind) : NULL;
	bool is_namespace = str_is(said->kind, "namespaces") && row && row->is_namespaced;
	if (is_namespace) {
		err_set(err, ERR_NOT_FOUND, "%s %s: the namespace \"%.*s\" is not there", doing->verb, what, STR_ARGS(said->name));
		return err_fix(err, "kubectl create namespace %.*s", STR_ARGS(said->name));
	}
	bool is_unserved = row && (!said->message.len || holds(said->message, "the server could not find the requested resource"));
	if (is_unserved)
		return not_served(kube, doing, err);
	if (row)
		return err_set(err, ERR_NOT_FOUND, "%s is not there", what);
	return err_set(err, ERR_NOT_FOUND, "%s %s: not found", doing->verb, what);
}

/* 422 and 400: field by field, as the server has it. The same cause may come twice. */
static int invalid(struct kube *kube, const struct said *said, const struct kube_doing *doing, const char *what, struct err *err) {
	AUTO_BUF struct buf text = BUF((size_t) 16 * 1024), words = BUF((size_t) 64 * 1024);
	size_t shown = 0, count = 0;
	const struct value *before = NULL;
	value_each(cause, said->causes) {
		struct str field = text_at(cause, "field"), message = text_at(cause, "message");
		if (before && value_equal(before, cause))
			continue;
		before = cause;
		count++;
		if (!message.len || shown >= CAUSES_SHOWN_MAX)
			continue;
		buf_text(&words, shown++ ? "; " : "");
		if (field.len && !str_is(field, "<nil>")) {
			buf_str(&words, field);
			buf_text(&words, ": ");
		}
		buf_str(&words, message);
	}
	if (count > shown)
		buf_format(&words, "; and %zu more", count - shown);
	redactor_quote(kube->options.redact, shown ? buf_view(&words) : said->message, WORDS_BYTES_MAX, &text);
	const char *by = holds(said->message, "denied") ? "refused by the cluster" : "not valid";
	err_set(err, ERR_INVALID, "%s %s: %s: %s", doing->verb, what, by, text.len ? text.ptr : "no reason given");
	fix_of_refusal(kube, doing, said->message.len ? said->message : buf_view(&words), err);
	return -1;
}

/* ".spec.replicaz: field not declared in schema", wrapped in what a patch is called inside the server. */
static int unknown_field(const struct said *said, const struct kube_doing *doing, const char *what, struct err *err) {
	struct str text = said->message;
	const char *end = memmem(text.ptr, text.len, ": field not declared in schema", 30);
	size_t to = end ? (size_t) (end - text.ptr) : text.len, from = to;
	while (from && text.ptr[from - 1] != ' ')
		from--;
	return err_set(err, ERR_INVALID,
		"%s %s: the cluster knows no field %.*s of a %s: misspelt, or newer than its version of Kubernetes", doing->verb, what,
		(int) (to - from), text.ptr + from, doing->kind ? doing->kind : "thing of this kind");
}

int kube_failure(struct kube *kube, const struct kube_doing *doing, const struct http_answer *answer, struct err *err) {
	AUTO_DOCUMENT struct document *status = kube_status_of(answer);
	struct said said = take_apart(status, answer);
	AUTO_BUF struct buf what = BUF(KUBE_URL_BYTES_MAX), words = BUF((size_t) 8 * 1024);
	bool is_write = doing->http_method && strcmp(doing->http_method, "GET") != 0;
	thing(kube, doing, &what);
	if (said.status == 401)
		return not_known(kube, doing, what.ptr, err);
	if (said.status == 403 && holds(said.message, "User \"system:anonymous\" cannot "))
		return not_known(kube, doing, what.ptr, err);
	if (said.status == 403 && holds(said.message, "\" cannot ") && holds(said.message, " resource \""))
		return not_allowed(&said, doing, what.ptr, err);
	if (said.status == 403 && status && is_write)
		return refused(kube, &said, doing, what.ptr, err);
	if (said.status == 404)
		return not_there(kube, &said, doing, what.ptr, err);
	if (status && is_write && (said.status == 422 || said.status == 400 || said.status == 413))
		return invalid(kube, &said, doing, what.ptr, err);
	if (said.status == 500 && holds(said.message, "field not declared in schema"))
		return unknown_field(&said, doing, what.ptr, err);
	redactor_quote(kube->options.redact, said.message, WORDS_BYTES_MAX, &words);
	if (said.status == 409)
		return err_set(err, ERR_CONFLICT, "%s %s: %s", doing->verb, what.ptr,
			str_is(said.reason, "AlreadyExists") ? "it is there already"
			: words.len			     ? words.ptr
							     : "conflict");
	if (said.status == 410)
		return err_set(err, ERR_NETWORK, "%s %s: the server does not remember that far back: %s", doing->verb, what.ptr,
			words.len ? words.ptr : "410");
	if (status && words.len)
		return err_set(
			err, said.status == 403 ? ERR_AUTH : ERR_FAILED, "%s %s: %d: %s", doing->verb, what.ptr, said.status, words.ptr);
	return rest_failure(&kube->rest, doing->http_method ? doing->http_method : "GET", doing->url, answer, 1, err);
}

int kube_explain(struct kube *kube, const struct kube_doing *doing, struct err *err) {
	const struct kube_config *config = kube->config;
	const char *where = config->is_in_cluster ? "this cluster" : config->context;
	(void) doing;
	if (strstr(err->message, "failed calling webhook")) {
		struct str name = quoted_after(str_of(err->message), "failed calling webhook \"");
		err_fix(err, "the webhook %.*s does not answer: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
			STR_ARGS(name));
		return -1;
	}
	if (err->code == ERR_AUTH && strstr(err->message, "not signed by a CA known here")) {
		if (config->ca)
			return err_fix(err,
				"the cluster's certificate-authority in %s is not the one that signed it: write the context anew",
				config->source);
		return err_fix(err, "clusters[%s].cluster in %s: certificate-authority: FILE with the CA that signed it", config->cluster,
			config->source);
	}
	if (err->code == ERR_NETWORK || err->code == ERR_TIMEOUT || err->code == ERR_UNCLEAR) {
		err_wrap(err, "the API server of %s%s%s", config->is_in_cluster ? "" : "context \"", where,
			config->is_in_cluster ? "" : "\"");
		if (err->code != ERR_UNCLEAR)
			err_fix(err, config->is_in_cluster ? "kubectl get --raw /readyz" : "kubectl --context %s get --raw /readyz", where);
	}
	return -1;
}

/* --- fields */

/* [name="c",port=80] of a list of objects, [="x"] of a list of values, [3]. */
static const struct value *element(const struct value *list, struct str key) {
	int64_t index;
	if (num_int(key, 0, 100000, &index) == 0)
		return value_at(list, (size_t) index);
	value_each(item, list) {
		bool is_it = true;
		for (struct str rest = key; rest.len && is_it;) {
			struct str wanted, name = str_cut(rest, '=', &wanted);
			const struct value *its = name.len ? NULL : item;
			struct str after_it = {"", 0};
			bool is_text = str_starts(wanted, "\"");
			AUTO_FREE char *member = str_dup(name);
			if (!its)
				its = value_get(item, member);
			if (is_text) {
				wanted = str_cut((struct str){wanted.ptr + 1, wanted.len - 1}, '"', &after_it);
				if (after_it.len && after_it.ptr[0] == ',')
					after_it = (struct str){after_it.ptr + 1, after_it.len - 1};
			} else {
				wanted = str_cut(wanted, ',', &after_it);
			}
			is_it = its && its->kind == (is_text ? VALUE_STRING : VALUE_NUMBER) && str_equal(its->text, wanted);
			rest = after_it;
		}
		if (is_it)
			return item;
	}
	return NULL;
}

/* Names may hold dots themselves (labels): the longest member that fits is meant. */
const struct value *kube_field(const struct value *object, struct str path) {
	const struct value *at = object;
	while (at && path.len) {
		if (path.ptr[0] == '[') {
			struct str rest, key = str_cut((struct str){path.ptr + 1, path.len - 1}, ']', &rest);
			at = at->kind == VALUE_ARRAY ? element(at, key) : NULL;
			path = rest;
			continue;
		}
		if (path.ptr[0] == '.')
			path = (struct str){path.ptr + 1, path.len - 1};
		const struct value *best = NULL;
		value_each(member, at->kind == VALUE_OBJECT ? at : NULL) {
			struct str key = member->key;
			bool fits = key.len && key.len <= path.len && memcmp(key.ptr, path.ptr, key.len) == 0 &&
				    (key.len == path.len || path.ptr[key.len] == '.' || path.ptr[key.len] == '[');
			if (fits && (!best || key.len > best->key.len))
				best = member;
		}
		if (best)
			path = (struct str){path.ptr + best->key.len, path.len - best->key.len};
		at = best;
	}
	return at;
}

void kube_show(const struct value *value, bool is_hidden, struct buf *out) {
	AUTO_FREE char *text = NULL;
	struct err scratch = {0};
	if (!value) {
		buf_text(out, "nothing");
		return;
	}
	if (is_hidden) {
		buf_text(out, "***");
		return;
	}
	if (json_write(value, JSON_COMPACT, &text, &scratch) != 0)
		return;
	struct str shown = str_of(text);
	bool is_long = shown.len > SHOWN_BYTES_MAX;
	if (is_long) {
		shown.len = SHOWN_BYTES_MAX;
		while (shown.len && ((unsigned char) shown.ptr[shown.len] & 0xc0) == 0x80)
			shown.len--;
	}
	buf_str(out, shown);
	buf_text(out, is_long ? "..." : "");
}
