/* The engine in a fake world: deploys, canaries, undos, rollbacks, as one after another, at a target that has versions side by side and at
 * one that rolls. Faults are test_release_faults.c's and test_release_rolling.c's. */
#include "fakes/fake_target.h"

#include "release/head.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define GOLDEN "{\"rows\":[[1]],\"predictions\":[{\"label\":1}],\"tolerance\":0.0001}\n"

struct place_ {
	struct fake_world world;
	struct fake_client client;
	struct document *objects;
};

static int set_up_at(void **state, bool is_rolling) {
	struct place_ *p = NEW(struct place_);
	fake_world_init(&p->world);
	p->world.is_rolling = is_rolling;
	fake_client_init(&p->client, &p->world, 0);
	p->objects = document_new("objects");
	value_add_int(p->objects, value_root_object(p->objects), "replicas", 2);
	*state = p;
	return 0;
}

static int set_up(void **state) {
	return set_up_at(state, false);
}

static int set_up_rolling(void **state) {
	return set_up_at(state, true);
}

static int tear_down(void **state) {
	struct place_ *p = *state;
	if (p->world.violation_count)
		print_message("# %s", p->world.violations);
	int rc = p->world.violation_count ? -1 : 0;
	fake_world_clear(&p->world);
	document_free(p->objects);
	free(p);
	return rc;
}

/* The same kind of place, and nothing has happened there yet. */
static struct place_ *set_up_again(void **state) {
	bool is_rolling = ((struct place_ *) *state)->world.is_rolling;
	assert_int_equal(tear_down(state), 0);
	set_up_at(state, is_rolling);
	return *state;
}

/* Its call of this number, counted from the first of all, fails so. */
static void fails_at(struct fake_client *client, enum fake_fault fault, int64_t at) {
	client->fault = fault;
	client->fail_at = at;
	client->fail_times = 1;
}

static struct deploy_request request_for(struct place_ *p, char letter) {
	struct deploy_request request = {.objects = p->objects->root,
		.golden = GOLDEN,
		.canary = {.weight = 10,
			.for_ms = 10000,
			.max_ms = 60000,
			.requests_min = 50,
			.error_rate_max = 0.05,
			.latency_p99_ms = 2000,
			.health_failures_max = 3}};
	request.revision.image = fake_digest(letter);
	request.revision.settings = fake_digest('S');
	return request;
}

static struct release_result deploy(struct place_ *p, char letter) {
	struct deploy_request request = request_for(p, letter);
	struct release_result result;
	struct err err = {0};
	if (release_deploy(&p->client.context, &request, &result, &err) != 0)
		fail_msg("deploy %c: %s", letter, err.message);
	return result;
}

static void check(struct place_ *p, struct release_result result, enum outcome outcome, int64_t release, char serving) {
	struct release_head head;
	struct err err = {0};
	if (result.outcome != outcome)
		fail_msg("outcome %d, not %d: %s", (int) result.outcome, (int) outcome, result.cause);
	assert_int_equal(release_head_read(&p->client.context, &head, &err), 0);
	assert_int_equal(result.release, release);
	assert_int_equal(head.good, release);
	assert_string_equal(head.lock_holder, "");
	assert_string_equal(fake_serving(&p->world).text, serving ? fake_digest(serving).text : "");
}

static void test_first(void **state) {
	check(*state, deploy(*state, 'A'), OUTCOME_DONE, 1, 'A');
}

static void test_canary_and_unchanged(void **state) {
	struct place_ *p = *state;
	deploy(p, 'A');
	int64_t began = p->world.mono_ms;
	check(p, deploy(p, 'B'), OUTCOME_DONE, 2, 'B');
	assert_true(p->world.mono_ms - began >= 10000);
	assert_true(p->world.exposed > 5);
	assert_false(fake_find(&p->world, &(struct digest){0}));
	struct digest a = fake_digest('A');
	assert_false(fake_find(&p->world, &a)->exists);
	assert_true(fake_find(&p->world, &a)->is_kept);
	int64_t writes = p->world.writes;
	check(p, deploy(p, 'B'), OUTCOME_UNCHANGED, 2, 'B');
	assert_int_equal(p->world.writes, writes);
}

static void test_bad_canary(void **state) {
	struct place_ *p = *state;
	fake_model_add(&p->world, 'X')->error_rate = 0.2;
	p->world.rps = 100;
	deploy(p, 'A');
	struct release_result result = deploy(p, 'X');
	check(p, result, OUTCOME_ROLLED_BACK, 1, 'A');
	assert_int_equal(result.undone, 2);
	assert_string_equal(result.serving, fake_digest('A').text);
	assert_non_null(strstr(result.cause, "errors"));
	struct document *evidence = NULL;
	struct err err = {0};
	assert_int_equal(release_evidence_read(&p->client.context, 2, &evidence, &err), 0);
	assert_non_null(value_find(evidence->root, "gate.arithmetic"));
	document_free(evidence);
	result = deploy(p, 'X');
	assert_int_equal(result.outcome, OUTCOME_REFUSED);
	assert_non_null(strstr(result.fix, "--allow-refused"));
	struct deploy_request again = request_for(p, 'X');
	again.is_refused_allowed = true;
	assert_int_equal(release_deploy(&p->client.context, &again, &result, &err), 0);
	check(p, result, OUTCOME_ROLLED_BACK, 1, 'A');
}

/* The same model behind another server is another thing to judge; the same behind the same one is not. */
static void test_bad_canary_of_another_server(void **state) {
	struct place_ *p = *state;
	struct err err = {0};
	struct release_result result;
	AUTO_DOCUMENT struct document *bad = document_new("objects"), *mended = document_new("objects");
	value_add_text(bad, value_root_object(bad), "answers", "server@sha256:1");
	value_add_text(mended, value_root_object(mended), "answers", "server@sha256:2");
	struct fake_model *model = fake_model_add(&p->world, 'X');
	model->error_rate = 0.2;
	p->world.rps = 100;
	deploy(p, 'A');
	struct deploy_request request = request_for(p, 'X');
	request.objects = bad->root;
	assert_int_equal(release_deploy(&p->client.context, &request, &result, &err), 0);
	check(p, result, OUTCOME_ROLLED_BACK, 1, 'A');
	assert_int_equal(release_deploy(&p->client.context, &request, &result, &err), 0);
	assert_int_equal(result.outcome, OUTCOME_REFUSED);
	model->error_rate = 0;
	request.objects = mended->root;
	assert_int_equal(release_deploy(&p->client.context, &request, &result, &err), 0);
	check(p, result, OUTCOME_DONE, 3, 'X');
	request.objects = bad->root; /* the other one has shown nothing of it */
	request.revision.settings = fake_digest('T');
	assert_int_equal(release_deploy(&p->client.context, &request, &result, &err), 0);
	assert_int_equal(result.outcome, OUTCOME_REFUSED);
}

static void test_first_fails(void **state) {
	struct place_ *p = *state;
	fake_model_add(&p->world, 'X')->is_stuck = true;
	struct release_result result = deploy(p, 'X');
	check(p, result, OUTCOME_FAILED, 0, 0);
	assert_non_null(strstr(result.cause, "can't be loaded"));
	check(p, deploy(p, 'A'), OUTCOME_DONE, 2, 'A');
}

static void test_cannot_start(void **state) {
	struct place_ *p = *state;
	fake_model_add(&p->world, 'X')->is_stuck = true;
	fake_model_add(&p->world, 'Y')->is_failing = true;
	fake_model_add(&p->world, 'Z')->is_lying = true;
	deploy(p, 'A');
	int64_t began = p->world.mono_ms;
	check(p, deploy(p, 'X'), OUTCOME_ROLLED_BACK, 1, 'A');
	assert_true(p->world.mono_ms - began < 2000);
	check(p, deploy(p, 'Y'), OUTCOME_ROLLED_BACK, 1, 'A');
	check(p, deploy(p, 'Z'), OUTCOME_ROLLED_BACK, 1, 'A');
}

/* Not to start does not refuse an image: the remedy is often in mlctl.yaml. To break once it is asked does. */
static void test_canary_breaks(void **state) {
	struct place_ *p = *state;
	deploy(p, 'A');
	fake_model_add(&p->world, 'X')->is_stuck = true;
	check(p, deploy(p, 'X'), OUTCOME_ROLLED_BACK, 1, 'A');
	check(p, deploy(p, 'X'), OUTCOME_ROLLED_BACK, 1, 'A');
	fake_model_add(&p->world, 'Y')->is_breaking = true;
	check(p, deploy(p, 'Y'), OUTCOME_ROLLED_BACK, 1, 'A');
	check(p, deploy(p, 'Y'), OUTCOME_REFUSED, 1, 'A');
}

static void test_smoke_fails(void **state) {
	struct place_ *p = *state;
	fake_model_add(&p->world, 'X')->is_wrong = true;
	deploy(p, 'A');
	struct deploy_request request = request_for(p, 'X');
	struct release_result result;
	struct err err = {0};
	request.canary.is_none = true;
	assert_int_equal(release_deploy(&p->client.context, &request, &result, &err), 0);
	check(p, result, OUTCOME_ROLLED_BACK, 1, 'A');
	assert_non_null(strstr(result.cause, "golden example"));
}

/* Endpoints that follow their pods late, or never, are not the version's. */
static void test_smoke_meets_a_shut_door(void **state) {
	struct place_ *p = *state;
	deploy(p, 'A');
	p->world.door_shut_until_ms = p->world.mono_ms + 40000;
	check(p, deploy(p, 'B'), OUTCOME_DONE, 2, 'B');
	assert_true(p->world.mono_ms >= p->world.door_shut_until_ms);
	p->world.door_shut_until_ms = INT64_MAX;
	int64_t began = p->world.mono_ms;
	struct release_result result = deploy(p, 'C');
	check(p, result, OUTCOME_ROLLED_BACK, 2, 'B');
	assert_non_null(strstr(result.cause, "nobody is behind the front door"));
	assert_true(p->world.mono_ms - began < 120000);
	p->world.door_shut_until_ms = 0;
	check(p, deploy(p, 'C'), OUTCOME_DONE, 4, 'C'); /* not refused */
	/* One that answers nobody is, and soon. */
	struct deploy_request request = request_for(p, 'X');
	struct err err = {0};
	fake_model_add(&p->world, 'X')->error_rate = 1;
	request.canary.is_none = true;
	began = p->world.mono_ms;
	assert_int_equal(release_deploy(&p->client.context, &request, &result, &err), 0);
	check(p, result, OUTCOME_ROLLED_BACK, 4, 'C');
	assert_true(p->world.mono_ms - began < 20000);
	check(p, deploy(p, 'X'), OUTCOME_REFUSED, 4, 'C');
}

/* Golden examples that never got there are no errors of the canary's. */
static void test_way_is_away(void **state) {
	struct place_ *p = *state;
	p->world.rps = 0;
	deploy(p, 'A');
	p->world.away_until_ms = p->world.mono_ms + 5000;
	check(p, deploy(p, 'B'), OUTCOME_DONE, 2, 'B');
}

static void test_low_traffic(void **state) {
	struct place_ *p = *state;
	p->world.rps = 0;
	deploy(p, 'A');
	check(p, deploy(p, 'B'), OUTCOME_DONE, 2, 'B');
}

static void test_undecided(void **state) {
	struct place_ *p = *state;
	for (enum fake_metrics mode = METRICS_MISSING; mode <= METRICS_FOREIGN; mode++) {
		if (mode == METRICS_FALLING)
			continue;
		fake_model_add(&p->world, (char) ('M' + mode))->metrics = mode;
		if (mode == METRICS_MISSING)
			deploy(p, 'A');
		struct release_result result = deploy(p, (char) ('M' + mode));
		check(p, result, OUTCOME_UNDECIDED, 1, 'A');
		result = deploy(p, (char) ('M' + mode));
		assert_int_equal(result.outcome, OUTCOME_UNDECIDED); /* not refused */
	}
}

static void test_rollback(void **state) {
	struct place_ *p = *state;
	struct release_result result;
	struct err err = {0};
	deploy(p, 'A');
	deploy(p, 'B');
	deploy(p, 'C');
	assert_int_equal(release_rollback(&p->client.context, &(struct rollback_request){.reason = "wrong threshold"}, &result, &err), 0);
	check(p, result, OUTCOME_DONE, 4, 'B');
	assert_int_equal(result.undone, 3);
	assert_int_equal(release_rollback(&p->client.context, &(struct rollback_request){0}, &result, &err), 0);
	check(p, result, OUTCOME_DONE, 5, 'A'); /* never back to what was left */
	assert_int_equal(release_rollback(&p->client.context, &(struct rollback_request){0}, &result, &err), 0);
	assert_int_equal(result.outcome, OUTCOME_REFUSED);
	assert_int_equal(release_rollback(&p->client.context, &(struct rollback_request){.to = 3}, &result, &err), 0);
	check(p, result, OUTCOME_DONE, 6, 'C');
	int64_t writes = p->world.writes;
	assert_int_equal(release_rollback(&p->client.context, &(struct rollback_request){.to = 3}, &result, &err), 0);
	check(p, result, OUTCOME_DONE, 6, 'C');
	assert_int_equal(p->world.writes, writes);
}

static struct head head_of(const struct place_ *p) {
	struct head head;
	struct err err = {0};
	assert_int_equal(head_parse(p->world.head, p->world.head_len, &head, &err), 0);
	return head;
}

/* Somebody else, who is killed at his call of this number. */
static void killed_at(struct place_ *p, struct fake_client *other, int64_t at) {
	fake_client_init(other, &p->world, 1);
	fails_at(other, FAULT_KILL_AFTER, at);
}

/* A rollback that was killed past its lock and that a deploy finished leads on to what it would have led to itself. */
static void test_rollback_finished_by_a_deploy(void **state) {
	int finished = 0;
	bool was_killed = true;
	for (int64_t at = 1; was_killed; at++) {
		struct place_ *p = set_up_again(state);
		struct release_result result;
		struct fake_client other;
		struct err err = {0};
		fake_model_add(&p->world, 'X')->error_rate = 0.2;
		p->world.rps = 100;
		deploy(p, 'A');
		deploy(p, 'B');
		deploy(p, 'C');
		killed_at(p, &other, at);
		best_effort(release_rollback(&other.context, &(struct rollback_request){0}, &result, &err)); /* killed */
		was_killed = other.is_dead;
		struct head head = head_of(p);
		if (!head.candidate.again || head.candidate.phase < PHASE_PROMOTE)
			continue;
		finished++;
		fake_advance(&p->world, 60000);
		check(p, deploy(p, 'X'), OUTCOME_ROLLED_BACK, 4, 'B');
		err_clear(&err);
		assert_int_equal(release_rollback(&p->client.context, &(struct rollback_request){0}, &result, &err), 0);
		check(p, result, OUTCOME_DONE, 6, 'A');
	}
	assert_true(finished > 3);
}

/* A deploy that goes on where another was killed, and that is interrupted before it gets anywhere: nothing was to be rolled back. */
static void test_resume_interrupted(void **state) {
	bool was_reached = true;
	for (int64_t at = 1; was_reached; at++) {
		struct place_ *p = set_up_again(state);
		struct release_result result;
		struct fake_client other;
		struct err err = {0};
		struct deploy_request request;
		p->world.has_flock = true; /* nobody waits for a lease */
		deploy(p, 'A');
		request = request_for(p, 'B');
		request.canary.is_none = true;
		for (int64_t call = 1; head_of(p).candidate.phase < PHASE_PROMOTE; call++) {
			killed_at(p, &other, call);
			err_clear(&err);
			best_effort(release_deploy(&other.context, &request, &result, &err)); /* killed */
			fake_advance(&p->world, 60000);
		}
		fake_client_init(&p->client, &p->world, 0);
		fails_at(&p->client, FAULT_SIGNAL_CUT, at);
		err_clear(&err);
		int rc = release_deploy(&p->client.context, &request, &result, &err);
		was_reached = p->client.happened;
		if (was_reached && (rc != 0 || (result.outcome != OUTCOME_INTERRUPTED && result.outcome != OUTCOME_DONE)))
			fail_msg("call %d: outcome %d, %s%s", (int) at, rc ? -1 : (int) result.outcome, result.cause, err.message);
	}
}

/* A destroy that stopped half way, and that the next deploy can't finish either: nobody says that nothing is left. */
static void test_destroy_not_finished(void **state) {
	bool has_failed = true;
	int failed = 0;
	for (int64_t at = 1; has_failed; at++) {
		struct place_ *p = set_up_again(state);
		struct release_result result;
		struct fake_client other;
		struct err err = {0};
		p->world.has_flock = true; /* nobody waits for a lease */
		deploy(p, 'A');
		for (int64_t call = 1; head_of(p).candidate.phase != PHASE_DESTROY; call++) {
			killed_at(p, &other, call);
			err_clear(&err);
			best_effort(release_destroy(&other.context, false, &result, &err)); /* killed */
			fake_advance(&p->world, 60000);
		}
		fails_at(&p->client, FAULT_FULL, p->client.calls + at);
		p->client.happened = 0;
		struct deploy_request request = request_for(p, 'B');
		err_clear(&err);
		int rc = release_deploy(&p->client.context, &request, &result, &err);
		has_failed = p->client.happened;
		if (rc != 0 && strstr(err.message, "nothing is left"))
			fail_msg("call %d: %s", (int) at, err.message);
		failed += rc == 0 && result.outcome == OUTCOME_FAILED && strstr(result.cause, "no space left") && p->world.head_len;
	}
	assert_true(failed);
}

static void test_freeze_and_destroy(void **state) {
	struct place_ *p = *state;
	struct release_result result;
	struct err err = {0};
	deploy(p, 'A');
	assert_int_equal(release_freeze(&p->client.context, "holidays", &err), 0);
	result = deploy(p, 'B');
	assert_int_equal(result.outcome, OUTCOME_REFUSED);
	assert_non_null(strstr(result.cause, "holidays"));
	assert_int_equal(release_destroy(&p->client.context, false, &result, &err), 0);
	assert_int_equal(result.outcome, OUTCOME_REFUSED);
	assert_int_equal(release_freeze(&p->client.context, NULL, &err), 0);
	check(p, deploy(p, 'B'), OUTCOME_DONE, 2, 'B');
	assert_int_equal(release_destroy(&p->client.context, false, &result, &err), 0);
	assert_int_equal(result.outcome, OUTCOME_DONE);
	assert_int_equal(p->world.head_len, 0);
	assert_int_equal(release_destroy(&p->client.context, false, &result, &err), 0);
	assert_int_equal(result.outcome, OUTCOME_UNCHANGED);
}

static void test_forced_and_drifted(void **state) {
	struct place_ *p = *state;
	struct release_result result;
	struct err err = {0};
	struct fake_model *model = fake_model_add(&p->world, 'B');
	deploy(p, 'A');
	deploy(p, 'B');
	struct deploy_request request = request_for(p, 'B');
	request.is_forced = true;
	assert_int_equal(release_deploy(&p->client.context, &request, &result, &err), 0);
	check(p, result, OUTCOME_DONE, 3, 'B');
	struct release_head head;
	assert_int_equal(release_head_read(&p->client.context, &head, &err), 0);
	assert_int_equal(head.previous, 1);
	/* Somebody took a replica away: the same deploy is no longer "unchanged". */
	struct digest b = fake_digest('B');
	fake_find(&p->world, &b)->desired = p->world.main.desired = 1;
	fake_find(&p->world, &b)->full = 2;
	check(p, deploy(p, 'B'), OUTCOME_UNCHANGED, 3, 'B'); /* one of one is what the platform was told to run */
	model->is_lying = true;
	result = deploy(p, 'B');
	assert_int_equal(result.outcome, OUTCOME_FAILED);
	assert_string_equal(fake_serving(&p->world).text, b.text); /* what is good is never taken away */
	model->is_lying = false;
	check(p, deploy(p, 'B'), OUTCOME_UNCHANGED, 3, 'B');
}

static void test_texts_from_outside(void **state) {
	struct place_ *p = *state;
	struct err err = {0};
	struct release_head head;
	char reason[600];
	memset(reason, '\xff', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	p->client.context.actor = reason;
	deploy(p, 'A');
	assert_int_equal(release_freeze(&p->client.context, reason, &err), 0);
	assert_int_equal(release_head_read(&p->client.context, &head, &err), 0);
	for (size_t i = 0; i + 1 < sizeof(reason); i += 2)
		memcpy(reason + i, "\xc3\xa9", 2);
	reason[598] = '\0';
	assert_int_equal(release_freeze(&p->client.context, reason, &err), 0);
	assert_int_equal(release_head_read(&p->client.context, &head, &err), 0);
	assert_true(utf8_is_valid(head.frozen, strlen(head.frozen)));
	assert_int_equal(strlen(head.frozen), 254);
}

static void test_head_spoiled(void **state) {
	struct place_ *p = *state;
	struct err err = {0};
	struct release_result result;
	deploy(p, 'A');
	memcpy(p->world.head, "garbage", 7);
	struct deploy_request request = request_for(p, 'B');
	assert_int_equal(release_deploy(&p->client.context, &request, &result, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.fix, "destroy --force"));
	err_clear(&err);
	assert_int_equal(release_destroy(&p->client.context, false, &result, &err), -1);
	err_clear(&err);
	assert_int_equal(release_destroy(&p->client.context, true, &result, &err), 0);
	check(p, deploy(p, 'B'), OUTCOME_DONE, 1, 'B');
}

/* The credential goes at the n-th call, for every n, and a new one comes only after the command has ended: it says so, never that it was rolled back or that
 * the rollback failed, and one more deploy is done. */
static void test_credential_gone(void **state) {
	struct place_ *p = *state;
	char letter = 'B';
	deploy(p, 'A');
	for (int64_t n = 1;; n++) {
		struct release_result result;
		struct release_head head;
		struct err err = {0};
		struct deploy_request request = request_for(p, letter);
		p->client.expired_at = p->client.calls + n;
		int rc = release_deploy(&p->client.context, &request, &result, &err);
		bool is_over = p->client.calls < p->client.expired_at;
		p->client.expired_at = 0;
		if (rc != 0) {
			assert_int_equal(err.code, ERR_AUTH);
			assert_non_null(strstr(err.message, "expired"));
		} else if (result.outcome != OUTCOME_DONE) {
			fail_msg("call %d: outcome %d: %s", (int) n, (int) result.outcome, result.cause);
		}
		fake_advance(&p->world, 20000); /* the lease has ended */
		result = deploy(p, letter);
		if (result.outcome != OUTCOME_DONE && result.outcome != OUTCOME_UNCHANGED)
			fail_msg("after call %d: outcome %d: %s", (int) n, (int) result.outcome, result.cause);
		assert_int_equal(release_head_read(&p->client.context, &head, &err), 0);
		assert_int_equal(head.candidate, 0);
		struct digest wanted = fake_digest(letter), serving = fake_serving(&p->world);
		assert_true(digest_equal(&wanted, &serving));
		if (is_over)
			break;
		letter = letter == 'B' ? 'A' : 'B';
	}
}

/* It comes back while the command waits for it. */
static void test_credential_renewed(void **state) {
	struct place_ *p = *state;
	deploy(p, 'A');
	fails_at(&p->client, FAULT_AUTH, p->client.calls + 20);
	check(p, deploy(p, 'B'), OUTCOME_DONE, 2, 'B');
}

int main(void) {
#define CASE(name)                                                                                                                         \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down), {                                                                        \
#name " where it rolls", name, set_up_rolling, tear_down, NULL                                                             \
	}
	const struct CMUnitTest tests[] = {
		CASE(test_first),
		CASE(test_canary_and_unchanged),
		CASE(test_bad_canary),
		CASE(test_bad_canary_of_another_server),
		CASE(test_first_fails),
		CASE(test_cannot_start),
		CASE(test_canary_breaks),
		CASE(test_smoke_fails),
		CASE(test_smoke_meets_a_shut_door),
		CASE(test_way_is_away),
		CASE(test_low_traffic),
		CASE(test_undecided),
		CASE(test_rollback),
		CASE(test_rollback_finished_by_a_deploy),
		CASE(test_resume_interrupted),
		CASE(test_destroy_not_finished),
		CASE(test_freeze_and_destroy),
		CASE(test_forced_and_drifted),
		CASE(test_texts_from_outside),
		CASE(test_head_spoiled),
		CASE(test_credential_gone),
		CASE(test_credential_renewed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
