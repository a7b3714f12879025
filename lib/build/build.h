/* From a project's folder to an image as a plan: git facts, layers, digests, self-test. The model's bytes are never copied: the plan says
 * how to stream them. The platform manifest is a function of the content, the settings that enter the image and this mlctl binary alone. */
#pragma once

#include "data/value.h"
#include "oci/store.h"

struct settings; /* project/project.h */

struct build_options {
	const char *folder; /* the project's, absolute */
	const struct settings *settings;
	const struct env *env; /* SOURCE_DATE_EPOCH, XDG_CACHE_HOME */
	const struct clock *clock;
	const struct log *log;
	struct store *base;   /* where `base:` comes from; NULL: scratch */
	const char *platform; /* NULL: linux/amd64, this machine's */
	struct str runner;    /* {0}: the one inside of this program */
	bool is_untested;     /* no self-test (build --no-test): recorded */
	bool is_without_git;  /* only the image's manifest is wanted, which git has no part in: it is not asked */
	bool (*is_interrupted)(void *self); /* asked once a block, from every thread that hashes; NULL: never */
	void (*progress)(void *self, const char *file, int64_t done_bytes, int64_t bytes); /* hashing; NULL: nobody watches */
	void *self;
};

struct build {
	struct image image;
	char *commit, *commit_short, *branch, *remote; /* owned; NULL: no git */
	char *subject;				       /* the commit's first line */
	bool is_dirty;
	char *dirty_file;    /* the first file that differs from the commit */
	char *git_problem;   /* why git could not tell something; NULL: nothing */
	char *tree;	     /* git tree hash of the model's path */
	struct digest model; /* SHA-256 of the model file */
	char *model_path;    /* relative to the folder */
	int64_t model_bytes;
	char *signature; /* "opset 17, float32[?,30] -> int64[?], float32[?,2]" */
	bool has_test, is_test_cached;
	int64_t load_ms, peak_bytes, p50_us, p99_us, golden_passed, golden_total;
	double golden_tolerance;
	int64_t read_bytes; /* of files that had to be hashed; 0 when the cache knew all */
	int64_t files;
	char *tag; /* "git-<12 hex>", or "git-<12 hex>-dirty-<8 hex of the manifest>" since git- tags never move; NULL: no git */
	struct document *facts; /* everything above as a tree, for --json, the index' annotations and the release record */
};
/* ERR_INVALID: model or golden refused (the runner's own words); ERR_BUILD: the image could not be made; ERR_CONFIG: mlctl.yaml. */
int build_run(const struct build_options *options, struct build **out, struct err *err);
void build_free(struct build *build);

/* "oci:DIR" (tagged `latest` and with the commit), "oci-archive:FILE", "docker-archive:FILE". name: what the archive calls it: a reference,
 * or a service's name. */
int build_output(const struct build *build, const char *where, const char *name, struct err *err);
