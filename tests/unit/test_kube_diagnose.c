/* Causes, as seen on a real cluster over time (tests/cluster/record_causes) or as documented: tests/wire/kubernetes/causes. What is said at
 * each moment, when it is called hopeless, and that what recovers never is. Then what no cluster would say. */
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

/* What there is at a moment. The objects lie in the fixture's tree; lists of them are made anew when one changes. */
enum { PODS, EVENTS, NODES, SETS, DEPLOYMENTS, KINDS };
static const char *const kinds[KINDS] = {"pods", "events", "nodes", "replica_sets", "deployments"};
#define OBJECTS_MAX 200

struct moment {
	double now_s;
	const struct value *objects[KINDS][OBJECTS_MAX];
	size_t counts[KINDS];
	const struct value *secrets, *config_maps, *quotas, *log;
	struct document *lists;
};

static void moment_clear(struct moment *m) {
	document_free(m->lists);
}

static struct str name_of(const struct value *object) {
	const struct value *name = value_find(object, "metadata.name");
	return name ? name->text : STR("");
}

static void put(struct moment *m, size_t kind, const struct value *object) {
	for (size_t i = 0; i < m->counts[kind]; i++)
		if (str_equal(name_of(m->objects[kind][i]), name_of(object))) {
			m->objects[kind][i] = object;
			return;
		}
	assert_true(m->counts[kind] < OBJECTS_MAX);
	m->objects[kind][m->counts[kind]++] = object;
}

static void drop(struct moment *m, struct str path) {
	struct str name, kind_name = str_cut(path, '/', &name);
	for (size_t kind = 0; kind < KINDS; kind++)
		for (size_t i = 0; str_is(kind_name, kinds[kind]) && i < m->counts[kind]; i++)
			if (str_equal(name_of(m->objects[kind][i]), name)) {
				memmove(&m->objects[kind][i], &m->objects[kind][i + 1],
					(m->counts[kind] - i - 1) * sizeof(m->objects[kind][0]));
				m->counts[kind]--;
			}
}

static const struct value *newer(const struct value *moment, const char *key, const struct value *before) {
	const struct value *now = value_get(moment, key);
	return now ? now : before;
}

static void step(struct moment *m, const struct value *next) {
	const struct value *now = value_get(next, "now");
	assert_non_null(now);
	assert_int_equal(num_double(now->text, &m->now_s), 0);
	value_each(path, value_get(next, "gone")) drop(m, path->text);
	m->secrets = newer(next, "secrets_known", m->secrets);
	m->config_maps = newer(next, "config_maps_known", m->config_maps);
	m->quotas = newer(next, "quotas", m->quotas);
	m->log = newer(next, "log", m->log);
	document_free(m->lists);
	m->lists = document_new("lists");
	struct value *root = value_root_object(m->lists);
	for (size_t kind = 0; kind < KINDS; kind++) {
		value_each(object, value_get(next, kinds[kind])) put(m, kind, object);
		struct value *list = m->counts[kind] ? value_add_array(m->lists, root, kinds[kind]) : NULL;
		for (size_t i = 0; i < m->counts[kind]; i++)
			value_add_copy(m->lists, list, NULL, m->objects[kind][i]);
	}
}

static void worst(const struct diagnosis *one, struct diagnosis *all) {
	if (one->state > all->state)
		*all = *one;
}

/* What whoever asks may not be allowed to see. */
enum { UNSEEN_NOTHING, UNSEEN_EVENTS, UNSEEN_NODES, UNSEEN_NAMES, UNSEEN_PODS, UNSEEN_SETS, UNSEEN_ALL, UNSEEN_KINDS };

static void hide(struct diagnose_world *world, int unseen) {
	if (unseen == UNSEEN_EVENTS || unseen == UNSEEN_ALL)
		world->events = NULL;
	if (unseen == UNSEEN_NODES || unseen == UNSEEN_ALL)
		world->nodes = NULL;
	if (unseen == UNSEEN_NAMES || unseen == UNSEEN_ALL)
		world->secrets_known = world->config_maps_known = NULL;
	if (unseen == UNSEEN_PODS || unseen == UNSEEN_ALL)
		world->pods = NULL;
	if (unseen == UNSEEN_SETS || unseen == UNSEEN_ALL)
		world->replica_sets = NULL;
}

/* As a deploy asks: everything there is, with the log when it is wanted. */
static void diagnose(const struct moment *m, double now_s, int64_t memory, int unseen, struct diagnosis *out) {
	AUTO_FREE char *log = m->log && m->log->kind == VALUE_STRING ? str_dup(m->log->text) : NULL;
	const struct value *lists[KINDS];
	for (size_t kind = 0; kind < KINDS; kind++)
		lists[kind] = value_get(m->lists->root, kinds[kind]);
	struct diagnose_world world = {.now_s = (int64_t) now_s,
		.events = lists[EVENTS],
		.nodes = lists[NODES],
		.replica_sets = lists[SETS],
		.pods = lists[PODS],
		.secrets_known = m->secrets,
		.config_maps_known = m->config_maps,
		.quotas = m->quotas,
		.memory_needed_bytes = memory,
		.settings_file = "mlctl.yaml"};
	struct diagnosis one;
	hide(&world, unseen);
	*out = (struct diagnosis){0};
	value_each(pod, lists[PODS]) {
		world.log = NULL;
		diagnose_pod(&world, pod, &one);
		if (one.wants_log && log) {
			world.log = log;
			diagnose_pod(&world, pod, &one);
			assert_false(one.wants_log);
		}
		worst(&one, out);
	}
	value_each(deployment, lists[DEPLOYMENTS]) {
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
	value_each(word, words) if (!strstr(text, word->text.ptr))
		fail_msg("%s: %s lacks \"%.*s\": %s", name, what, STR_ARGS(word->text), text);
}

/* What was said over the whole time. */
struct told {
	const char *name;
	struct str cause;
	int64_t memory;
	int unseen;
	bool is_shown;
	double first_s, shown_s, stuck_s;
	struct diagnosis verdict;
	char last[64];
};

static void tell(struct told *told, const struct moment *m, double now_s) {
	char now[64];
	struct diagnosis *verdict = &told->verdict;
	diagnose(m, now_s, told->memory, told->unseen, verdict);
	if (verdict->state == DIAGNOSIS_STUCK && told->stuck_s < 0)
		told->stuck_s = now_s;
	if (str_is(told->cause, verdict->cause) && told->shown_s < 0)
		told->shown_s = now_s;
	snprintf(now, sizeof(now), "%d%s", (int) verdict->state, verdict->cause);
	if (told->is_shown && strcmp(now, told->last) != 0)
		print_message("# %s %5.1f %s %s: %s | %s\n", told->name, now_s - told->first_s, states[verdict->state], verdict->cause,
			verdict->text, verdict->fix);
	snprintf(told->last, sizeof(told->last), "%s", now);
}

/* Every half second from the first moment to the last, as a deploy that waits would. */
static void play(struct told *told, const struct value *moments) {
	CLEANUP(moment_clear) struct moment m = {0};
	value_each(next, moments) {
		double next_s;
		assert_int_equal(num_double(value_get(next, "now")->text, &next_s), 0);
		for (double now_s = m.now_s + 0.5; told->first_s >= 0 && now_s < next_s; now_s += 0.5)
			tell(told, &m, now_s);
		step(&m, next);
		if (told->first_s < 0)
			told->first_s = m.now_s;
		tell(told, &m, m.now_s);
	}
}

/* Less seen is less said; but nothing that recovers is given up for it. */
static void check_unseen(const char *name, const struct value *root) {
	for (int unseen = UNSEEN_EVENTS; unseen < UNSEEN_KINDS; unseen++) {
		struct told told = {.name = name,
			.cause = expected(root, "expect.cause"),
			.unseen = unseen,
			.first_s = -1,
			.shown_s = -1,
			.stuck_s = -1};
		play(&told, value_get(root, "moments"));
		if (told.stuck_s >= 0)
			fail_msg("%s: given up after %.1f s when %d is not seen, and it recovers", name, told.stuck_s - told.first_s,
				unseen);
	}
}

static void check(const char *name, const struct value *root, bool is_shown) {
	struct told told = {.name = name,
		.cause = expected(root, "expect.cause"),
		.is_shown = is_shown,
		.unseen = getenv("UNSEEN") ? getenv("UNSEEN")[0] - '0' : 0,
		.first_s = -1,
		.shown_s = -1,
		.stuck_s = -1};
	struct str memory = expected(root, "memory_needed");
	if (memory.len)
		assert_int_equal(num_bytes(memory, &told.memory), 0);
	play(&told, value_get(root, "moments"));
	const struct diagnosis *verdict = &told.verdict;
	double shown_s = told.shown_s < 0 ? -1 : told.shown_s - told.first_s, stuck_s = told.stuck_s < 0 ? -1 : told.stuck_s - told.first_s;
	if (is_shown)
		print_message("# %s: shown at %.1f s, stuck at %.1f s\n", name, shown_s, stuck_s);
	bool is_recovering = str_is(expected(root, "expect.recovers"), "yes");
	if (is_recovering && told.stuck_s >= 0)
		fail_msg("%s: given up after %.1f s, and it recovers", name, stuck_s);
	if (is_recovering)
		check_unseen(name, root);
	if (is_recovering ? told.shown_s < 0 : !str_is(told.cause, verdict->cause))
		fail_msg("%s: cause \"%s\", expected \"%.*s\": %s", name, verdict->cause, STR_ARGS(told.cause), verdict->text);
	if (!str_is(expected(root, "expect.state"), states[verdict->state]))
		fail_msg(
			"%s: %s, expected %.*s: %s", name, states[verdict->state], STR_ARGS(expected(root, "expect.state")), verdict->text);
	check_words(name, value_find(root, "expect.text"), verdict->text, "text");
	check_words(name, value_find(root, "expect.fix"), verdict->fix, "fix");
	const struct value *by = value_find(root, "expect.stuck_within_s");
	double within_s;
	if (by && num_double(by->text, &within_s) == 0 && (told.stuck_s < 0 || stuck_s > within_s))
		fail_msg("%s: stuck at %.1f s, expected within %.1f s of the start", name, stuck_s, within_s);
}

static struct document *read_fixture(const char *path) {
	struct err err = {0};
	struct document *document = NULL;
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	if (fs_read(path, (size_t) 8 * 1024 * 1024, &text, &len, &err) != 0 ||
		json_read(path, (struct str){text, len}, VALUE_LIMITS_WIRE, &document, &err) != 0)
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

static struct document *parse(const char *text) {
	struct err err = {0};
	struct document *document = NULL;
	if (json_read("test", str_of(text), VALUE_LIMITS_CONFIG, &document, &err) != 0)
		fail_msg("%s %s", err.message, err.at);
	return document;
}

static const char crashed[] = "{\"metadata\":{\"name\":\"p\",\"namespace\":\"ml\"},\"spec\":{\"nodeName\":\"n\",\"containers\":[{\"name\":"
			      "\"runner\"}]},\"status\":{"
			      "\"containerStatuses\":[{\"name\":\"runner\",\"restartCount\":%d,\"state\":{%s},\"lastState\":{"
			      "\"terminated\":{\"exitCode\":1,\"reason\":\"Error\","
			      "\"startedAt\":\"2026-11-26T01:00:00Z\",\"finishedAt\":\"2026-11-26T01:00:01Z\"}}}]}}";

/* Whoever asks is told which log to fetch: of the run before only while a new one is under way. */
static void test_log_is_wanted(void **state) {
	(void) state;
	struct diagnose_world world = {.now_s = 1795654810};
	struct diagnosis verdict;
	AUTO_FREE char *waits = mem_format(crashed, 2, "\"waiting\":{\"reason\":\"CrashLoopBackOff\"}"),
		       *runs = mem_format(crashed, 3, "\"running\":{\"startedAt\":\"2026-11-26T01:00:09Z\"}");
	AUTO_DOCUMENT struct document *waiting = parse(waits), *running = parse(runs);
	diagnose_pod(&world, waiting->root, &verdict);
	assert_int_equal(verdict.state, DIAGNOSIS_STUCK);
	assert_true(verdict.wants_log && !verdict.is_previous);
	assert_string_equal(verdict.container, "runner");
	diagnose_pod(&world, running->root, &verdict);
	assert_true(verdict.wants_log && verdict.is_previous);
	world.log = "";
	diagnose_pod(&world, running->root, &verdict);
	assert_false(verdict.wants_log);
	world.log = NULL;
	world.restarts_before = 3; /* all of them were before this rollout */
	diagnose_pod(&world, running->root, &verdict);
	assert_int_equal(verdict.state, DIAGNOSIS_FINE);
	world.restarts_before = 1;
	diagnose_pod(&world, waiting->root, &verdict);
	assert_int_equal(verdict.state, DIAGNOSIS_FAILING);
}

/* A log is whatever a container wrote: it can't move the cursor, turn the line around or grow it. */
static void test_hostile_log(void **state) {
	(void) state;
	AUTO_FREE char *waits = mem_format(crashed, 2, "\"waiting\":{\"reason\":\"CrashLoopBackOff\"}");
	AUTO_DOCUMENT struct document *document = parse(waits);
	AUTO_BUF struct buf log = BUF(1024 * 1024);
	buf_text(&log, "error: \033]0;owned\007 \xe2\x80\xae"
		       "abc \xff\xfe \xc2\x9b 100%s%n ");
	for (int i = 0; i < 5000; i++)
		buf_text(&log, "\xc3\xa9");
	struct diagnose_world world = {.now_s = 1795654810, .log = log.ptr};
	struct diagnosis verdict;
	diagnose_pod(&world, document->root, &verdict);
	assert_true(utf8_is_valid(verdict.text, strlen(verdict.text)));
	assert_null(strpbrk(verdict.text, "\033\007\n"));
	assert_null(strstr(verdict.text, "\xe2\x80\xae"));
	assert_null(strstr(verdict.text, "\xc2\x9b"));
	assert_non_null(strstr(verdict.text, "100%s%n"));
	assert_true(strlen(verdict.text) < sizeof(verdict.text));
}

/* Wrong types everywhere are nothing, not a crash; a name that fills the text is cut at a whole character. */
static void test_hostile_objects(void **state) {
	(void) state;
	static const char *const objects[] = {"[]", "\"pod\"", "{}", "{\"metadata\":3,\"spec\":[],\"status\":\"x\"}",
		"{\"spec\":{\"nodeName\":[],\"containers\":{\"a\":1}},\"status\":{\"containerStatuses\":{\"x\":{\"name\":1}},"
		"\"conditions\":5}}",
		"{\"spec\":{\"nodeName\":\"n\",\"containers\":[1,null,{\"name\":{}}]},\"status\":{\"containerStatuses\":[1,null,[],{"
		"\"name\":\"a\",\"restartCount\":99999999999,"
		"\"state\":{\"terminated\":{\"exitCode\":\"x\",\"finishedAt\":7}}}]}}"};
	struct diagnosis verdict;
	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
		AUTO_DOCUMENT struct document *document = parse(objects[i]);
		struct diagnose_world world = {.now_s = INT64_MAX,
			.events = document->root,
			.nodes = document->root,
			.pods = document->root,
			.replica_sets = document->root};
		diagnose_pod(&world, document->root, &verdict);
		assert_true(verdict.state <= DIAGNOSIS_FAILING);
		diagnose_deployment(&world, document->root, &verdict);
		assert_true(verdict.state <= DIAGNOSIS_FAILING);
	}
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
	tests[n++] = (struct CMUnitTest) cmocka_unit_test(test_log_is_wanted);
	tests[n++] = (struct CMUnitTest) cmocka_unit_test(test_hostile_log);
	tests[n++] = (struct CMUnitTest) cmocka_unit_test(test_hostile_objects);
	for (size_t i = 0; i < count; i++)
		tests[n++] = (struct CMUnitTest){paths[i] + sizeof(FOLDER), test_fixture, NULL, NULL, paths[i]};
	int failed = _cmocka_run_group_tests("kube_diagnose", tests, n, NULL, NULL);
	for (size_t i = 0; i < count; i++)
		free(paths[i]);
	return failed;
}
