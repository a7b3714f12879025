#include "build/selftest.h"

#include "build/cache.h"
#include "os/proc.h"

#include <dirent.h>
#include <stdio.h>

#define SCHEMA "mlctl-runner.check/1"
#define SIGNATURE_BYTES_MAX 2000

static struct str text_of(const struct value *value, const char *path) {
	const struct value *found = value_find(value, path);
	return found ? found->text : (struct str){0};
}

static int64_t int_of(const struct value *value, const char *path) {
	int64_t number = 0;
	struct err err = {0};
	best_effort(value_opt_int(value, path, 0, &number, &err)); /* what is no number is shown as 0 */
	return number;
}

/* ---- what was seen before ---- */

static char *kept_folder(const struct selftest *test) {
	struct err err = {0};
	AUTO_FREE char *home = NULL;
	return fs_home(test->env, FS_CACHE, &home, &err) == 0 ? fs_join(home, "mlctl/tests") : fs_join(test->folder, ".mlctl/tests");
}

/* Anything wrong with it: it is run again. */
static struct document *load_kept(const char *path, const struct selftest *test) {
	struct err err = {0};
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	AUTO_DOCUMENT struct document *document = NULL;
	if (fs_read(path, SELFTEST_OUTPUT_MAX, &text, &len, &err) != 0 ||
		json_read(path, (struct str){text, len}, VALUE_LIMITS_CONFIG, &document, &err) != 0)
		return NULL;
	bool fits = str_is(text_of(document->root, "schema"), SCHEMA) &&
		    str_is(text_of(document->root, "model.digest"), test->digest->text) &&
		    int_of(document->root, "golden.passed") == int_of(document->root, "golden.total");
	return fits ? take(&document) : NULL;
}

/* The folder stays small: when it is full it begins anew. A cache that cannot be written costs time, nothing else. */
static void keep(const char *folder, const char *path, struct str text) {
	struct err err = {0};
	size_t count = 0;
	DIR *listing = opendir(folder);
	while (listing && readdir(listing))
		count++;
	if (listing)
		closedir(listing);
	if (count > SELFTEST_KEPT_MAX)
		best_effort(fs_remove_tree(folder, &err));
	err_clear(&err);
	cache_sweep(folder);
	if (fs_make_dirs(folder, 0700, &err) == 0)
		best_effort(fs_replace_quickly(path, text.ptr, text.len, 0600, &err));
}

/* ---- one run ---- */

static int run(const struct selftest *test, struct proc_result *result, struct err *err) {
	AUTO_CLOSE int program = -1;
	const char *argv[12] = {"mlctl-runner", "check", "--model", test->model, "--name", test->name, "--json"};
	static const char *const env[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", NULL};
	if (test->golden) {
		argv[7] = "--golden";
		argv[8] = test->golden;
	}
	if (proc_memfd("mlctl-runner", test->runner, &program, err) != 0)
		return -1;
	struct proc_spec spec = {
		.exec_fd = program, .argv = argv, .env = env, .folder = test->folder, .in_fd = -1, .out_fd = -1, .err_fd = -1};
	return proc_run(&spec, STR(""), SELFTEST_OUTPUT_MAX, SELFTEST_TIMEOUT_MS, result, err);
}

static int refused_example(const struct selftest *test, const struct value *check, struct err *err) {
	const struct value *mismatch = value_find(check, "golden.mismatch");
	struct str got = text_of(mismatch, "got"), expected = text_of(mismatch, "expected"), output = text_of(mismatch, "output");
	int64_t line = int_of(mismatch, "line"), failed = int_of(check, "golden.total") - int_of(check, "golden.passed");
	err_set(err, ERR_INVALID, "self-test: row %lld: %.*s%sgot %.*s, expected %.*s; %lld of %lld examples differ by more than %.*s",
		(long long) int_of(mismatch, "row"), STR_ARGS(output), output.len ? ": " : "", STR_ARGS(got), STR_ARGS(expected),
		(long long) failed, (long long) int_of(check, "golden.total"), STR_ARGS(text_of(check, "golden.tolerance")));
	err_at(err, "%s:%lld", test->golden, (long long) line);
	return err_fix(err, "if the new answers are right: correct them in %s; otherwise it is the model", test->golden);
}

static int judge(const struct selftest *test, const struct proc_result *result, struct document **out, struct err *err) {
	AUTO_DOCUMENT struct document *document = NULL;
	struct err reading = {0};
	int said = json_read(
		"mlctl-runner check", str_trim((struct str){result->out, result->out_len}), VALUE_LIMITS_CONFIG, &document, &reading);
	if (said != 0 || !str_is(text_of(document->root, "schema"), SCHEMA)) {
		struct str words = str_trim((struct str){result->err_text, result->err_len > 400 ? 400 : result->err_len});
		if (result->status > 128)
			err_set(err, ERR_INVALID, "self-test: loading %s ended the runner with signal %d%s%.*s", test->model,
				result->status - 128, words.len ? ": " : "", STR_ARGS(words));
		else
			err_set(err, ERR_BUILD, "self-test: the runner ended with %d and no report%s%.*s", result->status,
				words.len ? ": " : "", STR_ARGS(words));
		return -1;
	}
	const struct value *check = document->root, *failure = value_get(check, "error");
	if (failure) {
		struct str fix = text_of(failure, "fix");
		err_set(err, ERR_INVALID, "self-test: %.*s", STR_ARGS(text_of(failure, "message")));
		return fix.len ? err_fix(err, "%.*s", STR_ARGS(fix)) : -1;
	}
	if (int_of(check, "golden.passed") != int_of(check, "golden.total"))
		return refused_example(test, check, err);
	if (result->status != 0)
		return err_set(err, ERR_BUILD, "self-test: the runner ended with %d", result->status);
	if (!str_is(text_of(check, "model.digest"), test->digest->text)) {
		err_set(err, ERR_BUILD, "self-test: the runner loaded %.*s, the image holds %s: %s changed in between",
			STR_ARGS(text_of(check, "model.digest")), test->digest->text, test->model);
		return err_fix(err, "run the command again when nothing writes to %s", test->model);
	}
	*out = take(&document);
	return 0;
}

int selftest_run(const struct selftest *test, struct document **out, bool *is_cached, struct err *err) {
	AUTO_FREE char *folder = kept_folder(test), *name = mem_format("%s.json", digest_hex(test->manifest)),
		       *path = fs_join(folder, name);
	struct document *before = load_kept(path, test);
	if (before) {
		*out = before;
		*is_cached = true;
		return 0;
	}
	struct proc_result result = {0};
	struct document *document = NULL;
	int rc = run(test, &result, err);
	if (rc == 0)
		rc = judge(test, &result, &document, err);
	else if (err->code == ERR_TIMEOUT)
		err_wrap(err, "self-test: %s", test->model);
	else
		err_wrap(err, "self-test");
	if (rc == 0) {
		keep(folder, path, (struct str){result.out, result.out_len});
		*out = document;
		*is_cached = false;
	}
	proc_result_clear(&result);
	return rc;
}

/* ---- for people ---- */

static void put_ports(struct buf *out, const struct value *ports) {
	value_each(port, ports) {
		buf_format(out, "%s%.*s[", port == ports->first ? "" : ", ", STR_ARGS(text_of(port, "dtype")));
		value_each(dim, value_get(port, "shape")) {
			bool is_free = str_is(dim->text, "-1");
			buf_format(out, "%s%.*s", dim == value_get(port, "shape")->first ? "" : ",", is_free ? 1 : (int) dim->text.len,
				is_free ? "?" : dim->text.ptr);
		}
		buf_char(out, ']');
	}
}

char *selftest_signature(const struct value *check) {
	AUTO_BUF struct buf out = BUF(SIGNATURE_BYTES_MAX);
	struct str opset = text_of(check, "model.opset");
	if (opset.len)
		buf_format(&out, "opset %.*s, ", STR_ARGS(opset));
	put_ports(&out, value_find(check, "model.inputs"));
	buf_text(&out, " -> ");
	put_ports(&out, value_find(check, "model.outputs"));
	return mem_text(buf_view(&out).ptr);
}
