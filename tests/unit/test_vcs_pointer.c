#include "scratch.h"
#include "vcs/pointer.h"

#define OID "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"

static void pointers_are_read_strictly(void **state) {
	(void) state;
	struct lfs_pointer pointer;
	assert_true(pointer_parse_lfs(STR("version https://git-lfs.github.com/spec/v1\noid sha256:" OID "\nsize 12345\n"), &pointer));
	assert_string_equal(pointer.oid, OID);
	assert_int_equal(pointer.size, 12345);
	assert_true(pointer_parse_lfs(
		STR("version https://git-lfs.github.com/spec/v1\next-0-x sha256:" OID "\noid sha256:" OID "\nsize 1"), &pointer));
	static const char *const no[] = {
		"",
		"version https://git-lfs.github.com/spec/v1\n",
		"version https://git-lfs.github.com/spec/v2\noid sha256:" OID "\nsize 12345\n",
		"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12345\n",
		"version https://git-lfs.github.com/spec/v1\noid sha256:" OID "\nsize -1\n",
		"version https://git-lfs.github.com/spec/v1\noid sha256:" OID "\n",
	};
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_false(pointer_parse_lfs(str_of(no[i]), &pointer));
}

static void expect_fix(const char *folder, const char *path, const char *fix) {
	struct err err = {0};
	int rc = pointer_check(folder, path, &err);
	if (!fix) {
		assert_int_equal(rc, 0);
		return;
	}
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_string_equal(err.fix, fix);
}

static void the_command_to_type(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	scratch_sh(folder, "printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:" OID
			   "\\nsize 8400000\\n' >model.onnx; echo x >real.onnx\n"
			   "mkdir -p sub .git other/.git; cp model.onnx sub/; cp model.onnx 'sub/a b.onnx'; mkdir models; : >models.dvc; : "
			   ">x.onnx.dvc\n"
			   "printf 'stages:\\n  train:\\n    outs:\\n    - path: out/m.onnx\\n      md5: 1\\n' >dvc.lock");
	AUTO_FREE char *sub = fs_join(folder, "sub");
	expect_fix(folder, "model.onnx", "git lfs pull --include model.onnx");
	expect_fix(sub, "model.onnx", "git lfs pull --include sub/model.onnx");
	expect_fix(sub, "a b.onnx", "git lfs pull --include 'sub/a b.onnx'");
	expect_fix(folder, "x.onnx", "dvc pull x.onnx.dvc");
	expect_fix(folder, "models/m.onnx", "dvc pull models.dvc");
	expect_fix(folder, "out/m.onnx", "dvc pull out/m.onnx");
	expect_fix(folder, "real.onnx", NULL);
	expect_fix(folder, "nowhere.onnx", NULL);
	expect_fix(folder, "sub", NULL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pointers_are_read_strictly),
		cmocka_unit_test(the_command_to_type),
	};
	return cmocka_run_group_tests_name("vcs_pointer", tests, NULL, NULL);
}
