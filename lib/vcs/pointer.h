/* Files that stand for other files: git-LFS pointers and DVC's .dvc files. A model that was never fetched is found here, before anything
 * tries to load 130 bytes of text as a model, and the error holds the command that fetches it. Reads files, changes none. */
#pragma once

#include "base/str.h"

#include <stdint.h>

#define POINTER_BYTES_MAX 1024 /* git-lfs' specification: a pointer is smaller than this */

struct lfs_pointer {
	char oid[65]; /* SHA-256 of the content, hex */
	int64_t size;
};
/* Is this text a git-LFS pointer (specification v1)? Strict in what decides: the version line first, then oid and size. */
bool pointer_parse_lfs(struct str text, struct lfs_pointer *out);

/* 0 when `folder`/`path` is the file itself, or is missing and nobody stands for it (the caller then says that it is missing).
 * ERR_INVALID with the command to type when it is an LFS pointer, or missing while a .dvc file, dvc.lock or DVC folder names it. */
int pointer_check(const char *folder, const char *path, struct err *err);

/* The .dvc file that tracks `path` (itself, or a folder above it): its path relative to `folder`, owned by the caller; NULL: none.
 * md5 (33 bytes) is the content's, or empty when it is a folder's or unknown. */
char *pointer_dvc_of(const char *folder, const char *path, char md5[33]);
