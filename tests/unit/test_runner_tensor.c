/* Shapes and dtypes, a worker's scratch memory, look-up tables. */
#include "runner/model/lookup.h"
#include "runner/tensor/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_shapes_are_counted_at_64_bits(void **state) {
	(void) state;
	assert_int_equal(shape_count(&(struct shape) {0}), 1);
	assert_int_equal(shape_count(&(struct shape) {2, {3, 4}}), 12);
	assert_int_equal(shape_count(&(struct shape) {2, {3, 0}}), 0);
	assert_int_equal(shape_count(&(struct shape) {2, {3, -1}}), -1);
	assert_int_equal(shape_count(&(struct shape) {1, {INT64_MAX}}), -1);
	assert_int_equal(shape_count(&(struct shape) {2, {INT64_MAX, INT64_MAX}}), -1);
	assert_int_equal(shape_count(&(struct shape) {3, {0, INT64_MAX, INT64_MAX}}), -1);
	assert_int_equal(shape_count(&(struct shape) {1, {TENSOR_BYTES_MAX}}), TENSOR_BYTES_MAX);
	assert_int_equal(shape_count(&(struct shape) {1, {TENSOR_BYTES_MAX + 1}}), -1);
}

static void test_dtypes_have_names(void **state) {
	(void) state;
	for (enum dtype dtype = DTYPE_FLOAT; dtype <= DTYPE_STRING; dtype++) {
		assert_int_equal(dtype_from_oip(str_of(dtype_oip_name(dtype))), dtype);
		assert_true(dtype_size(dtype) > 0);
	}
	assert_string_equal(dtype_name(DTYPE_FLOAT), "float32");
	assert_int_equal(dtype_from_oip(STR("FP16")), DTYPE_NONE);
	assert_int_equal(dtype_from_oip(STR("")), DTYPE_NONE);
}

static void test_scratch_is_one_block_after_a_rewind(void **state) {
	(void) state;
	struct scratch scratch = {.bytes_max = 10 * 1000 * 1000};
	for (int round = 0; round < 3; round++) {
		char *last = NULL;
		for (int i = 0; i < 100; i++) {
			char *p = scratch_alloc(&scratch, 5000);
			assert_non_null(p);
			assert_int_equal((uintptr_t) p % 16, 0);
			memset(p, i, 5000);
			/* From the second round on they lie in one block, one after the other. */
			if (round > 0 && last)
				assert_true(p > last && (size_t) (p - last) < 5100);
			last = p;
		}
		scratch_rewind(&scratch);
	}
	assert_null(scratch_alloc(&scratch, 10 * 1000 * 1000 + 16));
	assert_null(scratch_array(&scratch, INT64_MAX, 8));
	assert_null(scratch_array(&scratch, -1, 8));
	assert_non_null(scratch_array(&scratch, 0, 8));
	scratch_clear(&scratch);
	scratch_clear(&scratch);
}

static void test_lookups_find_what_was_put(void **state) {
	(void) state;
	struct arena memory = {0};
	struct lookup lookup;
	int64_t ints[1000], duplicate = 0;
	struct str texts[1000];
	for (int i = 0; i < 1000; i++) {
		ints[i] = (int64_t) i * 4096 - 7;
		char text[16];
		int len = snprintf(text, sizeof(text), "key %d", i);
		texts[i] = (struct str) {arena_text_n(&memory, text, (size_t) len), (size_t) len};
	}
	assert_int_equal(lookup_ints(&lookup, ints, 1000, &memory, &duplicate), 0);
	assert_int_equal(duplicate, -1);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(lookup_int(&lookup, ints[i]), i);
	assert_int_equal(lookup_int(&lookup, 5), -1);
	assert_int_equal(lookup_texts(&lookup, texts, 1000, &memory, &duplicate), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(lookup_text(&lookup, texts[i]), i);
	assert_int_equal(lookup_text(&lookup, STR("")), -1);
	texts[999] = texts[3];
	assert_int_equal(lookup_texts(&lookup, texts, 1000, &memory, &duplicate), 0);
	assert_int_equal(duplicate, 999);
	assert_int_equal(lookup_text(&lookup, texts[3]), 3);
	assert_int_equal(lookup_texts(&lookup, texts, 0, &memory, &duplicate), 0);
	assert_int_equal(lookup_text(&lookup, texts[0]), -1);
	struct arena small = {.bytes_max = 100};
	assert_int_equal(lookup_ints(&lookup, ints, 1000, &small, NULL), -1);
	arena_clear(&small);
	arena_clear(&memory);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes_are_counted_at_64_bits),
		cmocka_unit_test(test_dtypes_have_names),
		cmocka_unit_test(test_scratch_is_one_block_after_a_rewind),
		cmocka_unit_test(test_lookups_find_what_was_put),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
