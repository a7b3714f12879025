#include "release/plan.h"

#include <inttypes.h>
#include <stdarg.h>

bool plan_is_serving(const struct observed *observed, const struct revision *revision) {
	return observed->weight >= 100 && plan_is_whole(observed, revision);
}

bool plan_is_whole(const struct observed *observed, const struct revision *revision) {
	if (!observed->exists || observed->count == 0 || (int64_t) observed->count < observed->desired)
		return false;
	for (size_t i = 0; i < observed->count; i++)
		if (observed->replicas[i].state != REPLICA_READY || !digest_equal(&observed->replicas[i].serving, &revision->image))
			return false;
	return true;
}

void plan_judged(const struct revision *revision, const struct value *objects, struct digest *out) {
	const struct value *other = value_get(objects, "answers");
	*out = revision->image;
	if (!other || other->kind != VALUE_STRING)
		return;
	AUTO_FREE char *both = mem_format("%s\n%.*s\n", revision->image.text, STR_ARGS(other->text));
	digest_of(str_of(both), out);
}

__attribute__((format(printf, 3, 4))) static void refuse(struct release_plan *out, const char *fix, const char *format, ...) {
	va_list args;
	va_start(args, format);
	vsnprintf(out->text, sizeof(out->text), format, args);
	va_end(args);
	snprintf(out->fix, sizeof(out->fix), "%s", fix);
	out->kind = PLAN_REFUSED;
}

void plan_deploy(const struct head *head, const struct observed *live, const char *drift, const struct deploy_request *request,
	struct release_plan *out) {
	const struct head_candidate *candidate = &head->candidate;
	bool is_good = head_entry_is(&head->good, &request->revision);
	*out = (struct release_plan){.n = head->next, .from = head->good.n, .generation = head->generation};
	if (is_good && !candidate->is.n && !head->debt_count && !request->is_forced && !drift[0] &&
		plan_is_serving(live, &request->revision)) {
		out->kind = PLAN_UNCHANGED;
		out->n = head->good.n;
		snprintf(out->text, sizeof(out->text), "unchanged: model, settings and live digest equal r%" PRId64 ", %zu/%zu ready",
			head->good.n, live->count, live->count);
		return;
	}
	if (head->frozen[0]) {
		refuse(out, "mlctl unfreeze", "%s %s is frozen: %s", head->service, head->env, head->frozen);
		return;
	}
	struct digest judged;
	plan_judged(&request->revision, request->objects, &judged);
	if (head_refuses(head, &judged) && !request->is_refused_allowed) {
		bool is_alone = digest_equal(&judged, &request->revision.image);
		refuse(out, "mlctl deploy --allow-refused", "the image %.19s...%s was refused: an earlier canary of it failed", request->revision.image.text,
			is_alone ? "" : " with this server's");
		return;
	}
	if (candidate->is.n && !candidate->again && head_entry_is(&candidate->is, &request->revision) &&
		candidate->phase < PHASE_ROLLBACK) {
		out->kind = PLAN_RESUME;
		out->n = candidate->is.n;
		snprintf(out->text, sizeof(out->text), "r%" PRId64 " goes on: it stopped in %s", out->n, phase_name(candidate->phase));
		return;
	}
	out->kind = !head->good.n						  ? PLAN_FIRST
		    : is_good							  ? PLAN_REPAIR
		    : request->canary.is_none || request->is_first_canary_skipped ? PLAN_DIRECT
										  : PLAN_CANARY;
	static const char *const how[] = {
		[PLAN_FIRST] = "the first release: all at once",
		[PLAN_REPAIR] = "the same revision again: it does not serve as it should",
		[PLAN_DIRECT] = "all at once, without a canary",
		[PLAN_CANARY] = "behind a canary",
	};
	bool has_drifted = out->kind == PLAN_REPAIR && drift[0];
	snprintf(out->text, sizeof(out->text), "r%" PRId64 ": %s%.300s", out->n,
		has_drifted ? "the same revision again: somebody changed " : how[out->kind], has_drifted ? drift : "");
}

void plan_rollback(const struct head *head, const struct rollback_request *request, struct release_plan *out) {
	const struct head_candidate *candidate = &head->candidate;
	*out = (struct release_plan){.n = head->next, .from = head->good.n, .to = request->to};
	if (candidate->is.n && candidate->again && (!request->to || request->to == candidate->again)) {
		out->kind = PLAN_RESUME; /* an earlier rollback stopped half way */
		out->n = candidate->is.n;
		out->to = candidate->again;
		snprintf(out->text, sizeof(out->text), "r%" PRId64 " goes on: back to r%" PRId64, out->n, out->to);
		return;
	}
	if (!request->to && candidate->is.n) {
		out->kind = PLAN_UNDO;
		out->n = candidate->is.n;
		out->to = head->good.n;
		snprintf(out->text, sizeof(out->text), "r%" PRId64 " is undone", candidate->is.n);
		return;
	}
	if (!head->good.n) {
		refuse(out, "mlctl deploy", "nothing to go back to: %s %s has no good release", head->service, head->env);
		return;
	}
	if (!out->to)
		out->to = head->previous.n;
	if (!out->to) {
		refuse(out, "mlctl history   (then: mlctl rollback --to rN)",
			"nothing to go back to: no good release is known before r%" PRId64, head->good.n);
		return;
	}
	if (out->to >= head->next) {
		refuse(out, "mlctl history", "there is no r%" PRId64 ": the newest is r%" PRId64, out->to, head->next - 1);
		return;
	}
	out->kind = PLAN_BACK;
	snprintf(out->text, sizeof(out->text), "r%" PRId64 " = r%" PRId64 " again", out->n, out->to);
}
