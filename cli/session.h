/* What the verbs have in common: the project and its environment, the store, the target, the release engine's context; opened in that order and
 * only as far as a verb asks. A verb run in an empty folder (rollback at night) names the service instead: --service, and --env. */
#pragma once

#include "build/build.h"
#include "command.h"
#include "project/project.h"
#include "release/release.h"

struct session {
	struct cli *cli;
	struct project *project;    /* NULL: no mlctl.yaml, --service was given */
	struct settings *settings;  /* NULL with it */
	struct document *tree;      /* the settings with every default; without mlctl.yaml what --service and its like say */
	char *service, *environment, *image; /* image: "host/repository" or "oci:/folder" */
	struct store *store;
	const struct target *target;
	void *target_state;
	struct release_context release;
	char *actor, *ci_run;
	bool is_in_ci;
	bool is_without_git;        /* session_build() asks git nothing: for who wants only the manifest */
	bool is_forcing, is_looking; /* set before the target is opened */
	char *tag;                  /* what the last push tagged its image with */
};
enum session_needs {
	NEED_PROJECT = 1,  /* mlctl.yaml must be there */
	NEED_STORE = 2,    /* where images live */
	NEED_TARGET = 4,   /* the target is opened and release is filled */
	NEED_STORE_MAYBE = 8, /* a store that cannot be opened is NULL */
};
/* where->service NULL: mlctl.yaml's. where->env NULL: the only one. */
int session_open(struct session *session, struct cli *cli, const struct where *where, unsigned needs, struct err *err);
void session_close(struct session *session);
#define AUTO_SESSION __attribute__((cleanup(session_close)))

/* Builds with progress and the summary of `mlctl build` on stdout. */
int session_build(struct session *session, bool is_untested, struct build **out, struct err *err);
void session_show_build(struct session *session, const struct build *build, int64_t ms);
/* Pushes what is missing, with progress. */
int session_push(struct session *session, const struct build *build, struct push_result *result, struct err *err);
/* Prints the outcome of a release verb, sets the exit code; --json too. */
int session_outcome(struct session *session, const struct release_result *result, struct err *err);
