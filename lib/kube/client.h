/* One Kubernetes API server, as one user, in one namespace: read, server-side apply, delete, logs, requests to a pod or service through the server's
 * proxy, and mirrors (a list that a watch keeps true). Sources: Kubernetes API concepts (v1.33), ../shared/api/kubernetes.md.
 *
 * Objects are plain trees (data/value.h); the path of one is made from its apiVersion, kind and name by a constant table of the kinds that mlctl
 * handles. A caller never builds a URL. Nothing here decides or waits, but for what rest.h retries. */
#pragma once

#include "net/rest.h"
#include "os/fs.h"

#define KUBE_NAME_MAX 254
#define KUBE_FIELD_MANAGER "mlctl"

struct kube_options {
	struct http *http;
	const struct clock *clock;
	const struct env *env;     /* KUBECONFIG, HOME, KUBERNETES_SERVICE_HOST, MLCTL_CREDENTIAL_HELPERS */
	struct redactor *redact;
	const struct log *log;
	const char *context;       /* of the kubeconfig; NULL: its current one, or the cluster that this process runs in */
	const char *namespace_;    /* NULL: the context's, or "default" */
	void (*warn)(void *self, const char *text); /* the server's Warning headers, each text once; NULL: nobody listens */
	void *warn_self;
};

/* Opens nothing on the network. ERR_CONFIG names the file, the line and what would be right. */
struct kube;
int kube_open(const struct kube_options *options, struct kube **out, struct err *err);
void kube_close(struct kube *kube); /* its mirrors are closed first */
CLEANUP_POINTER(kube, struct kube *, kube_close)
#define AUTO_KUBE __attribute__((cleanup(kube_at_exit)))
const char *kube_namespace(const struct kube *kube);
const char *kube_server(const struct kube *kube);  /* "https://10.0.0.1:6443", for messages */
const char *kube_context(const struct kube *kube); /* "" inside a cluster */
/* Until when calls are tried again, however often; 0: rest.h's own five tries, a few seconds. For whoever has a deadline (an interrupt, an undo). */
void kube_set_deadline(struct kube *kube, int64_t deadline_ms);
/* The server's clock, by the Date of its answers and what passed since: what it writes into objects is compared with this. Ours before the first answer. */
int64_t kube_now_s(const struct kube *kube);

/* What a kind is called on the wire: {"apps/v1", "Deployment", "deployments", true}. NULL: not one that mlctl handles. */
struct kube_kind {
	const char *api_version, *kind, *plural;
	bool is_namespaced;
};
const struct kube_kind *kube_kind_find(const char *kind);
extern const struct kube_kind kube_kinds[]; /* ends with a zeroed one */

/* One object. ERR_NOT_FOUND. */
int kube_get(struct kube *kube, const char *kind, const char *name, struct document **out, struct err *err);
/* All objects of a kind that match (NULL: all), in pages; the tree is {"items": [...], "metadata": {"resourceVersion": ..}}. Kinds without a
 * namespace, and kinds in another, by namespace_ (NULL: ours). */
struct kube_selection {
	const char *kind, *namespace_, *labels, *fields; /* "a=b,c=d", "metadata.name=x" */
	bool is_brief;  /* metadata alone comes (PartialObjectMetadata): whether a Secret is there, without what is in it */
	int count_max;  /* of a list that is asked for: what is beyond is left out; 0: all */
};
int kube_list(struct kube *kube, const struct kube_selection *selection, struct document **out, struct err *err);
/* Several gets or lists at once, side by side on the wire; each result as if it had been asked alone. */
struct kube_ask {
	struct kube_selection selection;
	const char *name;         /* NULL: a list */
	bool is_cached;           /* what the API server holds in memory will do: it may be a moment old, and costs half the time */
	const struct value *known; /* lent: what it would answer was read a moment ago, so it is not asked; NULL: it is */
	struct document *answer;  /* the caller's to free; NULL when it failed, and of one that is known */
	struct err err;
};
int kube_ask_all(struct kube *kube, struct kube_ask *asks, size_t count, struct err *err); /* fails only when interrupted */

/* Server-side apply of exactly the fields in `object`. ERR_CONFLICT: either another manager owns a field (the message names each field, its
 * owner, both values when the live object is at hand, and what to do; err.fix too), or resource_version is not the object's any more (is_stale).
 * ERR_INVALID: refused by validation or admission, with the server's causes field by field. *out may be NULL. */
struct kube_apply {
	const struct value *object;
	const char *resource_version; /* precondition; NULL: none; "": it must not exist yet */
	const char *uid;              /* of the object that is meant; NULL: any. Without it a precondition on an object that was deleted makes it anew */
	const char *taken_field;      /* ".spec.replicas": taken over without a word when nothing else is in conflict; NULL: none */
	bool is_dry_run, is_forced;
	bool is_stale, was_created;   /* out */
	bool is_owned, is_to_be_taken; /* out: another manager owns a field; only taken_field (kube_apply_all leaves it) */
};
int kube_apply(struct kube *kube, struct kube_apply *apply, struct document **out, struct err *err);
/* POST; ERR_CONFLICT when it is there already. PUT of a whole object that holds its resourceVersion; ERR_CONFLICT when that is not the object's. */
int kube_create(struct kube *kube, const struct value *object, struct document **out, struct err *err);
int kube_replace(struct kube *kube, const struct value *object, struct document **out, struct err *err);
/* JSON merge patch of one object, or of its subresource ("scale", NULL: none). */
int kube_patch(struct kube *kube, const char *kind, const char *name, const char *subresource, const struct value *patch, struct document **out,
	struct err *err);
/* In the background. What is not there is fine (*was_there may be NULL). ERR_CONFLICT: the object of that name has another uid or resourceVersion than
 * these; NULL: any. */
int kube_delete(struct kube *kube, const char *kind, const char *name, const char *uid, const char *resource_version, bool *was_there,
	struct err *err);

/* Several applies side by side, for what depends on nobody: a dry run of everything, a preview. outs[i] (outs may be NULL) or errs[i] as if asked
 * alone; fails only when interrupted. */
int kube_apply_all(struct kube *kube, struct kube_apply *applies, size_t count, struct document **outs, struct err *errs, struct err *err);
/* May we? SelfSubjectAccessReview. resource as in RBAC: "deployments", "pods/proxy"; group "" for core. */
int kube_may(struct kube *kube, const char *verb, const char *group, const char *resource, bool *out, struct err *err);
/* Several at once. */
struct kube_permission {
	const char *verb, *group, *resource;
	bool is_allowed;          /* out */
	struct err err;           /* out */
};
int kube_may_all(struct kube *kube, struct kube_permission *permissions, size_t count, struct err *err); /* fails only when interrupted */
/* Raw GET of a path below the server ("/version", "/readyz", "/apis"), as text. */
int kube_read(struct kube *kube, const char *path, char **out, struct err *err);

/* One request to a port of a pod or a service through the API server's proxy. Whatever status comes back is an answer; an error is a server that
 * could not be reached or would not pass it on (its own 404, 403, and 503 when nothing listens there are told apart by the Status body).
 * ERR_NETWORK: nothing listens there; ERR_TIMEOUT: it took the request and did not answer in time; ERR_UNCLEAR: the API server itself could not be
 * reached, was lost or could not ask, which says nothing of what is behind it. A key is sent as the header Mlctl-Key. */
struct kube_proxy {
	const char *kind;        /* "Pod" or "Service" */
	const char *name;
	int port;
	const char *method, *path, *body; /* body NULL: none; sent as application/json */
	const struct secret *key;         /* NULL: none */
	bool is_hop;                      /* Mlctl-Hop: the one that takes it answers it itself */
	int64_t timeout_ms;
};
int kube_proxy(struct kube *kube, const struct kube_proxy *proxy, struct http_answer *answer, struct err *err);
/* Several at once; answers[i] and errs[i] as if asked alone. */
int kube_proxy_all(struct kube *kube, const struct kube_proxy *proxies, size_t count, struct http_answer *answers, struct err *errs, struct err *err);

/* The last lines of a container's log, or of the one before its last restart; since_time (RFC 3339, NULL: none) with timestamps to follow on.
 * Owned text, at most bytes_max of its end. */
struct kube_logs {
	const char *pod, *container, *since_time;
	int lines; /* 0: all */
	bool is_previous, has_timestamps;
	size_t bytes_max;
};
int kube_logs(struct kube *kube, const struct kube_logs *logs, char **out, struct err *err);
