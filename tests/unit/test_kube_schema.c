/* Kubernetes objects against the published schemas. tests/wire/kubernetes/schema holds the objects: good/ passes without a word, bad/ and
 * warned/ say above each document what is to be told of it ("# path: words"), and tests/cluster/light_schema.sh asks a real API server
 * about the same files. */
#include "kube/schema.h"
#include "kube/schema_check.h"
#include "unit/told.h"

#include <regex.h>

#include "kube/schema.inc"

static void test_good(void **state) {
	(void) state;
	assert_true(told_folder("good", kube_schema_check, false) >= 30);
}

static void test_bad(void **state) {
	(void) state;
	assert_true(told_folder("bad", kube_schema_check, true) >= 200);
}

static void test_warned(void **state) {
	(void) state;
	assert_true(told_folder("warned", kube_schema_check, true) >= 10);
}

/* The tables themselves: every index is inside, members are in order, patterns compile. */
static void test_tables(void **state) {
	(void) state;
	size_t nodes = sizeof(schema_nodes) / sizeof(schema_nodes[0]), types = sizeof(schema_types) / sizeof(schema_types[0]);
	size_t limits = sizeof(schema_limits) / sizeof(schema_limits[0]), members = sizeof(schema_members) / sizeof(schema_members[0]);
	size_t lists = sizeof(schema_lists) / sizeof(schema_lists[0]), patterns = 0;
	for (size_t i = 0; i < nodes; i++) {
		assert_true(schema_nodes[i].limit < limits && schema_nodes[i].keys < lists);
		assert_true(schema_nodes[i].ref < (schema_nodes[i].kind == SCHEMA_OBJECT ? types : nodes));
	}
	for (size_t i = 0; i < types; i++) {
		assert_true((size_t) schema_types[i].first + schema_types[i].count <= members);
		for (size_t k = 0; k + 1 < schema_types[i].count; k++) {
			const struct schema_member *member = &schema_members[schema_types[i].first + k];
			assert_true(strcmp(schema_strings + member[0].name, schema_strings + member[1].name) < 0);
		}
	}
	for (size_t i = 0; i < members; i++)
		assert_true(schema_members[i].node < nodes && schema_members[i].name < sizeof(schema_strings));
	for (size_t i = 0; i < limits; i++) {
		assert_true(schema_limits[i].choices < lists && schema_limits[i].pattern < sizeof(schema_strings));
		regex_t regex;
		if (!schema_limits[i].pattern)
			continue;
		patterns++;
		assert_int_equal(regcomp(&regex, schema_strings + schema_limits[i].pattern, REG_EXTENDED | REG_NOSUB), 0);
		regfree(&regex);
	}
	assert_true(patterns >= 8);
	for (size_t i = 0; i < sizeof(schema_roots) / sizeof(schema_roots[0]); i++)
		assert_true(schema_roots[i].type < (int) types);
}

static void test_formats(void **state) {
	(void) state;
	static const struct {
		enum schema_format format;
		const char *right[8], *wrong[10];
	} cases[] = {
		{FORMAT_LABEL, {"a", "a-b", "0a"}, {"", "-a", "a-", "A", "a.b", "a_b", "a b", "\xc3\xa4"}},
		{FORMAT_SUBDOMAIN, {"a", "a.b-c.0"}, {"", ".", "a.", ".a", "a..b", "A.b", "a_b"}},
		{FORMAT_SERVICE, {"a1"}, {"1a", "a.b", ""}},
		{FORMAT_SEGMENT, {"a:b", "A B"}, {"", ".", "..", "a/b", "a%b"}},
		{FORMAT_PORT_NAME, {"http", "h2c-1", "0a"}, {"8080", "a--b", "-a", "Http", "sixteen-letters-", "a_b"}},
		{FORMAT_LABEL_KEY, {"a", "A.b_c-d", "x.y/Z"}, {"", "/a", "a/", "X.y/z", "a/b/c", "-a", "a-", "a b"}},
		{FORMAT_LABEL_VALUE, {"", "a", "A_b.c-d", "1"}, {"-a", "a-", "a b", "a/b", "a:b"}},
		{FORMAT_ANNOTATION_KEY, {"X.y/Z", "a"}, {"", "a b", "a/b/c"}},
		{FORMAT_CONFIG_KEY, {"a.json", "_", "A-b", ".a"}, {"", ".", "..", "..a", "a/b", "a b"}},
		{FORMAT_ENV_NAME, {"A", "a.b", "1 2", "-"}, {"", "a=b", "a\tb", "\xc3\xa4"}},
		{FORMAT_IP, {"10.0.0.1", "::1", "2001:db8::1"}, {"", "10.0.0", "10.0.0.256", "a", "10.0.0.1/8"}},
		{FORMAT_CIDR, {"10.0.0.0/8", "::/0", "10.0.0.0/32"},
			{"", "10.0.0.0", "10.0.0.0/33", "/8", "10.0.0.0/", "10.0.0.0/08", "a/8"}},
		{FORMAT_INGRESS_HOST, {"", "a.b", "*.a.b"}, {"10.0.0.1", "*", "a.*", "A.b", "http://a"}},
		{FORMAT_BYTES, {"", "eA==", "eHh4", "eA==\n"}, {"e", "eA=", "eA", "e A==", "eA==eA==", "-_8="}},
		{FORMAT_TIME, {"2026-11-26T10:00:00Z", "2026-11-26T10:00:00.5Z", "2026-11-26T10:00:00+01:00"},
			{"", "2026-11-26", "2026-11-26 10:00:00Z", "now"}},
		{FORMAT_PATH_INSIDE, {"", "a/b", "..a"}, {"/a", "..", "a/../b", "a/.."}},
		{FORMAT_IMAGE, {"a", "r:5000/a/b:c@sha256:d"}, {"", "a b", "a\n"}},
		{FORMAT_HEADER_NAME, {"X-A"}, {"", "X A", "X:"}},
		{FORMAT_CLUSTER_IP, {"", "None", "10.0.0.1"}, {"none", "a"}},
		{FORMAT_RESOURCE, {"cpu", "nvidia.com/gpu", "hugepages-2Mi"}, {"", "a b", "a/b/c"}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t k = 0; k < 8 && cases[i].right[k]; k++)
			if (schema_format_wrong(cases[i].format, str_of(cases[i].right[k]), SCHEMA_LAST))
				fail_msg("format %d refuses \"%s\"", cases[i].format, cases[i].right[k]);
		for (size_t k = 0; k < 10 && cases[i].wrong[k]; k++)
			if (!schema_format_wrong(cases[i].format, str_of(cases[i].wrong[k]), SCHEMA_LAST) && cases[i].wrong[k][0])
				fail_msg("format %d takes \"%s\"", cases[i].format, cases[i].wrong[k]);
	}
	assert_null(schema_format_wrong(FORMAT_ENV_NAME, STR("1 A"), 32));
	assert_non_null(schema_format_wrong(FORMAT_ENV_NAME, STR("1 A"), 31));
}

static void test_quantities(void **state) {
	(void) state;
	static const struct {
		const char *text;
		int64_t nano;
		bool is_fraction;
	} right[] = {{"1", 1000000000, false}, {"500m", 500000000, true}, {"0.5", 500000000, true}, {".5", 500000000, true},
		{"1.", 1000000000, false}, {"-1", -1000000000, false}, {"+1", 1000000000, false}, {"1k", 1000000000000, false},
		{"1Ki", 1024000000000, false}, {"1.5Ki", 1536000000000, false}, {"1e3", 1000000000000, false}, {"1E-3", 1000000, true},
		{"1n", 1, true}, {"1u", 1000, true}, {"0.1n", 1, true}, {"1000m", 1000000000, false}, {"0", 0, false},
		{"512m", 512000000, true}};
	struct schema_quantity quantity;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		if (schema_quantity_read(str_of(right[i].text), &quantity) != 0)
			fail_msg("%s is refused", right[i].text);
		assert_true(quantity.nano == right[i].nano);
		assert_int_equal(quantity.is_fraction, right[i].is_fraction);
	}
	static const char *const wrong[] = {
		"", "m", "Mi", "1GB", "1 Gi", "1gi", "1K", "1e", "1ee3", "1.2.3", "--1", "0x10", "1_000", "half", "1E+", "1Mi ", "."};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (schema_quantity_read(str_of(wrong[i]), &quantity) == 0)
			fail_msg("%s is taken", wrong[i]);
	struct schema_quantity most, more;
	assert_int_equal(schema_quantity_read(STR("9e999"), &most), 0);
	assert_int_equal(schema_quantity_read(STR("99999999999999999999999999E"), &more), 0);
	assert_true(most.nano > 0 && more.nano > 0);
	assert_true(schema_cidr_holds(STR("10.0.0.0/8"), STR("10.1.0.0/16")) && !schema_cidr_holds(STR("10.0.0.0/8"), STR("10.0.0.0/8")));
	assert_false(schema_cidr_holds(STR("10.0.0.0/8"), STR("2001:db8::/32")));
}

static char *first_words(const char *text, const char *version) {
	AUTO_DOCUMENT struct document *document = told_yaml(text);
	struct err err = {0};
	struct kube_problem items[8];
	struct kube_problems problems = {.items = items, .max = 8};
	best_effort(kube_schema_check(document->root, version, &problems, &err)); /* what it says is looked at */
	return problems.count ? told_words(&items[0]) : mem_text("");
}

static void expect_words(const char *text, const char *version, const char *words) {
	AUTO_FREE char *said = first_words(text, version);
	assert_string_equal(said, words);
}

static void test_versions(void **state) {
	(void) state;
	static const char sleep[] =
		"{apiVersion: apps/v1, kind: Deployment, metadata: {name: m}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: "
		"{labels: {a: b}}, spec: {containers: [{name: c, image: i, lifecycle: {preStop: {sleep: {seconds: 2}}}}]}}}}";
	expect_words(sleep, "1.29", "");
	expect_words(sleep, NULL, "");
	expect_words(sleep, "v1.28.4",
		"spec.template.spec.containers[0].lifecycle.preStop.sleep: is known from Kubernetes 1.29 on, and the cluster is 1.28");
	static const char gone[] =
		"{apiVersion: apps/v1, kind: Deployment, metadata: {name: m}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: "
		"{labels: {a: b}}, spec: {workloadRef: {name: a, podGroup: b}, containers: [{name: c, image: i}]}}}}";
	expect_words(gone, "1.35", "");
	expect_words(gone, "1.36", "spec.template.spec.workloadRef: was there up to Kubernetes 1.35, and the cluster is 1.36");
	static const char hpa[] = "{apiVersion: autoscaling/v2beta2, kind: HorizontalPodAutoscaler, metadata: {name: m}}";
	expect_words(hpa, "1.25", "");
	expect_words(hpa, "1.27",
		"apiVersion: HorizontalPodAutoscaler of autoscaling/v2beta2 was removed in Kubernetes 1.26, and the cluster is 1.27 -> "
		"apiVersion: autoscaling/v2");
	static const char flow[] = "{apiVersion: flowcontrol.apiserver.k8s.io/v1beta3, kind: FlowSchema, metadata: {name: m}}";
	expect_words(flow, "1.31", "");
	expect_words(flow, "1.32+",
		"apiVersion: FlowSchema of flowcontrol.apiserver.k8s.io/v1beta3 was removed in Kubernetes 1.32, and the cluster is 1.32 -> "
		"apiVersion: flowcontrol.apiserver.k8s.io/v1");
	expect_words("{apiVersion: v1, kind: ConfigMap, metadata: {name: m}}", "1.99", "");
	expect_words("{apiVersion: v1, kind: ConfigMap, metadata: {name: m}}", "1.3", "");
	static const char *const wrong[] = {"", "1", "2.0", "latest", "1.x", "v", "1.-2", "1.29.", "29"};
	AUTO_DOCUMENT struct document *document = told_yaml("{apiVersion: v1, kind: ConfigMap, metadata: {name: m}}");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct err err = {0};
		struct kube_problems problems = {0};
		if (strcmp(wrong[i], "1.29.") == 0)
			continue; /* the patch is not read */
		assert_int_equal(kube_schema_check(document->root, wrong[i], &problems, &err), -1);
		assert_int_equal(err.code, ERR_USAGE);
		assert_string_equal(err.fix, "such as 1.29");
	}
}

static void test_unknown_kinds(void **state) {
	(void) state;
	expect_words("{apiVersion: example.com/v1, kind: Thing, metadata: {name: m}}", NULL,
		"warning: kind: \"Thing\" of example.com/v1 is not known here: only its metadata is checked");
	expect_words("{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: m}}", NULL,
		"warning: kind: \"Service\" of serving.knative.dev/v1 is not known here: only its metadata is checked");
	expect_words("{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: m}, provisioner: x}", NULL, "");
	expect_words(
		"{apiVersion: v2, kind: Service, metadata: {name: m}}", NULL, "apiVersion: \"v2\" has no kind Service -> apiVersion: v1");
	expect_words("{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: m, labels: {a: 1}}}", NULL,
		"metadata.labels.a: 1 is a number, and text is needed -> put it in quotes: \"1\"");
	expect_words("[]", NULL, "is no Kubernetes object -> a mapping with apiVersion, kind and metadata");
	expect_words("{apiVersion: 1, kind: Service, metadata: {name: m}}", NULL, "apiVersion: is missing -> such as apps/v1");
	expect_words("{apiVersion: example.com/v1, kind: Thing, metadata: []}", NULL,
		"warning: kind: \"Thing\" of example.com/v1 is not known here: only its metadata is checked");
}

static void test_places(void **state) {
	(void) state;
	AUTO_DOCUMENT struct document *document =
		told_yaml("apiVersion: v1\nkind: Service\nmetadata: {name: m}\nspec:\n  portz: []\n  ports:\n  - port: \"80\"\n  - {}\n");
	struct err err = {0};
	struct kube_problem items[10];
	struct kube_problems problems = {.items = items, .max = 10};
	assert_int_equal(kube_schema_check(document->root, NULL, &problems, &err), -1);
	static const struct {
		const char *path;
		int line, column;
	} told[] = {{"spec.portz", 5, 3}, {"spec.ports[0].name", 7, 5}, {"spec.ports[0].port", 7, 11}, {"spec.ports[1].port", 8, 5},
		{"spec.ports[1].name", 8, 5}};
	assert_int_equal(problems.count, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_string_equal(items[i].path, told[i].path);
		assert_int_equal(items[i].at.line, told[i].line);
		assert_int_equal(items[i].at.column, told[i].column);
	}
	assert_true(str_starts(str_of(err.message), "Service m: 5 problems, the first: spec."));
	struct err one = {0};
	kube_problem_err(&items[2], "service.yaml", &one);
	assert_string_equal(one.message, "spec.ports[0].port: \"80\" is text, and a whole number is needed");
	assert_string_equal(one.fix, "write 80 without quotes");
	assert_string_equal(one.at, "service.yaml:7:11");
}

static void test_secrets_are_not_shown(void **state) {
	(void) state;
	AUTO_DOCUMENT struct document *document = told_yaml(
		"{apiVersion: v1, kind: Secret, metadata: {name: m}, data: {a: hunter2!, b: 31337, c: [hunter2]}, stringData: {d: 31337}}");
	struct err err = {0};
	struct kube_problem items[10];
	struct kube_problems problems = {.items = items, .max = 10};
	assert_int_equal(kube_schema_check(document->root, NULL, &problems, &err), -1);
	assert_int_equal(problems.errors, 4);
	for (size_t i = 0; i < problems.count; i++) {
		AUTO_FREE char *said = told_words(&items[i]);
		assert_null(strstr(said, "hunter2"));
		assert_null(strstr(said, "31337"));
	}
	assert_null(strstr(err.message, "hunter2"));
}

/* Many, long, deep: counted, cut, refused; never out of bounds. */
static void test_limits(void **state) {
	(void) state;
	AUTO_BUF struct buf text = BUF(1 << 20);
	buf_text(&text, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: m, labels: {");
	for (int i = 0; i < 500; i++)
		buf_format(&text, "k%d: %d, ", i, i);
	buf_text(&text, "}}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, "
			"image: i, env: [");
	for (int i = 0; i < 3000; i++)
		buf_format(&text, "{name: E%d}, ", i % 1500);
	buf_text(&text, "]}]}}}}");
	AUTO_DOCUMENT struct document *document = told_yaml(text.ptr);
	struct err err = {0};
	struct kube_problem items[10];
	struct kube_problems problems = {.items = items, .max = 10};
	assert_int_equal(kube_schema_check(document->root, NULL, &problems, &err), -1);
	assert_int_equal(problems.count, 10);
	assert_int_equal(problems.errors, 500);
	assert_int_equal(problems.warnings, 1);
	struct err two = {0};
	struct kube_problems none = {0};
	assert_int_equal(kube_schema_check(document->root, NULL, &none, &two), -1);
	assert_string_equal(two.message, err.message);

	buf_reset(&text);
	buf_text(&text, "{apiVersion: v1, kind: ConfigMap, metadata: {name: m, annotations: {\"");
	for (int i = 0; i < 190; i++)
		buf_text(&text, "long ");
	buf_text(&text, "\": 1}}, data: {a: {b: {c: [[[[1]]]]}}}}");
	AUTO_DOCUMENT struct document *wide = told_yaml(text.ptr);
	struct err three = {0};
	problems = (struct kube_problems){.items = items, .max = 10};
	assert_int_equal(kube_schema_check(wide->root, NULL, &problems, &three), -1);
	assert_int_equal(problems.errors, 3);
	assert_int_equal(strlen(items[0].path), KUBE_PATH_MAX - 1);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_warned),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_quantities),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_unknown_kinds),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_secrets_are_not_shown),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests_name("kube_schema", tests, NULL, NULL);
}
