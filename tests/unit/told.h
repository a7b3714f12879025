/* Kubernetes objects of tests/wire/kubernetes/schema and what is to be told of them: above each document of a file, "# path: words" for
 * each problem,
 * "# warning: path: words" for each warning, "# about: ..." what is just said, "# server accepts: why" where a server differs. */
#pragma once

#include "kube/schema.h"
#include "os/fs.h"
#include "unit/scratch.h"

#include <dirent.h>

#define TOLD_MAX 60

typedef int told_check(const struct value *object, const char *version, struct kube_problems *problems, struct err *err);

static inline struct document *told_yaml(const char *text) {
	struct err err = {0};
	struct document *document = NULL;
	if (yaml_read("t.yaml", str_of(text), VALUE_LIMITS_CONFIG, &document, &err) != 0)
		fail_msg("%s at %s", err.message, err.at);
	return document;
}

/* "warning: path: what -> right" */
static inline char *told_words(const struct kube_problem *problem) {
	return mem_format("%s%s%s%s%s%s", problem->is_warning ? "warning: " : "", problem->path, *problem->path ? ": " : "", problem->what,
		*problem->right ? " -> " : "", problem->right);
}

/* One document with its comments. Returns how many problems were expected. */
static inline int told_document(const char *file, size_t index, const char *text, told_check *check) {
	struct err err = {0};
	AUTO_DOCUMENT struct document *document = told_yaml(text);
	struct kube_problem items[TOLD_MAX];
	struct kube_problems problems = {.items = items, .max = TOLD_MAX};
	bool is_told[TOLD_MAX] = {0};
	int rc = check(document->root, NULL, &problems, &err), expected = 0;
	for (struct str rest = str_of(text), line; rest.ptr;) {
		line = str_cut(rest, '\n', &rest);
		if (!str_starts(line, "# ") || str_starts(line, "# server ") || str_starts(line, "# about: "))
			continue;
		AUTO_FREE char *words = str_dup((struct str){line.ptr + 2, line.len - 2});
		bool is_found = false;
		for (size_t i = 0; i < problems.count && !is_found; i++) {
			AUTO_FREE char *said = told_words(&items[i]);
			is_found = !is_told[i] && str_starts(str_of(said), words);
			is_told[i] |= is_found;
		}
		if (!is_found)
			fail_msg("%s, document %zu: not told: %s", file, index, words);
		expected++;
	}
	for (size_t i = 0; i < problems.count; i++) {
		AUTO_FREE char *said = told_words(&items[i]);
		if (!is_told[i])
			fail_msg("%s, document %zu: told: %s", file, index, said);
		if (!items[i].at.line)
			fail_msg("%s, document %zu: without a place: %s", file, index, said);
	}
	assert_int_equal(rc, problems.errors ? -1 : 0);
	assert_int_equal(err.code, problems.errors ? ERR_INVALID : ERR_NONE);
	assert_int_equal(problems.errors + problems.warnings, problems.count);
	return expected;
}

/* Every document of every file of a folder; returns how many. Without words all have to pass, and the reader of many documents finds as
 * many. */
static inline int told_folder(const char *name, told_check *check, bool wants_words) {
	AUTO_FREE char *path = mem_format("%s/tests/wire/kubernetes/schema/%s", getenv("ROOT") ? getenv("ROOT") : ".", name);
	DIR *dir = opendir(path);
	int documents = 0;
	if (!dir)
		fail_msg("there is no %s", path);
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (!str_ends(str_of(entry->d_name), ".yaml"))
			continue;
		struct err err = {0};
		AUTO_FREE char *file = fs_join(path, entry->d_name), *text = NULL;
		size_t len = 0, index = 0;
		assert_int_equal(fs_read(file, 1 << 20, &text, &len, &err), 0);
		AUTO_FREE char *copy = mem_text_n(text, len);
		for (char *at = copy, *end; at; at = end, index++, documents++) {
			end = strstr(at, "\n---\n");
			if (end) {
				end[1] = '\0';
				end += 5;
			}
			int told = told_document(entry->d_name, index, at, wants_words ? check : kube_schema_check);
			assert_true(!wants_words || told > 0);
		}
		AUTO_DOCUMENT struct document *all = NULL;
		assert_int_equal(yaml_read_all(entry->d_name, (struct str){text, len}, VALUE_LIMITS_CONFIG, &all, &err), 0);
		assert_int_equal(all->root->count, index);
		value_each(object, all->root) {
			struct kube_problem items[4];
			struct kube_problems problems = {.items = items, .max = 4};
			if (!wants_words && (check(object, NULL, &problems, &err) != 0 || problems.count))
				fail_msg("%s:%d: %s: %s", entry->d_name, items[0].at.line, items[0].path, items[0].what);
		}
	}
	closedir(dir);
	return documents;
}
