/* Target "kubernetes", its parts among themselves: lib/target/kubernetes*.c and nobody else.
 *
 * Objects: Deployment NAME with Service, autoscaler and the rest, and Deployment and Service NAME-canary only while a canary runs; rendered from templates
 * (kubernetes_objects.h) and recorded in the release. Beside them, ours alone:
 *   ConfigMap mlctl.NAME       the head, as its one text; swapped by resourceVersion
 *   Secret    mlctl.NAME.rN    what a rollback to rN needs, gzip
 *   Secret    NAME-v-...       the key of that revision's control listener
 * Every object carries the labels mlctl.dev/service and mlctl.dev/env; one without them is never touched. A change reads the objects, then the head, whose
 * lock must still name our fence, then writes with the resourceVersion it read: whoever lost the lock in between is refused by the server. */
#pragma once

#include "kube/mirror.h"
#include "target/kubernetes_cause.h"
#include "target/kubernetes_objects.h"

#define LABEL_SERVICE OBJECTS_LABEL_SERVICE
#define LABEL_ENV OBJECTS_LABEL_ENV
#define LABEL_ROLE OBJECTS_LABEL_ROLE	    /* stable, canary */
#define LABEL_REVISION OBJECTS_LABEL_REVISION /* on Deployments and pods */
#define LABEL_PART "mlctl.dev/part"	    /* head, keep, control: ours alone */
#define ANNOTATION_FENCE "mlctl.dev/fence"
#define ANNOTATION_RELEASE "mlctl.dev/release"
#define ANNOTATION_CLUSTER "mlctl.dev/cluster"
#define ANNOTATION_KEY "mlctl.dev/key" /* of pods: the uid of the Secret that their control listener's key came from */

#define PODS_MAX TARGET_REPLICAS_MAX
#define CONTROL_TIMEOUT_MS 5000
#define CONTROL_KEYS_MAX 16
#define MOMENT_MS 1000 /* what was read so short a time ago needs no reading again, for whoever only looks */
#define TEXT_BYTES_MAX ((size_t) 8 * 1024 * 1024)

struct answered { /* a pod that has told its revision once: it can't become another */
	char uid[64];
	int restarts;
};

#define PROBED_MAX 16
struct probed { /* a pod without counters for us, and what we asked of it */
	char uid[64];
	struct sample sample;
};

struct log_end { /* how far a pod's log was read */
	char uid[64], newest[64];
};

/* What is there now of the service: trees lent from `asks`, or from `made`, which copies what the mirrors hold. */
#define VIEW_ASKS 4
struct view {
	const struct value *main, *canary; /* Deployments; NULL: not there */
	const struct value *pods[PODS_MAX]; /* in order of name, and behind them those on their way out */
	size_t pod_count;
	const struct value *all; /* the pods as an array */
	const struct value *scaler; /* NULL: none, or not asked */
	struct document *made;
	struct kube_ask asks[VIEW_ASKS];
	int64_t at_ms; /* when it was asked */
};

struct kubernetes {
	struct target_context context;
	struct kube *kube;
	char *name, *canary, *head, *labels; /* "fraud", "fraud-canary", "mlctl.fraud", the selector of all that is ours */
	struct mirror *pods, *deployments; /* opened by the first poll() */
	struct view looked;		   /* what was seen last, for whoever asks again within a moment */
	char address[256];		   /* as of address_ms; "": there is no Service */
	int64_t address_ms;
	struct causes *causes;		   /* NULL: nothing has gone wrong yet */
	int64_t held_ms;		   /* since when NAME has not been wholly of the revision that it is at; 0: it is */
	struct polled {			   /* the last answer of poll(), which holds while nothing moves */
		char revision[REVISION_NAME_MAX];
		uint64_t generation;
		int64_t at_ms;
		size_t asked;	 /* pods, for it */
		bool is_settled; /* none was */
		struct observed observed;
	} polled;
	struct answered answered[PODS_MAX];
	size_t answered_count;
	struct log_end log_ends[PODS_MAX];
	size_t log_end_count;
	struct {
		char name[KUBE_NAME_MAX];
		struct secret key;
	} keys[CONTROL_KEYS_MAX];
	size_t key_count;
	char applied[REVISION_NAME_MAX]; /* the revision that this process made NAME's, and has not to apply again */
	char cluster[80];		 /* the cluster's identity, once it was asked */
	int64_t memory_needed_bytes;	 /* of the objects at hand; 0: not known */
	size_t next_pod;		 /* of call(): one after the other */
	int service_port;		 /* of Service NAME; 0: not asked yet */
	struct probed probed[PROBED_MAX];
	bool has_warned_prometheus;
	size_t next_probed, shared_own, shared_all; /* the last two: of the share that was told last */
};

void view_clear(struct view *view);
#define AUTO_VIEW __attribute__((cleanup(view_clear)))
/* What is not there is an answer, unless there can be none of its kind; everything else that went wrong is an error. */
int answers_check(const struct kube_ask *asks, size_t count, struct err *err);
/* Who asks for something else may ask for this in one go: view_asks(), kube_ask_all(), view_take(), which takes the answers. */
void view_asks(const struct kubernetes *k, struct kube_ask asks[VIEW_ASKS]);
int view_take(struct kubernetes *k, struct view *view, const struct kube_ask asks[VIEW_ASKS], struct err *err);
/* Asked now. */
int view_ask(struct kubernetes *k, struct view *view, struct err *err);
bool is_of_moment(const struct kubernetes *k, int64_t at_ms);
/* The same, or what was seen less than a moment ago; it is handed out once. */
int view_of_moment(struct kubernetes *k, struct view *view, struct err *err);
/* As the mirrors have it. */
int view_mirrored(struct kubernetes *k, struct view *view, struct err *err);

/* Texts of an object: "" when it is not there. */
struct str object_label(const struct value *object, const char *label);
struct str object_annotation(const struct value *object, const char *annotation);
struct str object_text(const struct value *object, const char *path);
int64_t object_int(const struct value *object, const char *path, int64_t fallback);
bool object_is_ours(const struct kubernetes *k, const struct value *object);
bool deployment_is(const struct value *deployment, const struct revision *revision);
/* A Deployment whose every replica is of its present template, available, and no other is left. */
bool deployment_is_complete(const struct value *deployment);
int64_t deployment_replicas(const struct value *deployment);
int64_t service_port(const struct value *service); /* where requests go; 0: it has none */

struct pod_port { /* how a pod is asked */
	int http, control; /* 0: it has none */
	struct str key_secret, key_name;
};
bool pod_is_leaving(const struct value *pod);
bool pod_is_ready(const struct value *pod);
bool pod_is(const struct value *pod, const char *role, const char *revision); /* NULL: any */
void pod_ports(const struct value *pod, struct pod_port *out);
/* The key that a pod's control listener wants; lent. NULL without one. */
int control_key(struct kubernetes *k, const struct pod_port *port, const struct secret **out, struct err *err);
/* The same, of a Secret that was read for something else. */
int control_take(struct kubernetes *k, const char *name, const char *member, const struct value *object, const struct secret **out, struct err *err);

/* The Secret of that name was made, removed or is not what pods have: what was read of it counts no more. */
void control_forget(struct kubernetes *k, struct str secret);

/* One request to the control listener of each pod that has one, side by side. answers and errs as kube_proxy_all has them; the caller clears the answers. */
int control_all(struct kubernetes *k, const struct value *const *pods, size_t count, const char *method, const char *path, const char *body,
	struct http_answer *answers, struct err *errs, struct err *err);

/* kubernetes_observe.c */
int kubernetes_observe(void *state, const struct revision *revision, struct observed *out, struct err *err);
int kubernetes_poll(void *state, const struct revision *revision, struct observed *out, struct err *err);
int kubernetes_sample(void *state, const struct revision *revision, struct sample *samples, size_t *count, struct err *err);

/* kubernetes_numbers.c: what pods have counted, as the pods, a Prometheus or our own asking says. */
/* One golden example was answered by a pod that has no counters for us. */
void probe_note(struct kubernetes *k, const struct value *pod, int status, int64_t us);

/* kubernetes_share.c: what share of the traffic a canary gets. */
int share_set(struct kubernetes *k, int64_t fence, const struct view *view, const struct revision *revision, double weight, int64_t ttl_s, struct err *err);
/* Before a canary goes: a route that still leads there would answer with errors. What pods hand on ends by itself. */
int share_end(struct kubernetes *k, int64_t fence, const struct view *view, const struct revision *revision, struct err *err);
int share_get(struct kubernetes *k, const struct view *view, const struct revision *revision, double *out, struct err *err);

/* kubernetes_change.c */
/* Applies a list of objects of a release, the Deployment's number of replicas as its object says. */
int objects_put(struct kubernetes *k, int64_t fence, int64_t release, const struct value *list, struct err *err);
/* Asks for each object of a list, side by side: asks[i] as list[i], free() and document_free() are the caller's; words holds what they name. One that is
 * not there has no answer. secret: that one too, behind the list; NULL, "": none. For whoever only looks, what was seen less than a moment ago is not asked,
 * and of the list what the API server has in memory will do. */
int objects_ask(struct kubernetes *k, const struct value *list, const char *secret, struct texts *words, struct kube_ask **out, struct err *err);
/* May `replicas` be written though a machine has set it: the new version has no autoscaler, and no other than ours minds NAME? *scaler: ours that is still
 * there, a copy, or left alone. */
#define SCALE_FIELD ".spec.replicas"
int scale_is_ours(struct kubernetes *k, const struct value *objects, const struct value *main, struct document **scaler, bool *out, struct err *err);
bool objects_name(const struct value *list, const char *kind, struct str name);
/* Kinds of which an earlier version may have left some that are not in `list`. */
#define LEFTOVER_KINDS 11
extern const char *const leftover_kinds[LEFTOVER_KINDS];
bool is_leftover(const struct kubernetes *k, const struct value *list, const char *kind, const struct value *object);
/* The object as it is sent: with who wrote it, and with what only this moment knows. live: the Deployment that is there, NULL: none; release -1: as
 * the live one says; replicas -1: as the object says; key: uid of its pods' Secret, NULL: as the live one says; least: of a new Deployment whose number
 * is an autoscaler's. */
struct value *object_dressed(struct document *document, const struct value *object, const struct value *live, int64_t fence, int64_t release,
	int64_t replicas, const char *key, int64_t least);
int kubernetes_stage(void *state, int64_t fence, const struct revision *revision, const struct value *objects, int64_t replicas, struct store *store,
	struct err *err);
int kubernetes_route(void *state, int64_t fence, const struct revision *stable, const struct revision *revision, const struct value *objects, double weight,
	int64_t ttl_s, struct err *err);
int kubernetes_retire(void *state, int64_t fence, const struct revision *revision, bool is_kept, struct err *err);
int kubernetes_destroy(void *state, int64_t fence, struct err *err);

/* kubernetes_state.c */
int kubernetes_head_get(void *state, char bytes[TARGET_HEAD_BYTES_MAX], size_t *len, char version[64], struct err *err);
int kubernetes_head_put(void *state, const char *bytes, size_t len, const char *version, char new_version[64], struct err *err);
int kubernetes_keep_put(void *state, int64_t release, const char *text, struct err *err);
int kubernetes_keep_get(void *state, int64_t release, char **text, struct err *err);
/* ERR_LOCKED unless the head is there and its lock has this fence. INT64_MAX: not asked. */
int check_fence(struct kubernetes *k, int64_t fence, struct err *err);
/* Asks the cluster who it is, once. */
int cluster_identity(struct kubernetes *k, struct err *err);
/* The labels that make an object ours, and its part. */
void add_own_labels(const struct kubernetes *k, struct document *document, struct value *metadata, const char *part);
/* The objects of every kept release, as an array. is_whole false: one could not be read, so what is in none of them may yet be needed. */
int kept_objects(struct kubernetes *k, struct document **out, bool *is_whole, struct err *err);
/* Those of the revision that NAME is at; NULL: they are not kept, so nothing can be said about what it lacks. */
const struct value *kept_of(const struct document *kept, const struct value *main);

/* kubernetes_inspect.c */
int kubernetes_check(void *state, const struct store *store, struct texts *facts, struct err *err);
int kubernetes_inspect(void *state, enum inspection what, struct document *document, struct value *findings, struct err *err);

/* kubernetes.c: the way in, when the objects that make it were read for something else. */
void address_note(struct kubernetes *k, const struct kube_ask *asks, size_t count);

/* kubernetes_drift.c */
int kubernetes_drift(void *state, const struct value *objects, struct texts *out, struct err *err);

/* kubernetes_diff.c */
int kubernetes_diff(void *state, const struct revision *revision, const struct value *objects, struct document *document, struct value *changes,
	struct err *err);
