#include "release/release.h"

#include "release/engine.h"
#include "release/evidence.h"
#include "release/lock.h"
#include "release/plan.h"
#include "release/record.h"
#include "release/session.h"

#include <inttypes.h>

#define DRIFT_TEXT_MAX 320

struct live { /* what is there of the revision that is asked for */
	struct observed seen;
	char drift[DRIFT_TEXT_MAX];
};

/* What only looks changed, the server itself calls no change: it writes some values in another form. */
static bool is_changed(const struct run *run, const struct deploy_request *request) {
	const struct release_context *context = run->context;
	AUTO_DOCUMENT struct document *document = document_new("changes");
	struct err err = {0};
	if (!context->target->diff)
		return true;
	struct value *changes = value_root_array(document);
	return context->target->diff(context->target_state, &request->revision, request->objects, document, changes, &err) != 0 ||
	       changes->count > 0;
}

static int look_for_drift(struct run *run, const struct deploy_request *request, char out[DRIFT_TEXT_MAX], struct err *err) {
	AUTO_TEXTS struct texts changed = {0};
	out[0] = '\0';
	if (!run->context->target->drift || !head_entry_is(&run->head.good, &request->revision))
		return 0;
	struct remote remote = remote_begin(run);
	int rc;
	do {
		texts_clear(&changed);
		rc = run->context->target->drift(run->context->target_state, request->objects, &changed, err);
	} while (rc != 0 && remote_again(&remote, err));
	if (rc == 0 && changed.count && is_changed(run, request))
		snprintf(out, DRIFT_TEXT_MAX, changed.count > 1 ? "%.260s and %zu more" : "%.260s", changed.items[0], changed.count - 1);
	return rc;
}

static int look_live(struct run *run, const struct deploy_request *request, struct live *live, struct err *err) {
	struct revision revision = request->revision;
	revision_name(&revision.image, &revision.settings, revision.name);
	*live = (struct live){0};
	if (!run->head.good.n)
		return 0;
	return engine_observe(run, &revision, &live->seen, err) != 0 ? -1 : look_for_drift(run, request, live->drift, err);
}

static int preflight(struct run *run, const struct deploy_request *request, struct err *err) {
	const struct release_context *context = run->context;
	AUTO_TEXTS struct texts facts = {0};
	if (context->store) {
		struct digest digest;
		bool has = false;
		if (store_has_manifest(context->store, request->revision.image.text, &digest, &has, err) != 0)
			return -1;
		if (!has) {
			err_set(err, ERR_REGISTRY, "the image %s is not in %s", request->revision.image.text, store_name(context->store));
			return err_fix(err, "mlctl push");
		}
	}
	struct remote remote = remote_begin(run);
	int rc;
	do {
		rc = context->target->check(context->target_state, context->store, &facts, err);
	} while (rc != 0 && remote_again(&remote, err));
	if (rc != 0 || session_objects_fit(run, &request->revision, request->objects, err) != 0)
		return err_wrap(err, "preflight");
	AUTO_BUF struct buf text = BUF(512);
	for (size_t i = 0; i < facts.count; i++)
		buf_format(&text, "%s%s", i ? " · " : "", facts.items[i]);
	run_tell(run, "preflight", "%s", buf_view(&text).ptr);
	return 0;
}

static void set_up(struct run *run, const struct deploy_request *request) {
	run->canary = request->canary;
	run->reason = request->reason;
	if (request->ready_timeout_ms > 0)
		run->ready_timeout_ms = request->ready_timeout_ms;
}

static int begin_deploy(struct run *run, const struct deploy_request *request, const struct release_plan *plan, struct err *err) {
	const struct release_context *context = run->context;
	struct subject *subject = &run->subject;
	struct head_entry *entry = &subject->entry;
	*entry = (struct head_entry){.n = plan->n,
		.image = request->revision.image,
		.settings = request->revision.settings,
		.since_s = clock_wall_s(context->clock)};
	if (plan->kind != PLAN_RESUME)
		entry->n = session_free_number(run, entry->n);
	session_copy_commit(request->facts, entry->commit);
	head_text(entry->actor, sizeof(entry->actor), context->actor);
	head_entry_revision(entry, &subject->revision);
	subject->objects = request->objects;
	subject->golden = request->golden;
	subject->is_same = head_entry_is(&run->head.good, &subject->revision);
	struct record_input input = {.n = entry->n,
		.image_size = request->image_manifest_size,
		.revision = &subject->revision,
		.image_index = &request->image_index,
		.objects = request->objects,
		.settings = request->settings,
		.facts = request->facts,
		.golden = request->golden,
		.reason = request->reason,
		.canary = &request->canary,
		.before = &run->head.good,
		.back = &run->head.good};
	run->back = run->head.good;
	return session_open_release(run, &input, err);
}

static enum event entry_of(
	const struct run *run, const struct release_plan *plan, enum phase left_in, const struct deploy_request *request) {
	bool has_split = (run->context->target->caps & TARGET_SPLIT) != 0;
	bool is_canary =
		run->head.good.n && !run->subject.is_same && !request->canary.is_none && !request->is_first_canary_skipped && has_split;
	if (plan->kind == PLAN_RESUME && left_in >= PHASE_PROMOTE)
		return EVENT_DIRECT;
	return is_canary ? EVENT_CANARY : EVENT_DIRECT;
}

/* The plan that somebody looked at is still the plan: nobody wrote the head since, but for our own `writes`, and at the target it looks the
 * same. */
static int check_planned(const struct release_plan *plan, const struct deploy_request *request, int64_t writes, struct err *err) {
	const struct release_plan *then = request->planned;
	if (!then || (then->generation + writes == plan->generation && then->kind == plan->kind))
		return 0;
	if (then->from != plan->from && plan->from)
		err_set(err, ERR_CONFLICT, "the plan is stale: r%" PRId64 " is good now, which it was not when the plan was made",
			plan->from);
	else if (then->from != plan->from)
		err_set(err, ERR_CONFLICT, "the plan is stale: r%" PRId64 " was good when it was made, now nothing is deployed",
			then->from);
	else if (then->generation + writes != plan->generation)
		err_set(err, ERR_CONFLICT, "the plan is stale: the head was written since, by a deploy, a rollback or a freeze");
	else
		err_set(err, ERR_CONFLICT, "the plan is stale: what runs has changed: %s", plan->text);
	return err_fix(err, "mlctl plan --output FILE   (looks again)");
}

/* Under the lock. */
static int deploy_locked(struct run *run, const struct deploy_request *request, struct release_result *result, struct err *err) {
	struct release_plan plan;
	struct live live;
	session_push_owed(run);
	for (int tries = 0;; tries++) {
		if (look_live(run, request, &live, err) != 0)
			return session_back_out(run, result, err);
		plan_deploy(&run->head, &live.seen, live.drift, request, &plan);
		if (tries == 0 && check_planned(&plan, request, 1, err) != 0)
			return session_back_out(run, result, err);
		if (!run->head.candidate.is.n || plan.kind == PLAN_RESUME || tries > 0)
			break;
		if (session_settle_leftover(run, false, err) != 0) {
			if (err->code == ERR_NONE && run->failure.code == ERR_NONE) {
				session_fill_result(run, result);
				return 0;
			}
			if (err->code == ERR_NONE)
				*err = run->failure;
			return session_failed_early(run, result, err);
		}
	}
	if (plan.kind == PLAN_REFUSED || plan.kind == PLAN_UNCHANGED) {
		run->outcome = OUTCOME_UNCHANGED;
		run->serving = request->revision.image;
		return plan.kind == PLAN_REFUSED ? session_refused(run, &plan, result) : (session_fill_result(run, result), 0);
	}
	enum phase left_in = run->head.candidate.phase;
	run->outcome = OUTCOME_DONE;
	run->was_touched = plan.kind == PLAN_RESUME;
	run_tell(run, "plan", "%s", plan.text);
	if (begin_deploy(run, request, &plan, err) != 0)
		return run->was_touched ? session_failed_early(run, result, err) : session_back_out(run, result, err);
	engine_run(run, entry_of(run, &plan, left_in, request));
	if (run->failure.code) {
		*err = run->failure;
		return session_back_out(run, result, err);
	}
	session_forget_old(run);
	evidence_push(run);
	session_fill_result(run, result);
	if (run->outcome != OUTCOME_DONE && run->outcome != OUTCOME_INTERRUPTED && run->outcome != OUTCOME_LOCKED)
		result->undone = run->subject.entry.n;
	return 0;
}

/* is_again: an earlier destroy was finished on the way, and now there is nothing: begin anew. */
static int deploy_once(const struct release_context *context, const struct deploy_request *request, const struct engine_row *table,
	struct release_result *result, bool *is_again, struct err *err) {
	struct run run __attribute__((cleanup(run_clear)));
	struct release_plan plan;
	struct live live;
	*result = (struct release_result){0};
	run_init(&run, context, table);
	set_up(&run, request);
	if (head_load(&run, err) != 0 || look_live(&run, request, &live, err) != 0)
		return session_failed_early(&run, result, err);
	plan_deploy(&run.head, &live.seen, live.drift, request, &plan);
	if (check_planned(&plan, request, 0, err) != 0)
		return -1;
	if (plan.kind == PLAN_UNCHANGED) {
		run.outcome = OUTCOME_UNCHANGED;
		run.serving = request->revision.image;
		run_tell(&run, "unchanged", "%s. Nothing to do", plan.text);
		session_fill_result(&run, result);
		return 0;
	}
	if (plan.kind == PLAN_REFUSED)
		return session_refused(&run, &plan, result);
	struct lock_wish wish = {.verb = "deploy", .wait_ms = request->lock_wait_ms};
	if (preflight(&run, request, err) != 0 || lock_take(&run, &wish, err) != 0)
		return session_failed_early(&run, result, err);
	int rc = deploy_locked(&run, request, result, err);
	*is_again = run.is_destroyed;
	if (run.is_holding)
		session_let_go(&run);
	result->elapsed_ms = run_now(&run) - run.started_ms;
	if (rc == 0 && result->outcome == OUTCOME_DONE)
		run_tell(&run, "done", "r%" PRId64 " live and good", result->release);
	return rc;
}

int release_deploy_with(const struct release_context *context, const struct deploy_request *request, const struct engine_row *table,
	struct release_result *result, struct err *err) {
	bool is_again = false;
	int rc = deploy_once(context, request, table, result, &is_again, err);
	if (rc == 0 || !is_again)
		return rc;
	err_clear(err);
	return deploy_once(context, request, table, result, &is_again, err);
}

int release_deploy(
	const struct release_context *context, const struct deploy_request *request, struct release_result *result, struct err *err) {
	return release_deploy_with(context, request, engine_table, result, err);
}

int release_plan(const struct release_context *context, const struct deploy_request *request, struct release_plan *out, struct err *err) {
	struct run run __attribute__((cleanup(run_clear)));
	struct live live;
	run_init(&run, context, engine_table);
	run.is_looking = true; /* without run_look(): many pods over a slow line take their time */
	if (head_load(&run, err) != 0 || look_live(&run, request, &live, err) != 0)
		return -1;
	plan_deploy(&run.head, &live.seen, live.drift, request, out);
	return 0;
}
