/* Why a pod, or a Deployment without pods, does not become ready; said in a person's words, with the fix. Pure: what was seen is handed in
 * as trees of the API's objects, and the clock as a number. The last log lines are in it when somebody fetched them.
 *
 * It tells apart what can't recover (an image that is not there, a wrong architecture, a reference to a Secret that nobody makes) from what
 * may (a Secret that is a few seconds late, a node that is coming, a slow load). The API's reasons are looked at first, then words of its
 * messages, which differ between versions and container runtimes. Causes as measured, over time: tests/wire/kubernetes/causes, made by
 * tests/cluster/record_causes.
 *
 * When it is hopeless, and why then. At once: what no second try can change (an image that is not there or denied, another architecture, a command that
 * the image has not, a refusal by admission, a request above every node). After 8 s: a reference that leads nowhere, since what belongs to it may be made a
 * moment late; whoever may not see names waits 30 s. After the third end of a container: crash loop, out of memory, liveness; the kubelet waits 10 s
 * before the third life, so that this takes some 12 to 20 s from the first, and one that comes right in its third life is never given up. After the second:
 * what a program says of itself that nothing outside can mend (a module or a flag that is not there, mlctl's own runner and its model), and less memory
 * than build measured. A registry that refuses connections: three pulls, some 40 s, as long as a restart of it takes. A server that answers, but
 * wrongly (404, 401): three probes; one that does not answer yet may be loading, until its startup probe gives up. Never: what waits for room, a node, a
 * gate, a person; the deploy's own time ends that, with the same cause.
 *
 * A verdict can change while nothing in the world does: ask again each second. Only the pods of the release in question are asked about. */
#pragma once

#include "data/value.h"

enum diagnosis_state {
	DIAGNOSIS_FINE,	   /* nothing is wrong: ready, or just starting */
	DIAGNOSIS_WAITING, /* something is wrong or slow that may pass; `text` says what */
	DIAGNOSIS_FAILING, /* it failed, and will be tried again by the platform; too few times yet to call it hopeless */
	DIAGNOSIS_STUCK,   /* it can't recover by itself */
};

#define DIAGNOSIS_REPEATS 3 /* crash loop, out of memory, probe: stuck after so many */
/* A Secret that is there, or of which nothing is known, may be seen by the node a moment late; one that is known not to be there may be made a moment
 * late. From when its lack first showed. */
#define DIAGNOSIS_SECRET_GRACE_S 30
#define DIAGNOSIS_MISSING_GRACE_S 8

struct diagnosis {
	enum diagnosis_state state;
	char cause[40]; /* the machine's word: "image_not_found", "out_of_memory", "unschedulable", ... or "" */
	char text[400]; /* "container runner: OOMKilled 3x in 11 s; limit 512Mi, the model needs about 710Mi (measured by build)" */
	char fix[200];	/* "mlctl.yaml: resources.memory: 1Gi"; empty when there is none */
	bool wants_log; /* the last log lines of `container` (the run before, when is_previous) would say more: fetch them and ask again */
	bool is_previous;
	char container[64];
};

/* What was seen. Any may be NULL: then what would follow from it is not said. Arrays hold API objects. now_s is the cluster's clock (the Date of an answer,
 * and what passed since), not this machine's: ages are taken from it. The names are asked for after the pod was seen, or a Secret that came in between
 * would be called missing. */
struct diagnose_world {
	int64_t now_s;
	const struct value *events;       /* of the namespace: v1 Event objects */
	const struct value *nodes;
	const struct value *replica_sets; /* of the Deployment */
	const struct value *pods;         /* of the namespace: who is leaving, who holds a port */
	const struct value *quotas;       /* ResourceQuotas, asked for after the refusal was seen: whether there is room by now */
	const struct value *secrets_known, *config_maps_known; /* names (strings) that are there */
	int64_t memory_needed_bytes;      /* as build measured; 0: not known */
	const char *log;                  /* the last lines of the container that wants_log named; "" when there are none */
	const char *settings_file;        /* "mlctl.yaml", for fixes */
	int restarts_before;              /* restarts of this pod that were known before the rollout: only later ones count */
};
void diagnose_pod(const struct diagnose_world *world, const struct value *pod, struct diagnosis *out);
/* A Deployment that has fewer pods than it should: quota, admission, a missing ServiceAccount, a webhook. FINE when pods are just on their
 * way. */
void diagnose_deployment(const struct diagnose_world *world, const struct value *deployment, struct diagnosis *out);
