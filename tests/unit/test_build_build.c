/* Whole builds of small projects. The runner is this test program itself: started as `mlctl-runner check` it says what the files beside the
 * model tell it to say, and counts how often it was asked. */
#include "build/build.h"
#include "build/plan.h"
#include "data/tar.h"
#include "project/project.h"
#include "scratch.h"

#include <fcntl.h>
#include <stdio.h>

/* ---- the runner's stand-in ---- */

static int stand_in(int argc, char **argv) {
	const char *model = NULL, *golden = NULL;
	for (int i = 2; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--model") == 0)
			model = argv[i + 1];
		if (strcmp(argv[i], "--golden") == 0)
			golden = argv[i + 1];
	}
	FILE *ran = fopen("ran", "a");
	if (!ran || !model)
		return 1;
	fputs("x", ran);
	fclose(ran);
	struct err err = {0};
	AUTO_FREE char *said = NULL;
	size_t len = 0;
	if (fs_read("crash", 100, &said, &len, &err) == 0)
		abort();
	err_clear(&err);
	if (fs_read("said", 10000, &said, &len, &err) == 0) {
		fputs(said, stdout);
		return 4;
	}
	err_clear(&err);
	struct digest digest;
	AUTO_CLOSE int fd = open(model, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || digest_of_fd(fd, model, &digest, NULL, &err) != 0)
		return 1;
	printf("{\"schema\":\"mlctl-runner.check/1\",\"model\":{\"name\":\"m\",\"format\":\"onnx\",\"opset\":17,\"digest\":\"%s\","
	       "\"inputs\":[{\"name\":\"x\",\"dtype\":\"float32\",\"shape\":[-1,30]}],\"outputs\":[{\"name\":\"l\",\"dtype\":\"int64\","
	       "\"shape\":[-1]},"
	       "{\"name\":\"p\",\"dtype\":\"float32\",\"shape\":[-1,2]}]},\"load_ms\":1.6,\"peak_bytes\":1048576,\"golden\":%s,"
	       "\"latency_us\":{\"p50\":10.0,\"p99\":20.0}}\n",
		digest.text, golden ? "{\"passed\":5,\"total\":5,\"tolerance\":0.0001,\"max_difference\":0,\"mismatch\":null}" : "null");
	return 0;
}

/* ---- a project and its builds ---- */

static char *program; /* this program's bytes */
static size_t program_len;

static int64_t wall_ahead_s;
static int64_t mono_ms(void *self) {
	return clock_system.mono_ms(self);
}
static int64_t wall_s(void *self) {
	return clock_system.wall_s(self) + wall_ahead_s;
}
static const struct clock test_clock = {.mono_ms = mono_ms, .wall_s = wall_s};

struct call {
	const char *folder, *epoch;
	bool is_tested;
	bool is_interrupted;
	struct store *base;
};

static bool always(void *self) {
	(void) self;
	return true;
}

static int try_build(const struct call *call, struct build **out, struct err *err) {
	AUTO_FREE char *yaml_path = fs_join(call->folder, "mlctl.yaml"), *yaml = NULL;
	AUTO_FREE char *cache = mem_format("XDG_CACHE_HOME=%s.cache", call->folder),
		       *epoch = mem_format("SOURCE_DATE_EPOCH=%s", call->epoch ? call->epoch : "");
	size_t len = 0;
	AUTO_PROJECT struct project *project = NULL;
	AUTO_SETTINGS struct settings *settings = NULL;
	if (fs_read(yaml_path, 10000, &yaml, &len, err) != 0 ||
		project_read(call->folder, "mlctl.yaml", (struct str){yaml, len}, &project, err) != 0 ||
		project_env(project, NULL, &settings, err) != 0)
		fail_msg("%s %s", err->at, err->message);
	char *items[] = {cache, epoch, NULL};
	struct env env = {items};
	struct build_options options = {
		.folder = call->folder,
		.settings = settings,
		.env = &env,
		.clock = &test_clock,
		.base = call->base,
		.is_interrupted = call->is_interrupted ? always : NULL,
		.is_untested = !call->is_tested,
		.runner = {program, program_len},
	};
	return build_run(&options, out, err);
}

static struct build *build(const struct call *call) {
	struct err err = {0};
	struct build *out = NULL;
	if (try_build(call, &out, &err) != 0)
		fail_msg("%s (%s; %s)", err.message, err.at, err.fix);
	return out;
}

static void build_at_exit(struct build **pointer) {
	build_free(*pointer);
}
#define AUTO_BUILD __attribute__((cleanup(build_at_exit)))

static char *project_new(const char *script) {
	char *folder = scratch_new();
	scratch_sh(folder, "printf 'name: fraud\\nmodel: {path: model.onnx, golden: golden.jsonl}\\n' >mlctl.yaml\n"
			   "printf '\\010\\007' >model.onnx; echo '{\"rows\":[[1]]}' >golden.jsonl");
	scratch_sh(folder, script);
	return folder;
}

static void project_free_at_exit(char **pointer) {
	AUTO_FREE char *cache = mem_format("%s.cache", *pointer);
	struct err err = {0};
	best_effort(fs_remove_tree(cache, &err)); /* only a test's leftovers */
	scratch_free(*pointer);
}
#define AUTO_FOLDER __attribute__((cleanup(project_free_at_exit)))

static void expect_refused(const char *script, enum err_code code, const char *word, const char *fix) {
	AUTO_FOLDER char *folder = project_new(script);
	struct err err = {0};
	struct build *out = NULL;
	if (try_build(&(struct call){.folder = folder, .is_tested = true}, &out, &err) == 0)
		fail_msg("this was built: %s", script);
	if (strstr(script, "mismatch"))
		assert_string_equal(err.at, "golden.jsonl:3");
	if (err.code != code || !strstr(err.message, word) || (fix && !strstr(err.fix, fix)))
		fail_msg("%s: %d %s (fix: %s) is not %d %s (fix: %s)", script, err.code, err.message, err.fix, code, word, fix ? fix : "");
}

/* ---- what a layer holds ---- */

static int list_entry(void *self, const struct tar_entry *entry, struct err *err) {
	(void) err;
	assert_int_equal(entry->mtime_s, 0);
	buf_format(self, "%s %o %lld\n", entry->name, entry->mode, (long long) entry->size);
	return 0;
}

static int skip_data(void *self, const void *bytes, size_t len, struct err *err) {
	(void) self, (void) bytes, (void) len, (void) err;
	return 0;
}

/* Reads the layer in pieces of odd sizes, checks its digest, and lists it. */
static void list_layer(const struct blob *blob, size_t piece, struct buf *out) {
	struct err err = {0};
	struct tar_sink sink = {list_entry, skip_data, NULL, out};
	struct tar_limits limits = {10000, INT64_MAX};
	AUTO_TAR_READER struct tar_reader *reader = tar_reader_new(blob->title, &limits, &sink);
	AUTO_FREE char *block = mem_zero(1, piece);
	struct digest_state *state = digest_start();
	for (int64_t at = 0; at < blob->size;) {
		size_t got = 0;
		if (blob_read(blob, at, block, piece, &got, &err) != 0 || tar_reader_feed(reader, block, got, &err) != 0)
			fail_msg("%s", err.message);
		assert_true(got > 0);
		digest_add(state, block, got);
		at += (int64_t) got;
	}
	struct digest digest;
	digest_finish(state, &digest);
	assert_string_equal(digest.text, blob->digest.text);
	assert_int_equal(tar_reader_finish(reader, &err), 0);
}

/* ---- tests ---- */

static size_t files_in(const struct buf *list) {
	size_t count = 0;
	for (const char *c = list->ptr; (c = strstr(c, " 644 ")) != NULL; c++)
		count++;
	return count;
}

static void layers_hold_what_they_should(void **state) {
	(void) state;
	AUTO_FOLDER char *folder = project_new(
		"mkdir -p model/vocab/x; mv model.onnx model/; sed -i s/model.onnx/model/ mlctl.yaml; chmod 755 model/model.onnx\n"
		"head -c 5000000 /dev/zero >model/big.bin; echo a >model/vocab/x/a.txt; : >model/empty; echo s >model/.env\n"
		"n=$(printf 'n%.0s' $(seq 120)); echo long >model/$n; echo '*.log' >.mlctlignore; echo l >model/x.log");
	AUTO_BUILD struct build *b = build(&(struct call){.folder = folder});
	assert_int_equal(b->image.layer_count, 3);
	assert_string_equal(b->image.layers[0].title, "runner");
	assert_string_equal(b->image.layers[1].title, "model/big.bin");
	assert_string_equal(b->image.layers[2].title, "5 files");
	AUTO_BUF struct buf runner = BUF(4096), big = BUF(4096), rest = BUF(4096), want = BUF(4096);
	list_layer(&b->image.layers[0], 70001, &runner);
	buf_format(&want, "mlctl-runner 755 %zu\n", program_len);
	assert_string_equal(runner.ptr, want.ptr);
	list_layer(&b->image.layers[1], 1 << 20, &big);
	assert_string_equal(big.ptr, "model/ 755 0\nmodel/big.bin 644 5000000\n");
	buf_reset(&want);
	char longest[121];
	memset(longest, 'n', 120);
	longest[120] = '\0';
	buf_format(&want,
		"golden.jsonl 644 15\nmodel/ 755 0\nmodel/empty 644 0\nmodel/model.onnx 644 2\nmodel/%s 644 5\nmodel/vocab/ 755 "
		"0\nmodel/vocab/x/ 755 0\n"
		"model/vocab/x/a.txt 644 2\n",
		longest);
	for (size_t piece = 1; piece < 9000; piece = piece * 5 + 2) {
		buf_reset(&rest);
		list_layer(&b->image.layers[2], piece, &rest);
		assert_string_equal(rest.ptr, want.ptr);
	}
	assert_string_equal(b->model_path, "model/model.onnx");
	assert_int_equal(b->files, 6);
	assert_int_equal(b->image.manifest.size, (int64_t) strlen(b->image.manifest.bytes.ptr));
}

/* One content, made twice under conditions that must not show. */
static void same_content_same_manifest(void **state) {
	(void) state;
	static const char *const conditions[] = {
		"umask 022; for i in 1 2 3 4 5; do echo $i >model/f$i; done; head -c 5000000 /dev/zero >model/z",
		"umask 077; head -c 5000000 /dev/zero >model/z; for i in 5 3 1 2 4; do echo $i >model/f$i; done; touch -d 2001-01-01 "
		"model/*; chmod 777 model/f2 model; "
		"rm mlctl.yaml; printf 'model: {golden: golden.jsonl, path: ./model/}\\nname: fraud\\nscale: {min: 3}\\n' "
		">mlctl.yaml",
		"export TZ=Asia/Tokyo; for i in 4 2 5 1 3; do echo $i >.x; ln -s ../.x model/l; rm model/l; echo $i >model/f$i; done; head "
		"-c 5000000 /dev/zero >data; "
		"ln -s ../data model/z; git init -q .; git add .; git commit -q -m x",
	};
	struct digest first = {{0}};
	for (size_t i = 0; i < 3; i++) {
		AUTO_FOLDER char *folder = project_new("mkdir model; mv model.onnx model/; printf 'name: fraud\\nmodel: {path: model, "
						       "golden: golden.jsonl}\\n' >mlctl.yaml");
		scratch_sh(folder, conditions[i]);
		if (i == 2)
			setenv("TZ", "Pacific/Auckland", 1);
		AUTO_BUILD struct build *b = build(&(struct call){.folder = folder});
		if (i == 0)
			first = b->image.manifest.digest;
		assert_string_equal(b->image.manifest.digest.text, first.text);
		AUTO_BUILD struct build *epoch = build(&(struct call){.folder = folder, .epoch = "1700000000"});
		assert_string_not_equal(epoch->image.manifest.digest.text, first.text);
		assert_non_null(strstr(epoch->image.config.bytes.ptr, "2023-11-14T22:13:20Z"));
		assert_string_equal(
			epoch->image.layers[0].digest.text, b->image.layers[0].digest.text); /* the time is in the config alone */
		unsetenv("TZ");
	}
}

static void the_config_says_how_to_run_it(void **state) {
	(void) state;
	AUTO_FOLDER char *folder = project_new("");
	AUTO_BUILD struct build *b = build(&(struct call){.folder = folder});
	struct err err = {0};
	AUTO_DOCUMENT struct document *config = NULL, *manifest = NULL, *index = NULL;
	assert_int_equal(json_read("config", b->image.config.bytes, VALUE_LIMITS_WIRE, &config, &err), 0);
	assert_int_equal(json_read("manifest", b->image.manifest.bytes, VALUE_LIMITS_WIRE, &manifest, &err), 0);
	assert_int_equal(json_read("index", b->image.index.bytes, VALUE_LIMITS_WIRE, &index, &err), 0);
	static const char *const wanted[] = {"\"User\":\"65532:65532\"", "\"MLCTL_MODEL=/model/model.onnx\"",
		"\"MLCTL_LISTEN=0.0.0.0:8080\"", "\"MLCTL_NAME=model\"", "\"Entrypoint\":[\"/mlctl-runner\"]", "\"Cmd\":[\"serve\"]",
		"\"8080/tcp\":{}", "\"Test\":[\"CMD\",\"/mlctl-runner\",\"health\"]", "\"created\":\"1970-01-01T00:00:00Z\"",
		"\"MLCTL_GOLDEN=/golden.jsonl\""};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (!strstr(b->image.config.bytes.ptr, wanted[i]))
			fail_msg("%s is not in %s", wanted[i], b->image.config.bytes.ptr);
	assert_int_equal(value_find(config->root, "rootfs.diff_ids")->count, b->image.layer_count);
	assert_int_equal(value_get(config->root, "history")->count, b->image.layer_count);
	assert_int_equal(value_get(manifest->root, "layers")->count, b->image.layer_count);
	assert_null(strstr(b->image.manifest.bytes.ptr, "annotations"));
	assert_int_equal(value_get(index->root, "manifests")->count, 1);
	assert_null(b->tag);
	assert_string_equal(
		b->model.text, "sha256:c3aefc14ee1131201d705d4da641e4729e40fcd15a0d80015a9deba1164959f9"); /* of the two bytes */
}

static void commits_are_annotations_of_the_index(void **state) {
	(void) state;
	AUTO_FOLDER char *folder =
		project_new("git init -q -b main .; git remote add origin git@example.com:team/x.git; git add .; git commit -q -m one");
	AUTO_BUILD struct build *first = build(&(struct call){.folder = folder});
	scratch_sh(
		folder, "echo r >README; git add .; git commit -q -m two; git remote set-url origin https://u:s3cret@example.com/team/x");
	AUTO_BUILD struct build *second = build(&(struct call){.folder = folder});
	scratch_sh(folder, "echo x >>golden.jsonl");
	AUTO_BUILD struct build *dirty = build(&(struct call){.folder = folder});
	assert_false(first->is_dirty);
	assert_string_equal(first->image.manifest.digest.text, second->image.manifest.digest.text);
	assert_string_not_equal(first->image.index.digest.text, second->image.index.digest.text);
	assert_non_null(strstr(second->image.index.bytes.ptr, second->commit));
	assert_non_null(strstr(second->image.index.bytes.ptr, "\"https://example.com/team/x\""));
	assert_non_null(strstr(first->image.index.bytes.ptr, "\"https://example.com/team/x\""));
	assert_non_null(strstr(first->image.index.bytes.ptr, "\"2023-11-14T22:13:20Z\""));
	assert_memory_equal(first->tag, "git-", 4);
	assert_int_equal(strlen(first->tag), 16);
	assert_true(dirty->is_dirty);
	assert_string_equal(dirty->dirty_file, "golden.jsonl");
	assert_int_equal(strlen(dirty->tag), 16 + 6 + 1 + 8);
	assert_non_null(strstr(dirty->tag, "-dirty-"));
	assert_null(strstr(second->facts->root->first->text.ptr, "s3cret"));
}

static void unchanged_costs_no_read(void **state) {
	(void) state;
	AUTO_FOLDER char *folder =
		project_new("mkdir model; mv model.onnx model/; sed -i s/model.onnx/model/ mlctl.yaml; head -c 9000000 /dev/zero >model/a; "
			    "head -c 5000000 /dev/zero >model/b; echo 1 >model/small");
	AUTO_BUILD struct build *young = build(&(struct call){.folder = folder});
	assert_true(young->read_bytes > 14000000);
	AUTO_BUILD struct build *again = build(&(struct call){.folder = folder}); /* too young to be trusted */
	assert_int_equal(again->read_bytes, young->read_bytes);
	wall_ahead_s = 10;
	build_free(build(&(struct call){.folder = folder}));
	AUTO_BUILD struct build *known = build(&(struct call){.folder = folder});
	assert_int_equal(known->read_bytes, 0);
	assert_string_equal(known->image.manifest.digest.text, young->image.manifest.digest.text);
	assert_string_equal(known->model.text, young->model.text);
	scratch_sh(folder, "echo 2 >model/small");
	AUTO_BUILD struct build *small = build(&(struct call){.folder = folder});
	assert_true(small->read_bytes > 0 && small->read_bytes < 100000);
	assert_string_equal(small->image.layers[1].digest.text, known->image.layers[1].digest.text);
	assert_string_not_equal(small->image.manifest.digest.text, known->image.manifest.digest.text);
	wall_ahead_s = 0;
}

static void a_file_that_changes_is_named(void **state) {
	(void) state;
	AUTO_FOLDER char *folder = project_new("head -c 5000000 /dev/zero >big; printf '\\010\\007' >model.onnx; mkdir m; mv big "
					       "model.onnx m; sed -i s/model.onnx/m/ mlctl.yaml");
	AUTO_BUILD struct build *b = build(&(struct call){.folder = folder});
	char block[1000];
	size_t got = 0;
	struct err err = {0};
	assert_int_equal(blob_read(&b->image.layers[1], 2000, block, sizeof(block), &got, &err), 0);
	scratch_sh(folder, "printf x | dd of=m/big bs=1 seek=4000000 conv=notrunc status=none");
	assert_int_equal(blob_read(&b->image.layers[1], 3000, block, sizeof(block), &got, &err), -1);
	assert_int_equal(err.code, ERR_BUILD);
	assert_non_null(strstr(err.message, "m/big: changed"));
	err_clear(&err);
	scratch_sh(folder, "rm golden.jsonl; echo other >golden.jsonl");
	assert_int_equal(blob_read(&b->image.layers[2], 0, block, sizeof(block), &got, &err), -1);
	assert_non_null(strstr(err.message, "golden.jsonl"));
	err_clear(&err);
	scratch_sh(folder, "rm golden.jsonl; mkfifo golden.jsonl"); /* opened without waiting for a writer */
	assert_int_equal(blob_read(&b->image.layers[2], 0, block, sizeof(block), &got, &err), -1);
	assert_non_null(strstr(err.message, "golden.jsonl: changed"));
}

/* The runner's layer is remembered under the digest that was counted when mlctl was built, and under no other. */
static void a_known_runner_is_not_hashed(void **state) {
	(void) state;
	AUTO_FOLDER char *folder = scratch_new();
	AUTO_FREE char *path = fs_join(folder, "hashes");
	AUTO_CACHE struct cache *cache = cache_open_file(path);
	static const struct {
		const char *runner, *digest;
		size_t same_as;
	} plans[] = {{"one", "aa", 0}, {"two", "aa", 0} /* the word of who built it is taken */, {"two", "bb", 2}, {"one", "", 0},
		{"two", "", 2}};
	struct digest seen[5];
	for (size_t i = 0; i < 5; i++) {
		struct err err = {0};
		AUTO_PLAN struct plan *plan = NULL;
		struct plan_options options = {.runner = str_of(plans[i].runner),
			.runner_digest = str_of(plans[i].digest),
			.cache = cache,
			.clock = &clock_system};
		assert_int_equal(plan_new(&options, &plan, &err), 0);
		seen[i] = plan_blob(plan, 0).digest;
		assert_string_equal(seen[i].text, seen[plans[i].same_as].text);
	}
	assert_string_not_equal(seen[0].text, seen[2].text);
}

static void what_is_refused(void **state) {
	(void) state;
#define FOLDER "mkdir model; mv model.onnx model/; sed -i s/model.onnx/model/ mlctl.yaml\n"
	expect_refused("rm model.onnx", ERR_CONFIG, "model.path: there is no model.onnx", NULL);
	expect_refused("rm golden.jsonl", ERR_CONFIG, "model.golden: there is no golden.jsonl", NULL);
	expect_refused("printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:"
		       "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
		       "\\nsize 8400000\\n' >model.onnx",
		ERR_INVALID, "not fetched from git-LFS", "git lfs pull --include model.onnx");
	expect_refused("rm model.onnx; : >model.onnx.dvc", ERR_INVALID, "DVC", "dvc pull model.onnx.dvc");
	expect_refused("rm model.onnx; ln -s /etc/passwd model.onnx", ERR_BUILD, "leads out of the project's folder", "copy the file");
	expect_refused(FOLDER "ln -s /etc/passwd model/p", ERR_BUILD, "model/p: a symlink that leads out", ".mlctlignore");
	expect_refused(FOLDER "ln -s ../../.. model/up", ERR_BUILD, "leads out", NULL);
	expect_refused(FOLDER "mkdir d; ln -s ../d model/d", ERR_BUILD, "symlink to a folder", NULL);
	expect_refused(FOLDER "echo s >.env; ln -s ../.env model/e", ERR_BUILD, "holds secrets", NULL);
	expect_refused(FOLDER "ln -s nowhere model/e", ERR_BUILD, "leads to nothing", NULL);
	expect_refused(FOLDER "mkfifo model/pipe", ERR_BUILD, "model/pipe: neither a file nor a folder", NULL);
	expect_refused(FOLDER "echo x >\"model/$(printf 'a\\tb')\"", ERR_BUILD, "printable UTF-8", NULL);
	expect_refused(FOLDER "echo x >\"model/$(printf '\\377')\"", ERR_BUILD, "printable UTF-8", NULL);
	expect_refused(FOLDER "cp model/model.onnx model/b.onnx", ERR_INVALID, "2 model files", "model.path");
	expect_refused(FOLDER "rm model/model.onnx; echo x >model/y", ERR_INVALID, "no model file", NULL);
	expect_refused("mv model.onnx .env; sed -i s/model.onnx/.env/ mlctl.yaml", ERR_BUILD, "holds secrets", NULL);
	expect_refused("echo model.onnx >.mlctlignore", ERR_CONFIG, "kept out", NULL);
	expect_refused("printf '\\072\\377' >model.onnx", ERR_INVALID, "damaged", NULL);
	/* graph { initializer { external_data { "location": "x" } } } */
	expect_refused("printf '\\072\\026\\052\\024\\152\\022\\012\\010location\\022\\006/w.bin' >model.onnx", ERR_INVALID,
		"relative path", NULL);
	expect_refused("printf '\\072\\026\\052\\024\\152\\022\\012\\010location\\022\\006ww.bin' >model.onnx", ERR_INVALID,
		"external data ww.bin is not there", NULL);
#undef FOLDER
}

static void external_data_comes_along(void **state) {
	(void) state;
	AUTO_FOLDER char *folder = project_new("mkdir -p m/w; printf '\\072\\027\\052\\025\\152\\023\\012\\010location\\022\\007./w/bin' "
					       ">m/model.onnx; echo weights >m/w/bin; "
					       "echo no >m/other; sed -i s,model.onnx,m/model.onnx, mlctl.yaml");
	AUTO_BUILD struct build *b = build(&(struct call){.folder = folder});
	AUTO_BUF struct buf list = BUF(4096);
	list_layer(&b->image.layers[1], 100, &list);
	assert_string_equal(list.ptr, "golden.jsonl 644 15\nmodel/ 755 0\nmodel/model.onnx 644 25\nmodel/w/ 755 0\nmodel/w/bin 644 8\n");
}

static size_t times_run(const char *folder) {
	AUTO_FREE char *path = fs_join(folder, "ran"), *text = NULL;
	size_t len = 0;
	struct err err = {0};
	return fs_read(path, 1000, &text, &len, &err) == 0 ? len : 0;
}

static void the_self_test_runs_once(void **state) {
	(void) state;
	AUTO_FOLDER char *folder = project_new("");
	AUTO_BUILD struct build *first = build(&(struct call){.folder = folder, .is_tested = true});
	assert_true(first->has_test && !first->is_test_cached);
	assert_string_equal(first->signature, "opset 17, float32[?,30] -> int64[?], float32[?,2]");
	assert_int_equal(first->load_ms, 2);
	assert_int_equal(first->golden_passed, 5);
	assert_int_equal(first->p99_us, 20);
	AUTO_BUILD struct build *second = build(&(struct call){.folder = folder, .is_tested = true});
	assert_true(second->is_test_cached);
	assert_int_equal(times_run(folder), 1);
	scratch_sh(folder, "echo '{}' >>golden.jsonl");
	AUTO_BUILD struct build *third = build(&(struct call){.folder = folder, .is_tested = true});
	assert_false(third->is_test_cached);
	assert_int_equal(times_run(folder), 2);
	assert_string_equal(value_find(third->facts->root, "test.golden.total")->text.ptr, "5");
}

static void the_self_test_refuses(void **state) {
	(void) state;
	expect_refused("echo "
		       "'{\"schema\":\"mlctl-runner.check/"
		       "1\",\"model\":{\"digest\":\"x\"},\"golden\":{\"passed\":4,\"total\":5,\"tolerance\":0.0001,"
		       "\"mismatch\":{\"line\":3,\"row\":1,\"output\":\"probability\",\"got\":\"0.31\",\"expected\":\"0.52\"}}}' >said",
		ERR_INVALID, "self-test: row 1: probability: got 0.31, expected 0.52; 1 of 5 examples", "golden.jsonl");
	expect_refused("echo '{\"schema\":\"mlctl-runner.check/1\",\"error\":{\"kind\":\"invalid\",\"message\":\"model.onnx: no operator "
		       "Foo\",\"fix\":\"use Bar\"}}' >said",
		ERR_INVALID, "model.onnx: no operator Foo", "use Bar");
	expect_refused("echo nonsense >said", ERR_BUILD, "ended with 4 and no report", NULL);
	expect_refused(": >crash", ERR_INVALID, "signal 6", NULL);
	expect_refused("echo '{\"schema\":\"mlctl-runner.check/1\",\"model\":{\"digest\":\"sha256:other\"},\"golden\":null}' >said",
		ERR_BUILD, "ended with 4", NULL);
}

static void an_interrupt_is_heeded(void **state) {
	(void) state;
	AUTO_FOLDER char *folder = project_new("");
	struct err err = {0};
	struct build *out = NULL;
	assert_int_equal(try_build(&(struct call){.folder = folder, .is_interrupted = true}, &out, &err), -1);
	assert_int_equal(err.code, ERR_INTERRUPTED);
}

static void many_large_files_share_layers(void **state) {
	(void) state;
	AUTO_FOLDER char *folder = project_new("mkdir m; mv model.onnx m; sed -i s/model.onnx/m/ mlctl.yaml\n"
					       "for i in $(seq 10 75); do truncate -s $((4194304 + i % 70)) m/f$i; done");
	AUTO_BUILD struct build *b = build(&(struct call){.folder = folder});
	assert_int_equal(b->image.layer_count, 1 + 64 + 2);
	AUTO_BUF struct buf list = BUF(4096);
	for (size_t i = 65; i < 67; i++)
		list_layer(&b->image.layers[i], 100000, &list);
	assert_int_equal(files_in(&list), 4); /* the two smallest, the model, the golden examples */
}

/* Nine megabytes in 300 files: two layers, and what one file does shows in one of them. */
static void small_files_share_layers(void **state) {
	(void) state;
	AUTO_FOLDER char *folder = project_new("mkdir m; mv model.onnx m; sed -i s/model.onnx/m/ mlctl.yaml\n"
					       "head -c 9000000 /dev/zero | split -b 30000 - m/f");
	static const char *const changes[] = {"true", "echo x >>m/faa", "echo new >m/new"};
	struct digest before[3] = {{{0}}};
	for (size_t i = 0; i < 3; i++) {
		scratch_sh(folder, changes[i]);
		AUTO_BUILD struct build *b = build(&(struct call){.folder = folder});
		assert_int_equal(b->image.layer_count, 3);
		AUTO_BUF struct buf list = BUF((size_t) 64 * 1024);
		size_t changed = 0;
		for (size_t k = 0; k < 3; k++) {
			const struct blob *layer = &b->image.layers[k];
			if (k > 0) {
				assert_true(layer->size > 4000000);
				list_layer(layer, 100000, &list);
			}
			changed += !digest_equal(&layer->digest, &before[k]);
			before[k] = layer->digest;
		}
		assert_int_equal(files_in(&list), i == 2 ? 303 : 302);
		assert_int_equal(changed, i == 0 ? 3 : 1);
	}
}

static void other_outputs(void **state) {
	(void) state;
	AUTO_FOLDER char *folder = project_new("git init -q .; git add .; git commit -q -m x");
	AUTO_BUILD struct build *b = build(&(struct call){.folder = folder});
	struct err err = {0};
	AUTO_FREE char *layout = mem_format("oci:%s/out/layout", folder), *oci = mem_format("oci-archive:%s/o.tar", folder),
		       *docker = mem_format("docker-archive:%s/d.tar", folder);
	if (build_output(b, layout, "fraud", &err) != 0 || build_output(b, layout, "fraud", &err) != 0 ||
		build_output(b, oci, "fraud", &err) != 0 || build_output(b, docker, "registry.example.com/team/fraud", &err) != 0)
		fail_msg("%s", err.message);
	scratch_sh(folder, "grep -q latest out/layout/index.json; tar tf o.tar | grep -q oci-layout; tar tf d.tar | grep -q manifest.json");
	assert_int_equal(build_output(b, "zip:x", "fraud", &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
}

static void a_base_image_comes_first(void **state) {
	(void) state;
	AUTO_FOLDER char *folder = project_new("mkdir base");
	AUTO_FREE char *base_folder = fs_join(folder, "base"), *where = mem_format("oci:%s/registry", folder);
	scratch_sh(base_folder, "cp ../model.onnx ../golden.jsonl ../mlctl.yaml .");
	AUTO_BUILD struct build *b = build(&(struct call){.folder = base_folder});
	struct err err = {0};
	if (build_output(b, where, "base", &err) != 0)
		fail_msg("%s", err.message);
	AUTO_FREE char *line =
		mem_format("echo 'base: registry.example.com/base@%s' >>mlctl.yaml; echo '{}' >>golden.jsonl", b->image.index.digest.text);
	scratch_sh(folder, line);
	struct store *store = NULL;
	assert_int_equal(store_open(where, &(struct store_options){.clock = &clock_system}, &store, &err), 0);
	struct build *with = build(&(struct call){.folder = folder, .base = store});
	assert_int_equal(with->image.layer_count, b->image.layer_count + 2);
	for (size_t i = 0; i < with->image.layer_count; i++) {
		AUTO_BUF struct buf list = BUF(4096);
		list_layer(&with->image.layers[i], 100000, &list); /* base layers are fetched here, and checked */
	}
	build_free(with);
	store_close(store);
	scratch_sh(folder, "rm -r \"$D.cache/mlctl/layers\"");
}

int main(int argc, char **argv) {
	if (argc > 1 && strcmp(argv[1], "check") == 0)
		return stand_in(argc, argv);
	struct err err = {0};
	if (fs_read("/proc/self/exe", (size_t) 1 << 30, &program, &program_len, &err) != 0)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers_hold_what_they_should),
		cmocka_unit_test(same_content_same_manifest),
		cmocka_unit_test(the_config_says_how_to_run_it),
		cmocka_unit_test(commits_are_annotations_of_the_index),
		cmocka_unit_test(unchanged_costs_no_read),
		cmocka_unit_test(a_file_that_changes_is_named),
		cmocka_unit_test(a_known_runner_is_not_hashed),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(external_data_comes_along),
		cmocka_unit_test(the_self_test_runs_once),
		cmocka_unit_test(the_self_test_refuses),
		cmocka_unit_test(an_interrupt_is_heeded),
		cmocka_unit_test(many_large_files_share_layers),
		cmocka_unit_test(small_files_share_layers),
		cmocka_unit_test(other_outputs),
		cmocka_unit_test(a_base_image_comes_first),
	};
	int rc = cmocka_run_group_tests_name("build_build", tests, NULL, NULL);
	free(program);
	return rc;
}
