/* A small Kubernetes API server in memory, behind fake_http's handler: objects by their path, resourceVersions, uids, label selectors, apply, merge patch of
 * a scale, preconditions, and what a pod answers through the proxy. It knows no schema and no controller: status is what a test puts there. */
#pragma once

#include "data/value.h"
#include "fakes/fake_http.h"

#define FAKE_KUBE_SERVER "https://h:6443"
#define FAKE_KUBE_OBJECTS_MAX 512

struct fake_kube_object {
	char *collection, *name; /* "/api/v1/namespaces/ml/configmaps" */
	struct document *document;
};

struct fake_kube {
	struct fake_kube_object objects[FAKE_KUBE_OBJECTS_MAX];
	size_t count;
	int version;
	struct texts log; /* "PATCH deployments/fraud", "GET pods?", in order; a list ends with "?" */
	struct texts urls; /* the same requests, whole */
	const char *when;  /* just before this is carried out, once, in the log's words, ... */
	void (*meddle)(struct fake_kube *kube, const char *name); /* ... somebody else does this */
	const char *meddle_name;
	const char *refused; /* a plural that may not be read: 403 */
	/* What a pod's port answers; NULL: 502. */
	void (*pod)(void *self, const char *pod, const struct http_request *request, struct http_answer *answer);
	void *pod_self;
};
void fake_kube_handle(void *self, const struct http_request *request, struct http_answer *answer);
void fake_kube_clear(struct fake_kube *kube);

/* An object as somebody else writes it; anew or in place of the one there. `plural` without a namespace's path: "deployments". */
void fake_kube_put(struct fake_kube *kube, const char *json);
/* NULL: not there. */
const struct value *fake_kube_find(const struct fake_kube *kube, const char *plural, const char *name);
/* Its resourceVersion moves, as when a controller writes its status. */
void fake_kube_touch(struct fake_kube *kube, const char *plural, const char *name);
void fake_kube_drop(struct fake_kube *kube, const char *plural, const char *name);
/* Where in the log a request comes first, from `from`; SIZE_MAX: never. */
size_t fake_kube_at(const struct fake_kube *kube, const char *what, size_t from);
/* Requests that change something; those through the proxy left aside. */
size_t fake_kube_writes(const struct fake_kube *kube);
