/* Causes, as seen on a real cluster over time (tests/cluster/record_causes) or as documented: tests/wire/kubernetes/causes. What is said at each moment,
 * when it is called hopeless, and that what recovers never is. Then what no cluster would say. */
#include "base/clock.h"
#include "kube/diagnose.h"
#include "os/fs.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define FOLDER "tests/wire/kubernetes/causes"
#define FIXTURES_MAX 400

static const char *const states[] = {"FINE", "WAITING", "FAILING", "STUCK"};

struct moment {
	double now_s;
	const struct value *pods, *events, *nodes, *sets, *deployments, *secrets, *config_maps, *log;
};

static const struct value *newer(const struct value *moment, const char *key, const struct value *before) {
	const struct value *now = value_get(moment, key);
	return now ? now : before;
}

/* A moment holds only what differs from the one before. */
static void step(struct moment *m, const struct value *next) {
	const struct value *now = value_get(next, "now");
	assert_non_null(now);
	assert_int_equal(num_double(now->text, &m->now_s), 0);
	m->pods = newer(next, "pods", m->pods);
	m->events = newer(next, "events", m->events);
	m->nodes = newer(next, "nodes", m->nodes);
	m->sets = newer(next, "replica_sets", m->sets);
	m->deployments = newer(next, "deployments", m->deployments);
	m->secrets = newer(next, "secrets_known", m->secrets);
	m->config_maps = newer(next, "config_maps_known", m->config_maps);
	m->log = newer(next, "log", m->log);
}

static void worst(const struct diagnosis *one, struct diagnosis *all) {
	if (one->state > all->state)
		*all = *one;
}

/* As a deploy asks: everything there is, with the log when it is wanted. */
static void diagnose(const struct moment *m, double now_s, int64_t memory, struct diagnosis *out) {
	AUTO_FREE char *log = m->log && m->log->kind == VALUE_STRING ? str_dup(m->log->text) : NULL;
	struct diagnose_world world = {.now_s = (int64_t) now_s,
		.events = m->events,
		.nodes = m->nodes,
		.replica_sets = m->sets,
		.pods = m->pods,
		.secrets_known = m->secrets,
		.config_maps_known = m->config_maps,
		.memory_needed_bytes = memory,
		.settings_file = "mlctl.yaml"};
	struct diagnosis one;
	*out = (struct diagnosis){0};
	value_each(pod, m->pods) {
		world.log = NULL;
		diagnose_pod(&world, pod, &one);
		if (one.wants_log && log) {
			world.log = log;
			diagnose_pod(&world, pod, &one);
			assert_false(one.wants_log);
		}
		worst(&one, out);
	}
	value_each(deployment, m->deployments) {
		diagnose_deployment(&world, deployment, &one);
		worst(&one, out);
	}
	assert_int_equal(out->state == DIAGNOSIS_FINE, out->cause[0] == '\0');
	assert_int_equal(out->state == DIAGNOSIS_FINE, out->text[0] == '\0');
}

static struct str expected(const struct value *root, const char *path) {
	const struct value *found = value_find(root, path);
	return found && found->kind == VALUE_STRING ? found->text : STR("");
}

static void check_words(const char *name, const struct value *words, const char *text, const char *what) {
	value_each(word, words) if (!strstr(text, word->text.ptr)) fail_msg("%s: %s lacks \"%.*s\": %s", name, what, STR_ARGS(word->text), text);
}

static void check(const char *name, const struct value *root, bool is_shown) {
	struct moment m = {0};
	struct diagnosis verdict = {0};
	double first_s = -1, shown_s = -1, stuck_s = -1;
	struct str memory_text = expected(root, "memory_needed");
	int64_t memory = 0;
	if (memory_text.len)
		assert_int_equal(num_bytes(memory_text, &memory), 0);
	struct str wanted_state = expected(root, "expect.state"), wanted_cause = expected(root, "expect.cause");
	char last[64] = "-";
	value_each(next, value_get(root, "moments")) {
		/* Right before something changes, what was there still is. */
		if (first_s >= 0) {
			double now_s;
			assert_int_equal(num_double(value_get(next, "now")->text, &now_s), 0);
			diagnose(&m, now_s, memory, &verdict);
			if (verdict.state == DIAGNOSIS_STUCK && stuck_s < 0)
				stuck_s = now_s;
		}
		step(&m, next);
		if (first_s < 0)
			first_s = m.now_s;
		diagnose(&m, m.now_s, memory, &verdict);
		if (verdict.state == DIAGNOSIS_STUCK && stuck_s < 0)
			stuck_s = m.now_s;
		if (str_is(wanted_cause, verdict.cause) && shown_s < 0)
			shown_s = m.now_s;
		char now[64];
		snprintf(now, sizeof(now), "%d%s", (int) verdict.state, verdict.cause);
		if (is_shown && strcmp(now, last) != 0)
			print_message("# %s %5.1f %s %s: %s | %s\n", name, m.now_s - first_s, states[verdict.state], verdict.cause, verdict.text, verdict.fix);
		snprintf(last, sizeof(last), "%s", now);
	}
	if (is_shown)
		print_message("# %s: shown at %.1f s, stuck at %.1f s\n", name, shown_s < 0 ? -1 : shown_s - first_s, stuck_s < 0 ? -1 : stuck_s - first_s);
	bool is_recovering = str_is(expected(root, "expect.recovers"), "yes");
	if (is_recovering && stuck_s >= 0)
		fail_msg("%s: given up after %.1f s, and it recovers", name, stuck_s - first_s);
	if (is_recovering ? shown_s < 0 : !str_is(wanted_cause, verdict.cause))
		fail_msg("%s: cause \"%s\", expected \"%.*s\": %s", name, verdict.cause, STR_ARGS(wanted_cause), verdict.text);
	if (!str_is(wanted_state, states[verdict.state]))
		fail_msg("%s: %s, expected %.*s: %s", name, states[verdict.state], STR_ARGS(wanted_state), verdict.text);
	check_words(name, value_find(root, "expect.text"), verdict.text, "text");
	check_words(name, value_find(root, "expect.fix"), verdict.fix, "fix");
	const struct value *by = value_find(root, "expect.stuck_within_s");
	double within_s;
	if (by && num_double(by->text, &within_s) == 0 && (stuck_s < 0 || stuck_s - first_s > within_s))
		fail_msg("%s: stuck at %.1f s, expected within %.1f s of the start", name, stuck_s < 0 ? -1 : stuck_s - first_s, within_s);
}

static struct document *read_fixture(const char *path) {
	struct err err = {0};
	struct document *document = NULL;
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	if (fs_read(path, (size_t) 8 * 1024 * 1024, &text, &len, &err) != 0 || json_read(path, (struct str){text, len}, VALUE_LIMITS_WIRE, &document, &err) != 0)
		fail_msg("%s %s", err.message, err.at);
	return document;
}

static void test_fixture(void **state) {
	const char *path = *state;
	AUTO_DOCUMENT struct document *document = read_fixture(path);
	check(path + sizeof(FOLDER), document->root, getenv("SHOW") != NULL);
}

static int by_name(const void *a, const void *b) {
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static size_t list_fixtures(char *paths[FIXTURES_MAX]) {
	size_t count = 0;
	DIR *dir = opendir(FOLDER);
	for (struct dirent *entry; dir && count < FIXTURES_MAX && (entry = readdir(dir));)
		if (str_ends(str_of(entry->d_name), ".json"))
			paths[count++] = mem_format(FOLDER "/%s", entry->d_name);
	if (dir)
		closedir(dir);
	qsort(paths, count, sizeof(paths[0]), by_name);
	return count;
}

static void test_nothing_seen(void **state) {
	(void) state;
	struct diagnose_world world = {0};
	struct diagnosis verdict;
	diagnose_pod(&world, NULL, &verdict);
	assert_int_equal(verdict.state, DIAGNOSIS_FINE);
	diagnose_deployment(&world, NULL, &verdict);
	assert_int_equal(verdict.state, DIAGNOSIS_FINE);
}

int main(void) {
	char *paths[FIXTURES_MAX];
	size_t count = list_fixtures(paths);
	struct CMUnitTest tests[FIXTURES_MAX + 8] = {{0}};
	size_t n = 0;
	tests[n++] = (struct CMUnitTest) cmocka_unit_test(test_nothing_seen);
	for (size_t i = 0; i < count; i++)
		tests[n++] = (struct CMUnitTest){paths[i] + sizeof(FOLDER), test_fixture, NULL, NULL, paths[i]};
	int failed = _cmocka_run_group_tests("kube_diagnose", tests, n, NULL, NULL);
	for (size_t i = 0; i < count; i++)
		free(paths[i]);
	return failed;
}
