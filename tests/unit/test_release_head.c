/* The head's wire form, what is refused, its size; golden examples compared. */
#include "release/golden.h"
#include "release/head.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct digest digest_for(int n) {
	AUTO_FREE char *text = mem_format("%d", n);
	struct digest digest;
	digest_of(str_of(text), &digest);
	return digest;
}

static void fill_entry(struct head_entry *entry, int64_t n) {
	*entry = (struct head_entry){
		.n = n, .release = digest_for(1), .image = digest_for(2), .settings = digest_for(3), .since_s = 1795262400};
	memset(entry->commit, 'c', sizeof(entry->commit) - 1);
	memset(entry->actor, '"', sizeof(entry->actor) - 1); /* doubles when written */
}

static struct head full_head(void) {
	struct head head = {.exists = true, .generation = INT64_MAX / 4, .next = 100000, .live = 99998};
	memset(head.service, 's', 47);
	memset(head.env, 'e', 32);
	fill_entry(&head.good, 99998);
	fill_entry(&head.previous, 99997);
	fill_entry(&head.candidate.is, 99999);
	head.candidate.phase = PHASE_BAKE;
	head.candidate.weight = 12.5;
	head.candidate.is_interrupted = head.candidate.is_undecided = head.candidate.is_judged_bad = true;
	for (int i = 0; i < 40; i++) {
		struct digest image = digest_for(100 + i);
		head_refuse(&head, &image);
	}
	for (int i = 0; i < 100; i++)
		head_note(&head, 99900 + i, 'g');
	struct head_entry debt = {.n = 7, .image = digest_for(8), .settings = digest_for(9)};
	head_owe(&head, &debt);
	memset(head.frozen, 'f', sizeof(head.frozen) - 1);
	head.lock = (struct head_lock){.renew = 12345, .ttl_s = 15, .fence = INT64_MAX / 4, .to = 4};
	memset(head.lock.holder, 'h', sizeof(head.lock.holder) - 1);
	memset(head.lock.token, '0', HEAD_TOKEN_MAX - 1);
	snprintf(head.lock.verb, sizeof(head.lock.verb), "rollback");
	return head;
}

static void test_round_trip(void **state) {
	(void) state;
	struct head head = full_head(), again;
	struct err err = {0};
	char bytes[TARGET_HEAD_BYTES_MAX], second[TARGET_HEAD_BYTES_MAX];
	size_t len, second_len;
	assert_int_equal(head.refused_count, HEAD_REFUSED_MAX);
	assert_int_equal(head.history_count, HEAD_HISTORY_MAX);
	assert_int_equal(head_write(&head, bytes, &len, &err), 0);
	assert_true(len <= TARGET_HEAD_BYTES_MAX);
	if (head_parse(bytes, len, &again, &err) != 0)
		fail_msg("%s", err.message);
	assert_int_equal(head_write(&again, second, &second_len, &err), 0);
	assert_int_equal(len, second_len);
	assert_memory_equal(bytes, second, len);
	assert_int_equal(again.candidate.phase, PHASE_BAKE);
	assert_int_equal(again.debt_count, 1);
	assert_int_equal(head_state(&again, 99999), 'g');
}

static void check_refused(const char *text, enum err_code code, const char *says) {
	struct head head = {.generation = 42};
	struct err err = {0};
	assert_int_equal(head_parse(text, strlen(text), &head, &err), -1);
	if (err.code != code || !strstr(err.message, says))
		fail_msg("%s: code %d: %s", text, (int) err.code, err.message);
	assert_true(err.fix[0]);
	assert_int_equal(head.generation, 42);
}

static void test_refused(void **state) {
	(void) state;
	check_refused("{\"schema\":\"mlctl.head/2\",\"x\":1}", ERR_CONFLICT, "mlctl.head/2");
	check_refused("{\"schema\":\"other/1\"}", ERR_INVALID, "other/1");
	check_refused("{}", ERR_INVALID, "schema");
	check_refused("not json", ERR_INVALID, "can't be read");
	check_refused("{\"schema\":\"mlctl.head/1\"}", ERR_INVALID, "generation");
	check_refused("{\"schema\":\"mlctl.head/1\",\"generation\":0}", ERR_INVALID, "below one");
	check_refused("{\"schema\":\"mlctl.head/1\",\"generation\":1,\"candidate\":{\"n\":1,\"phase\":\"DANCE\"}}", ERR_INVALID, "DANCE");
	check_refused("{\"schema\":\"mlctl.head/1\",\"generation\":1,\"good\":{\"n\":1,\"image\":\"sha256:12\"}}", ERR_INVALID, "good");
	check_refused("{\"schema\":\"mlctl.head/1\",\"generation\":1,\"history\":\"1g gg\"}", ERR_INVALID, "history");
	struct head head;
	struct err err = {0};
	assert_int_equal(head_parse("", 0, &head, &err), 0);
	assert_false(head.exists);
	assert_int_equal(head.next, 1);
}

static void test_lists(void **state) {
	(void) state;
	struct head head = {0};
	struct digest a = digest_for(1), b = digest_for(2);
	head_refuse(&head, &a);
	head_refuse(&head, &a);
	assert_int_equal(head.refused_count, 1);
	assert_true(head_refuses(&head, &a));
	assert_false(head_refuses(&head, &b));
	head_allow(&head, &a);
	assert_false(head_refuses(&head, &a));
	head_note(&head, 3, 'g');
	head_note(&head, 3, 'r');
	assert_int_equal(head.history_count, 1);
	assert_int_equal(head_state(&head, 3), 'r');
	assert_int_equal(head_state(&head, 4), 0);
}

static int compare(const char *golden_text, const char *answer, struct err *err) {
	struct golden *golden = NULL;
	if (golden_read(golden_text, &golden, err) != 0)
		return -2;
	int rc = golden_compare(&golden->examples[0], str_of(answer), err);
	golden_free(golden);
	return rc;
}

static void check_compare(const char *golden, const char *answer, int want) {
	struct err err = {0};
	int rc = compare(golden, answer, &err);
	if (rc != want)
		fail_msg("%s against %s: %d, not %d: %s", answer, golden, rc, want, err.message);
	assert_int_equal(rc == 0, err.code == ERR_NONE);
}

static void test_golden(void **state) {
	(void) state;
	const char *one = "\n{\"rows\":[[1,null]],\"predictions\":[{\"label\":1,\"probability\":[0.25,0.75]}],\"tolerance\":0.001}\r\n\n";
	check_compare(one, "{\"predictions\":[{\"label\":1,\"probability\":[0.2504,0.7496]}]}", 0);
	check_compare(one, "{\"model\":\"m\",\"predictions\":[{\"label\":1,\"more\":true,\"probability\":[0.25,0.75]}]}", 0);
	check_compare(one, "{\"predictions\":[{\"label\":2,\"probability\":[0.25,0.75]}]}", -1);
	check_compare(one, "{\"predictions\":[{\"label\":1,\"probability\":[0.26,0.74]}]}", -1);
	check_compare(one, "{\"predictions\":[{\"label\":1,\"probability\":[0.25]}]}", -1);
	check_compare(one, "{\"predictions\":[{\"probability\":[0.25,0.75]}]}", -1);
	check_compare(one, "{\"predictions\":[{\"label\":\"1\",\"probability\":[0.25,0.75]}]}", -1);
	check_compare(one, "{\"predictions\":[]}", -1);
	check_compare(one, "{\"error\":\"no\"}", -1);
	check_compare(one, "no json", -1);
	check_compare("{\"rows\":[[1]]}", "{}", -2);
	check_compare("{\"rows\":[[1]],\"predictions\":[{\"v\":1000.5}]}", "{\"predictions\":[{\"v\":1000.55}]}", 0); /* relative above 1 */
	check_compare("{\"rows\":[[1]],\"predictions\":[{\"v\":[]},{\"v\":{}},{\"v\":null}]}",
		"{\"predictions\":[{\"v\":[]},{\"v\":{}},{\"v\":null}]}", 0);
	check_compare("{\"rows\":[[1]],\"predictions\":[{\"v\":1000000}]}", "{\"predictions\":[{\"v\":1000001}]}",
		-1); /* whole numbers are exact */
	const char *other = "{\"path\":\"/v2/models/m/infer\",\"request\":{\"inputs\":[]},\"answer\":{\"outputs\":[{\"name\":\"o\",\"data\":[0.5]}]}}";
	check_compare(other, "{\"id\":\"x\",\"outputs\":[{\"name\":\"o\",\"shape\":[1],\"data\":[0.50001]}]}", 0);
	check_compare(other, "{\"outputs\":[{\"name\":\"o\",\"data\":[0.6]}]}", -1);
	check_compare(other, "{\"outputs\":[]}", -1);
	check_compare("{\"request\":[1],\"answer\":[2]}", "[2]", 0);
	check_compare("{\"request\":[1]}", "[2]", -2);
	check_compare("{\"path\":\"predict\",\"request\":[1],\"answer\":[2]}", "[2]", -2);
	check_compare("{\"path\":\"/a b\",\"request\":[1],\"answer\":[2]}", "[2]", -2);
	check_compare("{\"path\":7,\"request\":[1],\"answer\":[2]}", "[2]", -2);
	struct err err = {0};
	struct golden *golden = NULL;
	assert_int_equal(golden_read(other, &golden, &err), 0);
	assert_string_equal(golden->examples[0].path, "/v2/models/m/infer");
	assert_string_equal(golden->examples[0].body, "{\"inputs\":[]}");
	golden_free(golden);
	assert_int_equal(golden_read(one, &golden, &err), 0);
	assert_string_equal(golden->examples[0].path, "/predict");
	golden_free(golden);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_golden),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
