/* What an object was made to be, against what it is now. */
#include "kube/drift.h"
#include "data/value.h"
#include "unit/suite.h"

static void drift_of(const char *made, const char *live, struct texts *out) {
	struct err err = {0};
	AUTO_DOCUMENT struct document *a = NULL;
	AUTO_DOCUMENT struct document *b = NULL;
	assert_int_equal(json_read("made", str_of(made), VALUE_LIMITS_WIRE, &a, &err), 0);
	assert_int_equal(json_read("live", str_of(live), VALUE_LIMITS_WIRE, &b, &err), 0);
	kube_drift(a->root, b->root, out);
}

static void same(const char *made, const char *live) {
	AUTO_TEXTS struct texts found = {0};
	drift_of(made, live, &found);
	if (found.count)
		fail_msg("%s against %s: %s", made, live, found.items[0]);
}

static void differs(const char *made, const char *live, const char *text) {
	AUTO_TEXTS struct texts found = {0};
	drift_of(made, live, &found);
	assert_int_equal(found.count, 1);
	assert_string_equal(found.items[0], text);
}

static void test_what_others_add_is_theirs(void **state) {
	(void) state;
	same("{}", "{\"a\": 1}");
	same("{\"spec\": {\"replicas\": 2}}", "{\"spec\": {\"replicas\": 2, \"paused\": false}, \"status\": {\"replicas\": 1}}");
	same("{\"env\": [{\"name\": \"A\", \"value\": \"1\"}, {\"name\": \"B\", \"value\": \"2\"}]}",
		"{\"env\": [{\"name\": \"X\", \"value\": \"9\"}, {\"name\": \"B\", \"value\": \"2\"}, {\"name\": \"A\", \"value\": \"1\"}]}");
	same("{\"ports\": [{\"port\": 80}]}", "{\"ports\": [{\"port\": 80, \"protocol\": \"TCP\"}, {\"port\": 81}]}");
}

static void test_another_form_is_the_same(void **state) {
	(void) state;
	same("{\"cpu\": 1}", "{\"cpu\": \"1\"}");
	same("{\"cpu\": \"1000m\"}", "{\"cpu\": \"1\"}");
	same("{\"memory\": \"1024Mi\"}", "{\"memory\": \"1Gi\"}");
	same("{\"annotations\": {}, \"volumes\": [], \"x\": null}", "{}");
	same("{\"emptyDir\": {}}", "{\"emptyDir\": {}}");
	differs("{\"cpu\": \"1000m\"}", "{\"cpu\": \"1001m\"}", "cpu: \"1000m\", there \"1001m\"");
	differs("{\"tag\": \"1.0x\"}", "{\"tag\": \"1.00x\"}", "tag: \"1.0x\", there \"1.00x\"");
}

static void test_each_field_is_named(void **state) {
	(void) state;
	differs("{\"spec\": {\"replicas\": 2}}", "{\"spec\": {\"replicas\": 5}}", "spec.replicas: 2, there 5");
	differs("{\"spec\": {\"replicas\": 2}}", "{\"spec\": {}}", "spec.replicas: 2, there nothing");
	differs("{\"spec\": {\"replicas\": 2}}", "{\"spec\": 5}", "spec: {\"replicas\":2}, there 5");
	differs("{\"c\": [{\"name\": \"runner\", \"image\": \"a\"}]}", "{\"c\": [{\"name\": \"runner\", \"image\": \"b\"}]}", "c[runner].image: \"a\", there \"b\"");
	differs("{\"c\": [{\"name\": \"runner\"}]}", "{\"c\": [{\"name\": \"other\"}]}", "c[runner]: {\"name\":\"runner\"}, there nothing");
	differs("{\"l\": [1, 2]}", "{\"l\": [1, 3]}", "l[1]: 2, there 3");
	differs("{\"l\": [1, 2]}", "{\"l\": [1]}", "l[1]: 2, there nothing");
	differs("{\"labels\": {\"mlctl.dev/env\": \"prod\"}}", "{\"labels\": {\"mlctl.dev/env\": \"x\"}}", "labels[mlctl.dev/env]: \"prod\", there \"x\"");
	differs("{\"kind\": \"Secret\", \"data\": {\"key\": \"YQ==\"}}", "{\"kind\": \"Secret\", \"data\": {\"key\": \"Yg==\"}}", "data.key: ***, there ***");
}

static void test_limits(void **state) {
	(void) state;
	AUTO_BUF struct buf made = BUF(64 * 1024), live = BUF(64 * 1024), deep = BUF(64 * 1024);
	AUTO_TEXTS struct texts found = {0};
	for (int i = 0; i < 100; i++) {
		buf_format(&made, "%s\"k%d\": 1", i ? ", " : "{", i);
		buf_format(&live, "%s\"k%d\": 2", i ? ", " : "{", i);
	}
	buf_text(&made, "}");
	buf_text(&live, "}");
	drift_of(made.ptr, live.ptr, &found);
	assert_int_equal(found.count, KUBE_DRIFTS_MAX);
	for (int i = 0; i < 100; i++)
		buf_text(&deep, "{\"a\": ");
	buf_text(&deep, "1");
	for (int i = 0; i < 100; i++)
		buf_text(&deep, "}");
	same(deep.ptr, deep.ptr); /* as deep as nobody looks: without a fault */
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_others_add_is_theirs), cmocka_unit_test(test_another_form_is_the_same),
		cmocka_unit_test(test_each_field_is_named), cmocka_unit_test(test_limits)};
	return cmocka_run_group_tests_name("kube_drift", tests, NULL, NULL);
}
