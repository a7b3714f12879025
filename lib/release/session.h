/* What deploy, rollback and destroy share around the engine's table: taking up what another command left, making a release's record known,
 * letting go of the lock, telling how it ended. Internal to release/ and its tests. */
#pragma once

#include "release/engine.h"
#include "release/record.h"

/* The commands with a table of the caller's: tests hand in broken ones. */
int release_deploy_with(const struct release_context *context, const struct deploy_request *request, const struct engine_row *table,
	struct release_result *result, struct err *err);
int release_rollback_with(const struct release_context *context, const struct rollback_request *request, const struct engine_row *table,
	struct release_result *result, struct err *err);

void session_fill_result(struct run *run, struct release_result *result);
int session_refused(struct run *run, const struct release_plan *plan, struct release_result *result);
/* Before the first effect: a held lock and an interrupt are outcomes, everything else is the error it is. */
int session_failed_early(struct run *run, struct release_result *result, struct err *err);
/* Would the target take these objects, and does somebody else own what they set? Asked before anything is touched, where it can be. */
int session_objects_fit(struct run *run, const struct revision *revision, const struct value *objects, struct err *err);
/* The same with the lock held: our candidate leaves the head again, unless it was touched. */
int session_back_out(struct run *run, struct release_result *result, struct err *err);
void session_let_go(struct run *run);
void session_copy_commit(const struct value *facts, char out[64]);
void session_forget_old(struct run *run);
/* The record of release n is to be pushed later; the head says so with its next write. */
void session_owe_push(struct run *run, int64_t n);
void session_push_owed(struct run *run);
/* The number `n`, or a higher one where the registry has a release n already: of a service that was destroyed, or from before its place was restored from
 * a backup. Where the registry can't be asked soon, n. */
int64_t session_free_number(struct run *run, int64_t n);
int session_open_release(struct run *run, const struct record_input *input, struct err *err);
int session_read_subject(struct run *run, const struct head_entry *entry, int64_t from, struct subject *out, struct err *err);
/* Where a rollback from the release that is gone back to will go: what its own record says, so that a second rollback never returns to the
 * version that was just left. */
void session_find_back(const struct subject *subject, struct head_entry *back);
void session_forget_subject(struct run *run);
int session_settle_leftover(struct run *run, bool must_undo, struct err *err);
