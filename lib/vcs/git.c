#include "vcs/git.h"

#include "base/clock.h"
#include "vcs/pointer.h"

#include <errno.h>
#include <git2.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL_BYTES_MAX ((int64_t) 1024 * 1024) /* libgit2 hashes up to here, with the filters of .gitattributes; above, question->hash */
#define SUBJECT_BYTES_MAX 200
#define LINK_BYTES_MAX 4096
#define HISTORY_COMMITS_MAX 10000 /* a quarter of a second */

struct session {
	const struct git_question *question;
	struct git_facts *facts;
	git_repository *repository;
	git_commit *head;
	git_tree *tree;
	git_index *index;
	struct timespec index_time;
	char *prefix; /* "" or "sub/folder/": the project's folder beneath the work tree */
};

void git_facts_clear(struct git_facts *facts) {
	free(facts->commit);
	free(facts->subject);
	free(facts->author_time);
	free(facts->branch);
	free(facts->remote);
	free(facts->tree);
	free(facts->changed_time);
	free(facts->dirty_file);
	free(facts->problem);
	*facts = (struct git_facts){0};
}

/* The first problem stays. */
static void note_problem(struct git_facts *facts, const char *what) {
	const git_error *last = git_error_last();
	if (!facts->problem)
		facts->problem = mem_format("%s: %s", what, last && last->message ? last->message : "unknown error");
}

static void note_dirty(struct session *session, const char *path) {
	if (session->facts->is_dirty)
		return;
	size_t n = strlen(session->prefix);
	session->facts->is_dirty = true;
	session->facts->dirty_file = mem_text(strncmp(path, session->prefix, n) == 0 ? path + n : path);
}

char *git_remote_without_secrets(const char *url) {
	struct str all = str_of(url), rest;
	const char *scheme = strstr(url, "://");
	if (scheme) {
		all = str_cut(str_cut(all, '#', &rest), '?', &rest);
		size_t before = (size_t) (scheme - url) + 3;
		if (str_starts(all, "file:") || all.len <= before)
			return NULL;
		struct str authority = str_cut((struct str){url + before, all.len - before}, '/', &rest), host;
		str_cut_last(authority, '@', &host);
		if (!host.ptr)
			host = authority;
		return mem_format("%.*s%.*s%s%.*s", (int) before, url, STR_ARGS(host), rest.ptr ? "/" : "", STR_ARGS(rest));
	}
	/* scp's form: [user@]host:path; a "/" before the ":" makes it a local path, as git itself decides. */
	struct str path, host = str_cut(all, ':', &path), name;
	if (!path.ptr || !host.len || memchr(host.ptr, '/', host.len))
		return NULL;
	str_cut_last(host, '@', &name);
	while (path.len && path.ptr[0] == '/')
		path = (struct str){path.ptr + 1, path.len - 1};
	return mem_format("ssh://%.*s/%.*s", STR_ARGS(name.ptr ? name : host), STR_ARGS(path));
}

/* From the configuration, not through git_remote_lookup: Debian's libgit2 leaks 20 kB at each text it matches a pattern against, and
 * that call matches every setting there is. */
static void read_remote(struct session *session) {
	git_config *config = NULL;
	git_config_iterator *iterator = NULL;
	AUTO_FREE char *url = NULL;
	if (git_repository_config_snapshot(&config, session->repository) == 0 && git_config_iterator_new(&iterator, config) == 0) {
		bool is_origin = false;
		for (git_config_entry *entry; !is_origin && git_config_next(&entry, iterator) == 0;) {
			struct str name = str_of(entry->name);
			if (!str_starts(name, "remote.") || !str_ends(name, ".url"))
				continue;
			is_origin = str_is(name, "remote.origin.url");
			if (url && !is_origin)
				continue;
			free(url);
			url = mem_text(entry->value ? entry->value : "");
		}
	}
	git_config_iterator_free(iterator);
	git_config_free(config);
	session->facts->remote = url ? git_remote_without_secrets(url) : NULL;
}

static void read_commit(struct session *session) {
	struct git_facts *facts = session->facts;
	git_reference *head = NULL;
	int rc = git_repository_head(&head, session->repository);
	if (rc == GIT_EUNBORNBRANCH) {
		facts->problem = mem_text("the repository has no commit yet");
		return;
	}
	git_object *object = NULL;
	if (rc != 0 || git_reference_peel(&object, head, GIT_OBJECT_COMMIT) != 0) {
		note_problem(facts, "the commit of HEAD cannot be read");
		git_reference_free(head);
		return;
	}
	session->head = (git_commit *) object;
	char hex[GIT_OID_HEXSZ + 1];
	facts->commit = mem_text(git_oid_tostr(hex, sizeof(hex), git_commit_id(session->head)));
	const char *summary = git_commit_summary(session->head);
	facts->subject = mem_text_n(summary ? summary : "", summary ? strnlen(summary, SUBJECT_BYTES_MAX) : 0);
	const git_signature *author = git_commit_author(session->head);
	char time[CLOCK_TEXT_MAX];
	facts->author_time_s = author ? author->when.time : 0;
	facts->author_time = mem_text(clock_text(facts->author_time_s, time));
	if (git_reference_is_branch(head))
		facts->branch = mem_text(git_reference_shorthand(head));
	git_reference_free(head);
	if (git_commit_tree(&session->tree, session->head) != 0) {
		note_problem(facts, "the tree of the commit cannot be read");
		return;
	}
	AUTO_FREE char *path = mem_format("%s%s", session->prefix, session->question->path);
	git_tree_entry *entry = NULL;
	if (git_tree_entry_bypath(&entry, session->tree, path) == 0)
		facts->tree = mem_text(git_oid_tostr(hex, sizeof(hex), git_tree_entry_id(entry)));
	git_tree_entry_free(entry);
}

/* What the index remembers against what is on disk, as git compares; a file that changed in the same tick as the index was written
 * proves nothing by its times ("racy git"). */
static bool stat_proves_clean(const struct session *session, const git_index_entry *entry, const struct stat *info) {
	if (entry->mtime.seconds != (int32_t) info->st_mtim.tv_sec || entry->ctime.seconds != (int32_t) info->st_ctim.tv_sec ||
		entry->mtime.nanoseconds != (uint32_t) info->st_mtim.tv_nsec ||
		entry->ctime.nanoseconds != (uint32_t) info->st_ctim.tv_nsec || entry->ino != (uint32_t) info->st_ino ||
		entry->file_size != (uint32_t) info->st_size)
		return false;
	return info->st_mtim.tv_sec < session->index_time.tv_sec ||
	       (info->st_mtim.tv_sec == session->index_time.tv_sec && info->st_mtim.tv_nsec < session->index_time.tv_nsec);
}

static bool entry_is_lfs(const struct session *session, const git_index_entry *entry, struct lfs_pointer *pointer) {
	git_blob *blob = NULL;
	if (git_blob_lookup(&blob, session->repository, &entry->id) != 0)
		return false; /* a partial clone may lack it */
	bool is_lfs = git_blob_rawsize(blob) < POINTER_BYTES_MAX &&
		      pointer_parse_lfs((struct str){git_blob_rawcontent(blob), (size_t) git_blob_rawsize(blob)}, pointer);
	git_blob_free(blob);
	return is_lfs;
}

/* The content of a symlink is where it points. */
static bool link_is_clean(const char *full, const git_index_entry *entry) {
	char target[LINK_BYTES_MAX];
	git_oid id;
	ssize_t len = readlink(full, target, sizeof(target));
	return len >= 0 && (size_t) len < sizeof(target) && git_odb_hash(&id, target, (size_t) len, GIT_OBJECT_BLOB) == 0 &&
	       git_oid_equal(&id, &entry->id);
}

static int content_is_clean(
	struct session *session, const char *full, const git_index_entry *entry, const struct stat *info, bool *is_clean, struct err *err) {
	struct lfs_pointer pointer;
	const char *file = entry->path + strlen(session->prefix);
	char hex[65];
	git_oid id;
	*is_clean = false;
	if (S_ISLNK(info->st_mode)) {
		*is_clean = link_is_clean(full, entry);
		return 0;
	}
	if (entry_is_lfs(session, entry, &pointer)) {
		/* The index knows the pointer; the file is its content. An unfetched pointer equals the blob itself, below. */
		if (info->st_size == pointer.size) {
			if (session->question->hash(session->question->self, file, GIT_HASH_SHA256, hex, err) != 0)
				return -1;
			*is_clean = strcmp(hex, pointer.oid) == 0;
			return 0;
		}
	}
	if (info->st_size > SMALL_BYTES_MAX) {
		if (session->question->hash(session->question->self, file, GIT_HASH_BLOB, hex, err) != 0)
			return -1;
		*is_clean = git_oid_fromstr(&id, hex) == 0 && git_oid_equal(&id, &entry->id);
		return 0;
	}
	*is_clean = git_repository_hashfile(&id, session->repository, full, GIT_OBJECT_BLOB, NULL) == 0 && git_oid_equal(&id, &entry->id);
	return 0;
}

static int check_entry(struct session *session, const git_index_entry *entry, struct err *err) {
	if (entry->mode == GIT_FILEMODE_COMMIT)
		return 0; /* a submodule has its own history; what of it enters the build is in `files` */
	AUTO_FREE char *full = mem_format("%s%s", git_repository_workdir(session->repository), entry->path);
	struct stat info;
	if (git_index_entry_stage(entry) != 0) {
		note_dirty(session, entry->path);
		return 0;
	}
	if (lstat(full, &info) != 0) {
		if (!(entry->flags_extended & GIT_INDEX_ENTRY_SKIP_WORKTREE)) /* sparse checkouts leave files out on purpose */
			note_dirty(session, entry->path);
		return 0;
	}
	bool is_link = entry->mode == GIT_FILEMODE_LINK, is_clean = stat_proves_clean(session, entry, &info);
	if (is_link != S_ISLNK(info.st_mode) || (!is_link && !S_ISREG(info.st_mode)))
		is_clean = false;
	else if (!is_clean && content_is_clean(session, full, entry, &info, &is_clean, err) != 0)
		return -1;
	if (!is_clean)
		note_dirty(session, entry->path);
	return 0;
}

/* DVC's files are tracked by their pointer: clean when the pointer is in the index (and so was compared) and its MD5 is the file's. */
static int check_untracked(struct session *session, const char *file, struct err *err) {
	char md5[33], hex[65];
	AUTO_FREE char *dvc = pointer_dvc_of(session->question->folder, file, md5);
	AUTO_FREE char *path = mem_format("%s%s", session->prefix, dvc ? dvc : file);
	bool is_clean = dvc && md5[0] && git_index_get_bypath(session->index, path, 0);
	if (is_clean) {
		if (session->question->hash(session->question->self, file, GIT_HASH_MD5, hex, err) != 0)
			return -1;
		is_clean = strcmp(hex, md5) == 0;
	}
	if (!is_clean) {
		AUTO_FREE char *own = mem_format("%s%s", session->prefix, file);
		note_dirty(session, own);
	}
	return 0;
}

/* Commit against index: trees and index only, no file is opened. */
static void check_staged(struct session *session, const char *path) {
	git_diff_options options;
	best_effort(git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION)); /* fails only for a version it does not know */
	AUTO_FREE char *spec = mem_text(path);
	char *pathspec[] = {spec};
	options.flags |= GIT_DIFF_DISABLE_PATHSPEC_MATCH | GIT_DIFF_IGNORE_SUBMODULES;
	if (path[0])
		options.pathspec = (git_strarray){pathspec, 1};
	git_diff *diff = NULL;
	if (git_diff_tree_to_index(&diff, session->repository, session->tree, session->index, &options) != 0) {
		note_problem(session->facts, "the index cannot be compared with the commit");
		note_dirty(session, "(index)");
		return;
	}
	if (git_diff_num_deltas(diff)) {
		const git_diff_delta *delta = git_diff_get_delta(diff, 0);
		note_dirty(session, delta->new_file.path ? delta->new_file.path : delta->old_file.path);
	}
	git_diff_free(diff);
}

static int read_dirty(struct session *session, struct err *err) {
	struct stat info;
	if (git_repository_index(&session->index, session->repository) != 0 || git_index_read(session->index, false) != 0) {
		note_problem(session->facts, "the index cannot be read");
		note_dirty(session, "(index)");
		return 0;
	}
	if (stat(git_index_path(session->index), &info) == 0)
		session->index_time = info.st_mtim;
	check_staged(session, session->prefix);
	size_t at = 0, count = git_index_entrycount(session->index), n = strlen(session->prefix);
	if (n && git_index_find_prefix(&at, session->index, session->prefix) != 0)
		at = count;
	/* The first difference is the answer: no other file is looked at. */
	for (; at < count && !session->facts->is_dirty; at++) {
		const git_index_entry *entry = git_index_get_byindex(session->index, at);
		if (strncmp(entry->path, session->prefix, n) != 0)
			break;
		if (check_entry(session, entry, err) != 0)
			return -1;
	}
	for (size_t i = 0; i < session->question->file_count && !session->facts->is_dirty; i++) {
		const char *file = session->question->files[i];
		AUTO_FREE char *path = mem_format("%s%s", session->prefix, file);
		if (!git_index_get_bypath(session->index, path, 0) && check_untracked(session, file, err) != 0)
			return -1;
	}
	return 0;
}

/* ---- when the model was last changed ---- */

static bool entry_at(const git_commit *commit, const char *path, git_oid *out) {
	git_tree *tree = NULL;
	git_tree_entry *entry = NULL;
	bool is_there = git_commit_tree(&tree, commit) == 0 && git_tree_entry_bypath(&entry, tree, path) == 0;
	if (is_there)
		git_oid_cpy(out, git_tree_entry_id(entry));
	git_tree_entry_free(entry);
	git_tree_free(tree);
	return is_there;
}

/* As `git log -1 -- PATH` goes: on to the parent that has the same, until there is none. Fails where a parent is not here. */
static int last_change(struct session *session, const char *path, int64_t *time_s) {
	git_commit *at = NULL;
	git_oid wanted, id;
	int rc = -1;
	if (git_commit_dup(&at, session->head) != 0 || !entry_at(at, path, &wanted)) {
		git_commit_free(at);
		return -1;
	}
	for (int steps = 0; rc < 0 && steps < HISTORY_COMMITS_MAX; steps++) {
		git_commit *same = NULL;
		unsigned parents = git_commit_parentcount(at), seen = 0;
		for (; seen < parents && !same; seen++) {
			git_commit *parent = NULL;
			if (git_commit_parent(&parent, at, seen) != 0)
				break;
			if (entry_at(parent, path, &id) && git_oid_equal(&id, &wanted))
				same = parent;
			else
				git_commit_free(parent);
		}
		const git_signature *author = git_commit_author(at);
		bool is_cut = !parents && session->facts->is_shallow; /* libgit2 may show the edge of a shallow clone as a first commit */
		if (!same && (seen < parents || is_cut || !author))
			break;
		if (!same) {
			*time_s = author->when.time;
			rc = 0;
		} else {
			git_commit_free(at);
			at = same;
		}
	}
	git_commit_free(at);
	return rc;
}

/* The path alone, with facts of its own: another file that differs says nothing about the model. */
static int read_path_dirty(struct session *session, const char *path, struct err *err) {
	struct git_facts about = {0};
	struct session own = *session;
	size_t at = 0, n = strlen(path);
	int rc = 0;
	own.facts = &about;
	check_staged(&own, path);
	if (git_index_find_prefix(&at, session->index, path) != 0)
		note_dirty(&own, path);
	for (size_t count = git_index_entrycount(session->index); rc == 0 && at < count && !about.is_dirty; at++) {
		const git_index_entry *entry = git_index_get_byindex(session->index, at);
		if (strncmp(entry->path, path, n) != 0)
			break;
		if (!entry->path[n] || entry->path[n] == '/')
			rc = check_entry(&own, entry, err);
	}
	session->facts->is_path_dirty = about.is_dirty;
	git_facts_clear(&about);
	return rc;
}

static int read_changed(struct session *session, struct err *err) {
	char md5[33], time[CLOCK_TEXT_MAX];
	struct git_facts *facts = session->facts;
	const struct git_question *question = session->question;
	AUTO_FREE char *dvc = facts->tree ? NULL : pointer_dvc_of(question->folder, question->path, md5);
	AUTO_FREE char *path = mem_format("%s%s", session->prefix, dvc ? dvc : question->path);
	int64_t time_s;
	facts->is_path_dirty = !facts->tree && !dvc;
	if (facts->is_path_dirty || !session->index || (facts->is_dirty && read_path_dirty(session, path, err) != 0))
		return facts->is_path_dirty || !session->index ? 0 : -1;
	if (!facts->is_path_dirty && last_change(session, path, &time_s) == 0)
		facts->changed_time = mem_text(clock_text(time_s, time));
	return 0;
}

static char *prefix_in(git_repository *repository, const char *folder) {
	const char *root = git_repository_workdir(repository);
	AUTO_FREE char *real = realpath(folder, NULL), *real_root = root ? realpath(root, NULL) : NULL;
	if (!real || !real_root)
		return NULL;
	size_t n = strlen(real_root);
	if (strcmp(real_root, "/") == 0)
		n = 0;
	if (strncmp(real, real_root, n) != 0 || (real[n] != '\0' && real[n] != '/'))
		return NULL;
	const char *below = real + n + (real[n] == '/');
	return mem_format("%s%s", below, *below ? "/" : "");
}

/* Debian's libgit2 parses the system's bundle of CA certificates whenever it is initialised: 4 ms, a third of a push of what has not
 * changed, and nothing here speaks to a server through libgit2. This definition is found before libmbedx509's own: no certificate is read,
 * so none is trusted. A libgit2 with another TLS library does not call it; weak, so that a static libmbedx509 is no second definition. */
__attribute__((weak)) int mbedtls_x509_crt_parse_file(void *chain, const char *path);
int mbedtls_x509_crt_parse_file(void *chain, const char *path) {
	(void) chain;
	(void) path;
	return 0; /* certificates that were refused */
}

/* Owner validation protects commands that may run what a repository's configuration names. Nothing here does, and in CI's containers the
 * checkout often belongs to another user. The extensions are the ones that change nothing for a reader of HEAD and the index:
 * actions/checkout sets worktreeConfig (sparse) and partialClone (filter). */
static void set_options(void) {
	const char *extensions[] = {"worktreeconfig", "partialclone", "preciousobjects", "noop"};
	best_effort(git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0)); /* where it is missing, open says so */
	best_effort(git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, extensions, sizeof(extensions) / sizeof(extensions[0])));
}

static int read_session(struct session *session, struct err *err) {
	int rc = git_repository_open_ext(&session->repository, session->question->folder, 0, NULL);
	if (rc == GIT_ENOTFOUND) {
		/* Also a linked worktree whose repository is not mounted here: the ".git" file is there, what it names is not. */
		AUTO_FREE char *link = mem_format("%s/.git", session->question->folder);
		struct stat info;
		if (lstat(link, &info) == 0)
			note_problem(session->facts, "the repository that .git names is not here");
		return 0;
	}
	if (rc != 0) {
		note_problem(session->facts, "the git repository cannot be read");
		return 0;
	}
	session->prefix = prefix_in(session->repository, session->question->folder);
	if (!session->prefix)
		return 0; /* a bare repository */
	session->facts->is_shallow = git_repository_is_shallow(session->repository) == 1;
	read_remote(session);
	read_commit(session);
	if (!session->tree)
		return 0;
	return read_dirty(session, err) != 0 ? -1 : read_changed(session, err);
}

int git_facts_read(const struct git_question *question, struct git_facts *out, struct err *err) {
	struct git_facts facts = {0};
	struct session session = {.question = question, .facts = &facts};
	if (git_libgit2_init() < 0) {
		note_problem(&facts, "libgit2 does not start");
		*out = facts;
		return 0;
	}
	set_options();
	int rc = read_session(&session, err);
	git_index_free(session.index);
	git_tree_free(session.tree);
	git_commit_free(session.head);
	git_repository_free(session.repository);
	free(session.prefix);
	git_libgit2_shutdown();
	if (rc != 0) {
		git_facts_clear(&facts);
		return -1;
	}
	*out = facts;
	return 0;
}
