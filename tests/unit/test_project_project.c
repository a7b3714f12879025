/* mlctl.yaml: finding it, environments, defaults, what is refused, digests, the schema. */
#include "os/fs.h"
#include "project/project.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define SMALL "name: fraud\nmodel: {path: m/model.onnx}\n"

static struct project *read_project(const char *text) {
	struct err err = {0};
	struct project *project = NULL;
	if (project_read("/p", PROJECT_FILE, str_of(text), &project, &err) != 0)
		fail_msg("%s: %s", err.at, err.message);
	return project;
}

static struct settings *read_settings(const char *text, const char *name) {
	AUTO_PROJECT struct project *project = read_project(text);
	struct err err = {0};
	struct settings *settings = NULL;
	if (project_env(project, name, &settings, &err) != 0)
		fail_msg("%s: %s", err.at, err.message);
	return settings;
}

static void test_smallest(void **state) {
	(void) state;
	AUTO_SETTINGS struct settings *s = read_settings(SMALL, NULL);
	assert_string_equal(s->name, "fraud");
	assert_string_equal(s->environment, "local");
	assert_string_equal(s->target, "local");
	assert_null(s->image);
	assert_string_equal(s->base, "scratch");
	assert_string_equal(s->model.path, "m/model.onnx");
	assert_string_equal(s->model.name, "model");
	assert_null(s->model.golden);
	assert_int_equal(s->serve.port, 8080);
	assert_int_equal(s->serve.timeout_ms, 10000);
	assert_int_equal(s->resources.cpu_millicores, 0);
	assert_true(s->scale.min == 1 && s->scale.max == 1);
	assert_true(s->rollout.canary.is_on);
	assert_true(s->rollout.canary.weight > 0.099 && s->rollout.canary.weight < 0.101);
	assert_int_equal(s->rollout.canary.for_ms, 10000);
	assert_int_equal(s->rollout.canary.requests_min, 100);
	assert_int_equal(s->rollout.canary.max_ms, 1800000);
	assert_int_equal(s->rollout.rollback.latency_p99_ms, 2000);
	assert_int_equal(s->rollout.rollback.health_failures, 3);
	assert_false(s->registry.is_insecure);
	assert_int_equal(strlen(s->settings_digest.text), 71);
	char where[SETTINGS_WHERE_MAX];
	assert_true(settings_where(s, "model.path", where));
	assert_string_equal(where, "mlctl.yaml:2");
	assert_false(settings_where(s, "serve.port", where));
}

#define TWO                                                                                                                                \
	SMALL "image: registry.example.com:5000/team/fraud\nscale: {min: 2}\nresources: {cpu: 500m, memory: 256Mi}\nrollout: {canary: "    \
	      "none}\n"                                                                                                                    \
	      "environments:\n  local: {target: local, resources: {cpu: null}}\n  edge:\n    target: local\n    scale: {min: 3}\n    "     \
	      "resources: {cpu: null}\n"                                                                                                   \
	      "    rollout:\n      canary: {weight: 20%}\n  prod: {target: aci, location: westeurope}\n"

static void test_environments(void **state) {
	(void) state;
	AUTO_SETTINGS struct settings *local = read_settings(TWO, "local"), *edge = read_settings(TWO, "edge");
	assert_int_equal(local->scale.min, 2);
	assert_int_equal(edge->scale.min, 3);
	assert_int_equal(local->resources.cpu_millicores, 0);
	assert_int_equal(edge->resources.cpu_millicores, 0);
	assert_int_equal(edge->resources.memory_bytes, 256 << 20);
	assert_false(local->rollout.canary.is_on);
	assert_true(edge->rollout.canary.is_on);
	assert_int_equal(edge->rollout.canary.for_ms, 300000);
	assert_string_equal(edge->image, "registry.example.com:5000/team/fraud");
	assert_null(value_get(edge->document->root, "environments"));
	char where[SETTINGS_WHERE_MAX];
	assert_true(settings_where(edge, "scale.min", where));
	assert_string_equal(where, "mlctl.yaml:11");
	assert_true(settings_where(local, "scale.min", where));
	assert_string_equal(where, "mlctl.yaml:4");
}

static void refuse_env(const char *text, const char *name, enum err_code code, const char *at, const char *words, const char *fix) {
	struct err err = {0};
	AUTO_PROJECT struct project *project = NULL;
	AUTO_SETTINGS struct settings *settings = NULL;
	if (project_read("/p", PROJECT_FILE, str_of(text), &project, &err) == 0 && project_env(project, name, &settings, &err) == 0)
		fail_msg("accepted: %s", text);
	if (err.code != code || strcmp(err.at, at) != 0 || !strstr(err.message, words) || strcmp(err.fix, fix) != 0)
		fail_msg("%s\n%s %s: %s (%s)", text, err_kind(err.code), err.at, err.message, err.fix);
}

static void test_choosing_refuses(void **state) {
	(void) state;
	refuse_env(TWO, NULL, ERR_USAGE, "", "several environments, name one: local, edge, prod", "--env local");
	refuse_env(TWO, "edeg", ERR_USAGE, "", "no environment \"edeg\", there are local, edge, prod", "--env edge");
	refuse_env(SMALL, "prod", ERR_USAGE, "", "there is local", "");
	refuse_env(TWO, "prod", ERR_CONFIG, "mlctl.yaml:15:18", "environments.prod.target: aci is not built yet", "");
	refuse_env(SMALL "environments: {a: {scale: {min: 2}}}\n", NULL, ERR_CONFIG, "mlctl.yaml:3:16", "environments.a.target: missing",
		"a: {target: local}");
	refuse_env(
		SMALL "environments: {a: {target: locl}}\n", NULL, ERR_CONFIG, "mlctl.yaml:3:28", "\"locl\" is not right", "target: local");
	refuse_env(SMALL "environments: {a: {target: [x]}}\n", NULL, ERR_CONFIG, "mlctl.yaml:3:28", "must be local", "");
}

static void test_file_refuses(void **state) {
	(void) state;
	refuse_env("", NULL, ERR_CONFIG, "mlctl.yaml:1:1", "the file is empty", "mlctl init");
	refuse_env("- a\n", NULL, ERR_CONFIG, "mlctl.yaml:1:1", "must hold a mapping", "mlctl init");
	refuse_env("a:\n\tb: 1\n", NULL, ERR_CONFIG, "mlctl.yaml:2:1", "a tab indents", "");
	refuse_env("name: a\nname: b\n", NULL, ERR_CONFIG, "mlctl.yaml:2:1", "name is there twice, first in line 1", "");
	refuse_env(SMALL "environments: [a]\n", NULL, ERR_CONFIG, "mlctl.yaml:3:15", "a mapping of names", "");
	refuse_env(SMALL "environments: {A b: {target: local}}\n", NULL, ERR_CONFIG, "mlctl.yaml:3:16", "not right as a name", "");
	refuse_env(SMALL "environments: {a: }\n", NULL, ERR_CONFIG, "mlctl.yaml:3:16", "a mapping with a target", "a: {target: local}");
	refuse_env("model: {path: x}\n", NULL, ERR_CONFIG, "mlctl.yaml:1:1", "name: missing", "name: fraud");
	refuse_env("name: a\n", NULL, ERR_CONFIG, "mlctl.yaml:1:1", "model.path: missing", "path: model.onnx");
	refuse_env(SMALL "modle: {}\n", NULL, ERR_CONFIG, "mlctl.yaml:3:1", "did you mean model?", "model: ...");
	refuse_env(SMALL "serve: {auth: {apiKey: {secret: x}}}\n", NULL, ERR_CONFIG, "mlctl.yaml:3:9", "serve.auth: this is not built yet",
		"");
	refuse_env(SMALL "serve: {rateLimit: {}}\n", NULL, ERR_CONFIG, "mlctl.yaml:3:9", "serve.rateLimit: this is not built yet", "");
	refuse_env(SMALL "namespace: ml\n", NULL, ERR_CONFIG, "mlctl.yaml:3:1", "target local has no such thing, only kubernetes", "namespace: null");
	refuse_env(SMALL "scale: {min: 2, max: 10}\n", NULL, ERR_CONFIG, "mlctl.yaml:3:22", "does not scale by load",
		"environments.local.scale: {max: null, cpu: null}");
	refuse_env(SMALL "scale: {cpu: 70%}\n", NULL, ERR_CONFIG, "mlctl.yaml:3:14", "does not scale by load",
		"environments.local.scale: {max: null, cpu: null}");
	refuse_env(SMALL "resources: {cpu: 500m}\n", NULL, ERR_CONFIG, "mlctl.yaml:3:18", "does not limit processor time",
		"environments.local.resources: {cpu: null}");
	refuse_env(SMALL "scale: {min: 5, max: 4}\n", NULL, ERR_CONFIG, "mlctl.yaml:3:22", "4 is below scale.min, 5", "");
	refuse_env(SMALL "rollout: {canary: {for: 1h}}\n", NULL, ERR_CONFIG, "mlctl.yaml:3:25", "1h is longer than rollout.canary.max, 30m",
		"");
	refuse_env(SMALL "rollout: {canary: {max: 5s}}\n", NULL, ERR_CONFIG, "mlctl.yaml:3:25", "10s is longer than rollout.canary.max, 5s",
		"");
}

static void refuse_key(const char *key, const char *words) {
	AUTO_FREE char *text = mem_format("%s%s\n", SMALL, key);
	struct err err = {0};
	AUTO_PROJECT struct project *project = read_project(text);
	AUTO_SETTINGS struct settings *settings = NULL;
	if (project_env(project, NULL, &settings, &err) == 0)
		fail_msg("accepted: %s", key);
	if (!strstr(err.message, words))
		fail_msg("%s: %s", key, err.message);
}

static void accept_key(const char *key) {
	AUTO_FREE char *text = mem_format("%s%s\n", SMALL, key);
	AUTO_SETTINGS struct settings *settings = read_settings(text, NULL);
	assert_non_null(settings);
}

static void test_names(void **state) {
	(void) state;
	static const char *const good_images[] = {"fraud", "team/fraud", "localhost/fraud", "localhost:5000/fraud",
		"registry.example.com/a/b/c", "10.0.0.1:80/x", "ghcr.io/o-o/a__b.c--d", "'[::1]:5000/x'", "Registry.Example.com/x"};
	for (size_t i = 0; i < sizeof(good_images) / sizeof(good_images[0]); i++) {
		AUTO_FREE char *key = mem_format("image: %s", good_images[i]);
		accept_key(key);
	}
	refuse_key("image: Team/fraud", "lower case");
	refuse_key("image: a/b:1.0", "without a tag or a digest");
	refuse_key("image: localhost:5000/b:latest", "without a tag or a digest");
	refuse_key("image: a@sha256:00", "without a tag or a digest");
	refuse_key("image: https://ghcr.io/a", "without http://");
	refuse_key("image: a//b", "repository");
	refuse_key("image: a/../b", "repository");
	refuse_key("image: host.io:99999/b", "repository");
	refuse_key("image: ghcr.io/", "repository");
	refuse_key("image: a___b", "repository");
	refuse_key("image: ''", "repository");
	refuse_key("base: alpine:3", "by its digest");
	refuse_key("base: alpine@sha256:12", "by its digest");
	accept_key("base: a.io/alpine@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	accept_key("registry: {caFile: /etc/ssl/ca.pem, insecure: true}");
}

static void test_model_names(void **state) {
	(void) state;
	static const struct {
		const char *path, *name;
	} cases[] = {{"a/b.c.onnx", "b.c"}, {"model", "model"}, {"dir/", "dir"}, {".", "s"}, {"d/.onnx", "s"}, {"a b.onnx", "s"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_FREE char *text = mem_format("name: s\nmodel: {path: \"%s\"}\n", cases[i].path);
		AUTO_SETTINGS struct settings *settings = read_settings(text, NULL);
		assert_string_equal(settings->model.name, cases[i].name);
	}
	static const char *const bad[] = {"/etc/passwd", "../m.onnx", "a/../../m", "a/..", "", "a\\x01"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		AUTO_FREE char *text = mem_format("name: s\nmodel: {path: \"%s\"}\n", bad[i]);
		refuse_env(text, NULL, ERR_CONFIG, "mlctl.yaml:2:15", "beneath the project's folder", "");
	}
	static const char *const bad_names[] = {
		"Fraud", "1a", "a_b", "a-", "-a", "a.b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	for (size_t i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++) {
		AUTO_FREE char *text = mem_format("name: \"%s\"\nmodel: {path: x}\n", bad_names[i]);
		refuse_env(text, NULL, ERR_CONFIG, "mlctl.yaml:1:7", "a-z, 0-9 and '-'", "");
	}
	refuse_env("name: s\nmodel: {path: x, name: a/b}\n", NULL, ERR_CONFIG, "mlctl.yaml:2:24", "stands in URLs", "");
}

static void check_digest(const char *a, const char *b, bool is_same) {
	AUTO_SETTINGS struct settings *x = read_settings(a, NULL), *y = read_settings(b, NULL);
	if (digest_equal(&x->settings_digest, &y->settings_digest) != is_same)
		fail_msg("%s\n%s", a, b);
}

static void test_digest(void **state) {
	(void) state;
	check_digest(SMALL, SMALL "# a comment\nserve: {port: 8080, timeout: 10000ms}\nscale: {min: 1, max: 1}\n", true);
	check_digest(SMALL,
		SMALL "image: a/b\nbase: scratch\nregistry: {insecure: true}\nrollout: {canary: none, rollback: {errorRate: 1%}}\n", true);
	check_digest(SMALL, "name: fraud\nmodel: {path: m/model.onnx, golden: g.jsonl}\n", true);
	check_digest(SMALL, SMALL "environments: {local: {target: local}}\n", true);
	check_digest(SMALL, SMALL "serve: {port: 8081}\n", false);
	check_digest(SMALL, SMALL "serve: {timeout: 1s}\n", false);
	check_digest(SMALL, SMALL "scale: {min: 2}\n", false);
	check_digest(SMALL, SMALL "resources: {memory: 1Gi}\n", false);
	check_digest(SMALL, SMALL "environments: {other: {target: local}}\n", false);
	check_digest(SMALL, "name: fraud\nmodel: {path: m/other.onnx}\n", false);
}

static void test_check(void **state) {
	(void) state;
	struct err problems[PROJECT_PROBLEMS_MAX] = {0};
	AUTO_PROJECT struct project *good = read_project(SMALL), *two = read_project(TWO);
	assert_int_equal(project_check(good, problems), 0);
	assert_int_equal(project_check(two, problems), 1);
	assert_non_null(strstr(problems[0].message, "aci is not built yet"));
	AUTO_PROJECT struct project *bad =
		read_project(SMALL "serve: {port: 0}\nfoo: 1\nenvironments: {a: {target: local}, b: {target: local, scale: {mn: 1}}}\n");
	assert_int_equal(project_check(bad, problems), 3);
	assert_string_equal(problems[0].at, "mlctl.yaml:3:15");
	assert_string_equal(problems[1].at, "mlctl.yaml:4:1");
	assert_non_null(strstr(problems[2].message, "did you mean min?"));
}

static void make_file(const char *folder, const char *name, const char *text) {
	struct err err = {0};
	AUTO_FREE char *path = fs_join(folder, name);
	if (fs_replace(path, text, strlen(text), 0600, &err) != 0)
		fail_msg("%s", err.message);
}

static void make_dir(const char *folder, const char *name) {
	struct err err = {0};
	AUTO_FREE char *path = fs_join(folder, name);
	if (fs_make_dirs(path, 0700, &err) != 0)
		fail_msg("%s", err.message);
}

static void test_finding(void **state) {
	(void) state;
	char root[] = "/tmp/project.XXXXXX";
	assert_non_null(mkdtemp(root));
	make_dir(root, "repo/.git");
	make_dir(root, "repo/a/b");
	make_dir(root, "repo/in/.git");
	make_file(root, "mlctl.yaml", SMALL);
	AUTO_FREE char *deep = fs_join(root, "repo/a/b"), *inner = fs_join(root, "repo/in"), *repo = fs_join(root, "repo");
	struct err err = {0};
	struct project *project = NULL;
	assert_int_equal(project_load(deep, &project, &err), -1); /* not above the work tree's root */
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.fix, "mlctl init");
	err_clear(&err);
	make_file(repo, "mlctl.yaml", SMALL);
	assert_int_equal(project_load(inner, &project, &err), -1);
	err_clear(&err);
	assert_int_equal(project_load(deep, &project, &err), 0);
	assert_string_equal(project->folder, repo);
	AUTO_FREE char *path = project_path(project, "m.onnx"), *want = fs_join(repo, "m.onnx"), *file = fs_join(repo, "mlctl.yaml");
	assert_string_equal(path, want);
	assert_string_equal(project->path, file);
	project_free(project);
	project = NULL;
	make_file(repo, "other.yaml", "name: other\nmodel: {path: x}\nnope: 1\n");
	AUTO_FREE char *other = fs_join(repo, "other.yaml");
	assert_int_equal(project_load(other, &project, &err), 0);
	struct settings *settings = NULL;
	assert_int_equal(project_env(project, NULL, &settings, &err), -1);
	assert_string_equal(err.at, "other.yaml:3:1");
	project_free(project);
	project = NULL;
	err_clear(&err);
	assert_int_equal(project_load("/nowhere/at/all", &project, &err), -1);
	assert_null(project);
	err_clear(&err);
	assert_int_equal(fs_remove_tree(root, &err), 0);
}

static void test_schema(void **state) {
	(void) state;
	struct err err = {0};
	AUTO_FREE char *json = NULL, *text = NULL;
	assert_int_equal(project_schema(&json, &err), 0);
	AUTO_DOCUMENT struct document *d = NULL;
	assert_int_equal(json_read("schema", str_of(json), VALUE_LIMITS_CONFIG, &d, &err), 0);
	assert_non_null(value_find(d->root, "properties.environments.additionalProperties.properties.scale.properties.min"));
	assert_null(value_find(d->root, "properties.serve.properties.auth"));
	assert_int_equal(project_reference(&text, &err), 0);
	assert_non_null(strstr(text, "rollout.canary.minRequests"));
	assert_non_null(strstr(text, "environments "));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smallest),
		cmocka_unit_test(test_environments),
		cmocka_unit_test(test_choosing_refuses),
		cmocka_unit_test(test_file_refuses),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_model_names),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_finding),
		cmocka_unit_test(test_schema),
	};
	return cmocka_run_group_tests_name("project_project", tests, NULL, NULL);
}
