/* mlctl.yaml: a project is a folder with that file; settings are what it says for one environment, typed, with every default filled in.
 *
 * An environment is a merge patch (RFC 7386) over the top level. Whatever is wrong is ERR_CONFIG with err->at = "mlctl.yaml:LINE:COLUMN"; a
 * key that is unknown or whose feature is not built yet is refused, never ignored. No environment variable is read here. A project and
 * its settings lend their texts until they are freed; settings do not need the project any more. */
#pragma once

#include "data/digest.h"
#include "data/field.h"

#define PROJECT_FILE "mlctl.yaml"
#define PROJECT_BYTES_MAX ((size_t) 1024 * 1024)
#define PROJECT_NAME_MAX 47	   /* a Kubernetes Service's name (RFC 1035 label, 63) with room for "-canary-" and a revision */
#define PROJECT_ENVIRONMENT_MAX 32 /* the same grammar; it stands in the tag "mlctl.<environment>.r<N>" */

struct project {
	char *folder;		   /* absolute, no symlink in it */
	char *path;		   /* the file's absolute path */
	struct document *document; /* the file as written; its name is the file's, for messages */
	struct texts environments; /* names in the order of the file; without any, one: "local" */
	bool has_environments;	   /* false: that one is implied */
};

/* The canary's settings; what "none" in the file leaves is is_on = false. */
struct settings_canary {
	bool is_on;
	double weight;	      /* 0 < weight < 1 */
	int64_t for_ms;	      /* how long a passing canary is watched at least */
	int64_t requests_min; /* evidence before PASS */
	int64_t max_ms;	      /* undecided until here: undone */
};

struct settings_rollback {
	double error_rate; /* 0..1 */
	int64_t latency_p99_ms;
	int64_t health_failures; /* more than this many */
};

enum settings_expose { EXPOSE_CLUSTER_IP, EXPOSE_NODE_PORT, EXPOSE_LOAD_BALANCER };
enum settings_spread { SPREAD_HOST, SPREAD_ZONE, SPREAD_NONE };
enum settings_payload { PAYLOAD_NATIVE, PAYLOAD_TRITON, PAYLOAD_TFSERVING, PAYLOAD_FASTAPI, PAYLOAD_FLASK, PAYLOAD_HTTP };
struct settings_toleration {
	const char *key, *value; /* NULL: any */
	int operator_, effect;   /* "Equal", "Exists"; "", "NoSchedule", "PreferNoSchedule", "NoExecute" */
	int64_t seconds;	 /* 0: for ever */
};

struct settings {
	const char *name;	 /* the service's */
	const char *environment; /* "local", "prod", ... */
	const char *target;	 /* an entry of the target table: "local", "kubernetes" */
	const char *image;	 /* the repository, no tag, no digest; NULL: the layout folder that stands in for a registry */
	const char *base;	 /* "scratch" or REF@sha256:... */
	struct {
		const char *path;   /* file or folder, relative, beneath the project's folder */
		const char *golden; /* the same for the example requests; NULL: none */
		const char *name;   /* as requests name it: set, or the path's last part without its extension */
	} model;
	struct {
		int64_t port;
		int64_t timeout_ms; /* of one request */
	} serve;
	struct {
		int64_t cpu_millicores; /* 0: no limit */
		int64_t memory_bytes;	/* 0: no limit */
	} resources;
	struct {
		int64_t min, max; /* replicas; equal: fixed */
		double cpu;	  /* the share that autoscaling keeps */
	} scale;
	struct {
		struct settings_canary canary;
		struct settings_rollback rollback;
	} rollout;
	struct {
		bool is_insecure;    /* plain http, or a certificate nobody knows */
		const char *ca_file; /* NULL: the system's */
	} registry;

	/* Only target kubernetes has what follows. */
	const char *context;	/* of the kubeconfig; NULL: its current one, or the cluster that mlctl runs in */
	const char *namespace_; /* NULL: the context's */
	struct {
		int type; /* enum settings_expose */
		int64_t port, node_port; /* node_port 0: the cluster's choice */
		const struct value *annotations; /* of the Service; NULL: none, as all maps here */
		bool is_unauthenticated; /* anybody may ask, and that is meant */
		struct {
			bool is_on;
			const char *host, *path, *class_name, *tls_secret; /* NULL but path: not given */
			const struct value *annotations;
		} ingress;
		struct {
			bool is_on;
			const char *gateway, *gateway_namespace, *host, *path;
		} route;
	} expose;
	const struct value *env;     /* NAME: text */
	const struct value *secrets; /* NAME: "secret/key" */
	struct field_texts image_pull_secrets;
	struct {
		const char *name; /* one that is there already; NULL: the service gets its own */
		const struct value *annotations;
	} service_account;
	struct {
		const struct value *node_selector;
		struct field_list tolerations; /* of struct settings_toleration */
		int spread;		       /* enum settings_spread */
	} scheduling;
	struct {
		int64_t startup_ms; /* until the model is loaded at latest */
	} probes;
	struct {
		bool has_service_monitor;
		const struct value *labels; /* that the Prometheus operator looks for */
		const char *prometheus;	    /* URL; NULL: mlctl asks each pod */
	} monitoring;
	struct {
		int kind; /* enum settings_payload */
		const char *image, *health, *ready, *metrics;
		int64_t port; /* 0: the usual one */
		struct field_texts args;
		bool has_guard;
	} payload;
	const struct value *labels, *annotations; /* of every object and pod */

	struct document *document;     /* owns every text above; document->root is the merged tree as written, without defaults */
	char *file;		       /* "mlctl.yaml" */
	struct digest settings_digest; /* of the canonical JSON of what decides how it runs: not image, base, registry, golden or rollout,
					* so that a changed threshold is no new revision; a default written out changes nothing either */
};

/* Looks for mlctl.yaml: `where` is that file, its folder, or a folder beneath it (NULL: the working folder). The search goes up and stops
 * at the root of a git work tree or of the file system. Reads the file and checks that environments are named properly; what they say is
 * checked by project_env. ERR_NOT_FOUND names where it looked. */
int project_load(const char *where, struct project **out, struct err *err);
/* The same from bytes, for tests: `folder` is taken as it is. */
int project_read(const char *folder, const char *file, struct str text, struct project **out, struct err *err);
void project_free(struct project *project);
CLEANUP_POINTER(project, struct project *, project_free)
#define AUTO_PROJECT __attribute__((cleanup(project_at_exit)))

/* The settings of an environment. NULL: the only one; several: ERR_USAGE with their names. An unknown name: ERR_USAGE with a suggestion. */
int project_env(const struct project *project, const char *name, struct settings **out, struct err *err);
void settings_free(struct settings *settings);
CLEANUP_POINTER(settings, struct settings *, settings_free)
#define AUTO_SETTINGS __attribute__((cleanup(settings_at_exit)))

/* Every environment; the problems found, in the order of the file, each as project_env would have given it.
 * Returns how many. */
#define PROJECT_PROBLEMS_MAX 20
size_t project_check(const struct project *project, struct err problems[PROJECT_PROBLEMS_MAX]);

/* The absolute path of a path that mlctl.yaml names. Owned by the caller. */
char *project_path(const struct project *project, const char *relative) __attribute__((warn_unused_result));

/* Which line set a value: "mlctl.yaml:21" for "resources.memory"; when it is a default, the line where it would go is not known: false. */
#define SETTINGS_WHERE_MAX 300
bool settings_where(const struct settings *settings, const char *path, char out[SETTINGS_WHERE_MAX]);

/* The typed settings as a tree with every default filled in (records, diffs, `render`): durations as "2s", shares as "10%". */
struct value *settings_tree(const struct settings *settings, struct document *into);

/* JSON Schema (draft 2020-12) of mlctl.yaml for editors, and the same as text for people. Owned by the caller. */
int project_schema(char **json, struct err *err);
int project_reference(char **text, struct err *err);
