/* What the files of this room share: the connection, how a path is made, how an answer becomes a tree or an error. Nobody else includes it. */
#pragma once

#include "kube/client.h"
#include "kube/config.h"

#define KUBE_ANSWER_BYTES_MAX ((size_t) 16 * 1024 * 1024)
#define KUBE_URL_BYTES_MAX ((size_t) 12 * 1024)

struct kube {
	struct kube_options options;
	struct kube_config *config;
	struct kube_config_options config_options;
	struct auth auth;
	struct rest rest;
	struct http_tls tls;
	struct texts warned;
	struct mirror *mirrors; /* open ones, linked */
	int64_t ahead_ms;	/* of the server's clock, before our monotonic one; 0: not known yet */
};

/* What is being done, for messages. */
struct kube_doing {
	const char *verb;              /* as a person says it: "apply", "create", "read", "list", "delete" */
	const char *kind, *name;       /* name NULL: all of the kind */
	const char *namespace_;        /* NULL: ours */
	const char *http_method, *url; /* for what has no better words */
};

/* The URL of a kind's collection (name NULL) or of one object, or its subresource. ERR_INVALID when mlctl does not handle the kind. */
int kube_url(const struct kube *kube, const char *kind, const char *namespace_, const char *name, const char *subresource, struct buf *out,
	struct err *err);
/* '?' first, then '&': name=value with the value encoded. */
void kube_query(struct buf *url, const char *name, struct str value);

/* Every whole answer but those that are worth another try. */
bool kube_is_final(const struct http_answer *answer);
bool kube_is_good(const struct http_answer *answer); /* 2xx */
/* The server's Warning headers, to whoever listens. */
void kube_heed(struct kube *kube, const struct http_answer *answer);
/* rest_call() with what every call here has. */
int kube_call(struct kube *kube, const struct rest_call *call, struct http_answer *answer, struct err *err);
/* The body as a tree. */
int kube_tree(const char *name, const struct http_answer *answer, struct document **out, struct err *err);
/* What a whole answer that is no success means (status.c). */
int kube_failure(struct kube *kube, const struct kube_doing *doing, const struct http_answer *answer, struct err *err);
/* What rest.h said, with what this room knows about it: whose CA, which API server. */
int kube_explain(struct kube *kube, const struct kube_doing *doing, struct err *err);
/* The Status inside an answer: NULL when there is none. */
struct document *kube_status_of(const struct http_answer *answer);
/* The value at a path as conflicts and causes name fields: ".spec.containers[name=\"c\"].image", "metadata.labels.app.kubernetes.io/name". */
const struct value *kube_field(const struct value *object, struct str path);
/* A value for a message: at most 60 characters of JSON; a Secret's data is "***". */
void kube_show(const struct value *value, bool is_hidden, struct buf *out);

void mirrors_close(struct kube *kube);
