#include "config_seen.h"
#include "failure.h"
#include "findings.h"
#include "out.h"
#include "traffic_seen.h"

#include <math.h>

struct status_opts {
	struct where where;
	bool is_exit_code, is_checklist;
};

static const struct opt options[] = {
	OPT_PLACE(struct status_opts, where),
	OPT_FLAG(0, "exit-code", struct status_opts, is_exit_code, "exit 11 when it is not healthy"),
	OPT_FLAG(0, "checklist", struct status_opts, is_checklist, "what people go through by hand before they call a service production"),
	{0},
};

struct seen {
	struct release_head head;
	struct observed live;
	size_t ready, right;
	struct traffic_seen traffic;
	char address[256];
	const char *health; /* HEALTHY, DEGRADED, DOWN, ROLLING OUT, NOT DEPLOYED, LOST */
	struct config_seen config;
	struct failure failure;
};

static void seen_clear(struct seen *seen) {
	config_seen_clear(&seen->config);
}
#define AUTO_SEEN CLEANUP(seen_clear)

static int look(struct session *s, struct seen *seen, struct err *err) {
	if (release_head_read(&s->release, &seen->head, err) != 0)
		return -1;
	seen->health = "NOT DEPLOYED";
	config_look(s, &seen->head, &seen->config);
	if (seen->config.is_head_lost)
		seen->health = "LOST";
	failure_read(s, &seen->head, &seen->failure);
	if (!seen->head.exists || !seen->head.live)
		return 0;
	const struct revision *live = &seen->head.live_revision;
	if (s->target->observe(s->target_state, live, &seen->live, err) != 0)
		return -1;
	for (size_t i = 0; i < seen->live.count; i++) {
		seen->ready += seen->live.replicas[i].state == REPLICA_READY;
		seen->right += digest_equal(&seen->live.replicas[i].serving, &live->image);
	}
	bool is_whole = seen->live.desired > 0 && (int64_t) seen->ready >= seen->live.desired && seen->right == seen->ready;
	seen->health = seen->head.candidate ? "ROLLING OUT" : is_whole ? "HEALTHY" : seen->ready ? "DEGRADED" : "DOWN";
	traffic_look(s, live, &seen->traffic);
	struct err asking = {0};
	best_effort(s->target->address(s->target_state, seen->address, &asking)); /* then it is not shown */
	return 0;
}

static void show(struct session *s, const struct seen *seen) {
	static const char *const states[] = {"starting", "ready", "failing", "stuck", "gone"};
	struct cli *cli = s->cli;
	const struct release_head *h = &seen->head;
	char word[96], since[NUM_HUMAN_MAX];
	bool is_well = strcmp(seen->health, "HEALTHY") == 0;
	out_colour(cli->is_out_coloured, is_well ? COLOUR_GREEN : strcmp(seen->health, "ROLLING OUT") == 0 ? COLOUR_YELLOW : COLOUR_RED, seen->health, word);
	if (!h->exists || !h->live) {
		out_line(cli, "%s   %s   %s   %s", s->service, s->environment, s->target->name, word);
		if (seen->config.text[0])
			out_fact(cli, seen->config.is_head_lost ? "head" : "namespace", "%s", seen->config.text);
		failure_show(cli, &seen->failure);
		if (seen->config.fix[0])
			out_line(cli, "  fix: %s", seen->config.fix);
		else
			out_line(cli, "  fix: mlctl deploy --env %s", s->environment);
		return;
	}
	int64_t age = clock_wall_s(cli->clock) - h->good_since_s;
	out_line(cli, "%s   %s   %s   %s   r%lld   %.12s   by %s   %s", s->service, s->environment, s->target->name, word, (long long) h->live,
		h->commit[0] ? h->commit : "no git", h->actor, num_human_ms(age * 1000, since));
	out_fact(cli, "serving", "%zu/%lld replicas   image %.19s…   %s%s%s", seen->ready, (long long) seen->live.desired, h->live_revision.image.text, seen->address,
		seen->live.note[0] ? "   " : "", seen->live.note);
	if (seen->live.count == 0)
		out_line(cli, "  fix: mlctl deploy --env %s   (nothing of r%lld runs)", s->environment, (long long) h->live);
	out_fact(cli, "traffic", "%.0f requests since start   errors %.2f %%   p50 <= %.4g ms   p99 <= %.4g ms", seen->traffic.requests,
		seen->traffic.requests > 0 ? 100 * seen->traffic.errors / seen->traffic.requests : 0, isnan(seen->traffic.p50_s) ? 0 : seen->traffic.p50_s * 1000,
		isnan(seen->traffic.p99_s) ? 0 : seen->traffic.p99_s * 1000);
	for (size_t i = 0; i < seen->live.count; i++) {
		const struct replica *r = &seen->live.replicas[i];
		if (r->state != REPLICA_READY || r->restarts > 0)
			out_fact(cli, "replica", "%s %s   %d restarts   %s", r->name, states[r->state], r->restarts, r->reason);
		if (r->state != REPLICA_READY && r->fix[0])
			out_fact(cli, "", "fix: %s", r->fix);
	}
	failure_show(cli, &seen->failure);
	if (h->candidate)
		out_fact(cli, "candidate", "r%lld   %s   weight %.3g %%%s%s", (long long) h->candidate, h->phase, h->weight,
			h->lock_holder[0] ? "   held by " : "   nobody drives it: the next mlctl deploy or rollback ends it", h->lock_holder);
	if (h->frozen[0])
		out_fact(cli, "frozen", "%s", h->frozen);
	if (seen->config.state)
		out_fact(cli, "config", "%s", seen->config.text);
	for (size_t i = 1; i < seen->config.drift.count; i++)
		out_fact(cli, "", "%s", seen->config.drift.items[i]);
	if (h->previous)
		out_fact(cli, "rollback", "r%lld %s: mlctl rollback", (long long) h->previous,
			seen->config.is_previous_kept ? "ready" : "is not kept here any more and would come from the registry");
	else
		out_fact(cli, "rollback", "nothing to go back to yet");
}

static int show_json(struct session *s, const struct seen *seen, struct err *err) {
	AUTO_DOCUMENT struct document *document = out_document(s->cli);
	struct value *root = document->root;
	const struct release_head *h = &seen->head;
	value_add_text(document, root, "service", s->service);
	value_add_text(document, root, "env", s->environment);
	value_add_text(document, root, "target", s->target->name);
	value_add_text(document, root, "health", seen->health);
	value_add_int(document, root, "release", h->live);
	value_add_int(document, root, "good", h->good);
	value_add_int(document, root, "previous", h->previous);
	value_add_text(document, root, "image", h->live ? h->live_revision.image.text : NULL);
	value_add_text(document, root, "commit", h->commit[0] ? h->commit : NULL);
	value_add_text(document, root, "actor", h->actor[0] ? h->actor : NULL);
	value_add_int(document, root, "since_s", h->good_since_s);
	value_add_int(document, root, "ready", (int64_t) seen->ready);
	value_add_int(document, root, "desired", seen->live.desired);
	value_add_text(document, root, "scaling", seen->live.note[0] ? seen->live.note : NULL);
	failure_json_replicas(document, root, &seen->live);
	failure_json(document, root, &seen->failure);
	value_add_double(document, root, "requests", seen->traffic.requests);
	value_add_double(document, root, "errors", seen->traffic.errors);
	value_add_text(document, root, "address", seen->address[0] ? seen->address : NULL);
	value_add_text(document, root, "config", seen->config.state);
	struct value *drift = value_add_array(document, root, "drift");
	for (size_t i = 0; i < seen->config.drift.count; i++)
		value_add_text(document, drift, NULL, seen->config.drift.items[i]);
	value_add_bool(document, root, "is_previous_kept", seen->config.is_previous_kept);
	value_add_text(document, root, "frozen", h->frozen[0] ? h->frozen : NULL);
	value_add_int(document, root, "candidate", h->candidate);
	value_add_text(document, root, "phase", h->phase[0] ? h->phase : NULL);
	value_add_double(document, root, "weight", h->weight);
	value_add_text(document, root, "lock_holder", h->lock_holder[0] ? h->lock_holder : NULL);
	return out_json(s->cli, document, err);
}

static int show_checklist(struct session *s, bool is_exit_code, struct err *err) {
	AUTO_DOCUMENT struct document *document = out_document(s->cli);
	struct value *findings = value_add_array(document, document->root, "checklist");
	if (!s->target->inspect)
		return err_set(err, ERR_FAILED, "target %s has no checklist", s->target->name);
	if (s->target->inspect(s->target_state, INSPECT_CHECKLIST, document, findings, err) != 0)
		return -1;
	size_t bad = findings_count(findings, "bad");
	if (is_exit_code && bad)
		s->cli->exit_code = EXIT_UNDECIDED;
	if (s->cli->is_json)
		return out_json(s->cli, document, err);
	findings_show(s->cli, findings);
	out_line(s->cli, "%zu of %zu done, %zu to mend", findings_count(findings, "ok"), findings->count, bad);
	return 0;
}

static int status_run(struct cli *cli, const void *raw, const char *const *args, struct err *err) {
	const struct status_opts *opts = raw;
	(void) args;
	AUTO_SESSION struct session s = {.is_looking = true};
	AUTO_SEEN struct seen seen = {.traffic = {.p50_s = NAN, .p99_s = NAN}};
	if (session_open(&s, cli, &opts->where, NEED_TARGET, err) != 0)
		return -1;
	if (opts->is_checklist)
		return show_checklist(&s, opts->is_exit_code, err);
	if (look(&s, &seen, err) != 0)
		return -1;
	if (opts->is_exit_code && strcmp(seen.health, "HEALTHY") != 0)
		cli->exit_code = EXIT_UNDECIDED;
	if (cli->is_json)
		return show_json(&s, &seen, err);
	show(&s, &seen);
	return 0;
}

static const struct schema_field fields[] = {
	{"service", "string", "the service"},
	{"env", "string", "its environment"},
	{"target", "string", "what kind of place it runs on"},
	{"health", "string", "HEALTHY, DEGRADED, DOWN, ROLLING OUT, NOT DEPLOYED, or LOST: something runs and its head is gone"},
	{"release", "integer", "the live release; 0: none"},
	{"good", "integer", "the release that passed its last smoke test"},
	{"previous", "integer", "what rollback goes to; 0: nothing"},
	{"image", "string", "digest that is live"},
	{"commit", "string", "of the live release"},
	{"actor", "string", "who deployed it"},
	{"since_s", "integer", "seconds since 1970"},
	{"ready", "integer", "replicas that are ready"},
	{"desired", "integer", "replicas there should be"},
	{"scaling", "string", "what decides about that: \"hpa 1..4 now 3\""},
	{"trouble", "object[]", "replicas that are not ready, or were restarted: replica, state, restarts, reason, cause_word, fix"},
	{"failed", "integer", "the last release, when its deploy failed; 0: it did not"},
	{"failed_cause", "string", "why"},
	{"failed_cause_word", "string", "the same in one word"},
	{"failed_fix", "string", "what to do about it"},
	{"requests", "number", "since the replicas started"},
	{"errors", "number", "answers of 500 and above"},
	{"address", "string", "where it answers"},
	{"config", "string", "in sync, differs (mlctl.yaml from what is deployed), drift (what runs from its record) or unknown"},
	{"drift", "string[]", "what somebody has changed behind mlctl's back"},
	{"is_previous_kept", "boolean", "false: a rollback needs the registry"},
	{"frozen", "string", "why deploys are refused"},
	{"candidate", "integer", "release under way; 0: none"},
	{"phase", "string", "of the candidate"},
	{"weight", "number", "percent of the traffic that the candidate gets"},
	{"lock_holder", "string", "who drives it"},
	{"checklist", "object[]", "with --checklist, and nothing else then: check, state (ok, warning, bad, unknown), text, fix"},
	{0},
};
const struct command cmd_status = {
	.name = "status",
	.summary = "what runs, is it healthy, since when, from which commit",
	.arguments = "",
	.about = "One screen: health, release, commit, replicas, traffic, a rollout under way, and whether rollback is ready. Reads only; needs no registry.\n",
	.examples = "mlctl status\nmlctl status --env prod --exit-code && echo healthy\nmlctl status --json | jq -r .image\n",
	.opts = options,
	.opts_size = sizeof(struct status_opts),
	.schema = fields,
	.run = status_run,
};
