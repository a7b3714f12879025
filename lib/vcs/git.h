/* What git knows about a project's folder. The one file that includes libgit2, which is initialised inside the call and nowhere else.
 *
 * Facts only: nothing is written, no hook, filter or command of the repository's configuration runs. No git, a shallow clone, a linked
 * worktree, another owner's repository all work; what cannot be read leaves its field NULL and says so in `problem`. */
#pragma once

#include "base/str.h"

#include <stdint.h>

enum git_hash { GIT_HASH_BLOB /* SHA-1 of "blob SIZE\0" and the content */, GIT_HASH_SHA256, GIT_HASH_MD5 };

struct git_question {
	const char *folder;	  /* the project's, absolute */
	const char *path;	  /* of the model, relative to the folder: its tree or blob hash is asked for */
	const char *const *files; /* relative to the folder: what the build is made of; one that git does not know makes it dirty */
	size_t file_count;
	/* The hash of a file (relative to the folder), hex, from a cache where one knows it. Asked only where git's index cannot tell from
	 * the file's times and size, and never for a small file. */
	int (*hash)(void *self, const char *file, enum git_hash kind, char out[65], struct err *err);
	void *self;
};

struct git_facts {
	char *commit;	   /* 40 hex; NULL: no git, or no commit yet */
	char *subject;	   /* the commit's first line */
	char *author_time; /* RFC 3339, UTC */
	int64_t author_time_s;
	char *branch;	  /* NULL: detached */
	char *remote;	  /* origin's (or the first) URL, without userinfo, query and fragment; NULL: none, or a local path */
	char *tree;	  /* hash of the model's path in that commit; NULL: not in it */
	bool is_dirty;	  /* tracked files beneath the folder, or `files`, differ from the commit */
	char *dirty_file; /* the first one that does, relative to the folder */
	char *changed_time; /* RFC 3339: when the last commit that touched the model's path (or its DVC pointer) was made; NULL: the path
			     * differs from the commit, or the history that is here does not reach back so far */
	bool is_path_dirty; /* the model's path differs from the commit, or is not in it */
	bool is_shallow;
	char *problem; /* why something could not be told: one sentence; NULL: nothing */
};
void git_facts_clear(struct git_facts *facts);
/* Fails only when question->hash does. */
int git_facts_read(const struct git_question *question, struct git_facts *out, struct err *err);
/* "https://user:secret@host/x.git?y" -> "https://host/x.git", "git@host:team/x.git" -> "ssh://host/team/x.git"; NULL for a local path. */
char *git_remote_without_secrets(const char *url);
