/* One error value, owned by the caller, never NULL, no heap.
 *
 * A function that can fail takes `struct err *err` last and returns 0 or -1. The caller starts with {0}. Success leaves *err
 * alone; failure sets it once, where it happened; a level that knows more wraps it. The text is read by a person: lower case,
 * no full stop, it names the thing, the value and what would be right. A code exists only where somebody branches on it. */
#pragma once

#include <stdbool.h>

enum err_code {
	ERR_NONE = 0,
	ERR_FAILED,      /* any other reason                                        exit 1 */
	ERR_USAGE,       /* argv                                                    exit 2 */
	ERR_CONFIG,      /* mlctl.yaml                                              exit 2 */
	ERR_INVALID,     /* model, golden example or rendered object refused        exit 4 */
	ERR_AUTH,        /* credentials or permission                               exit 5 */
	ERR_BUILD,       /* the image could not be made                             exit 6 */
	ERR_REGISTRY,    /* the registry said no, or something impossible           exit 6 */
	ERR_LOCKED,      /* lock held by another, or our fence is gone              exit 7 */
	ERR_CONFLICT,    /* compare-and-swap lost, drift, refused digest, frozen    exit 12 */
	ERR_NOT_FOUND,   /* asked for something that is not there                   exit 1 */
	ERR_LIMIT,       /* a named maximum was passed                              exit 1 */
	ERR_NETWORK,     /* connection refused, reset, cut, name not resolved       exit 1, 6 when a registry */
	ERR_TIMEOUT,     /* a deadline passed                                       exit 11 in a rollout, else 1 */
	ERR_UNCLEAR,     /* what was asked for may have happened: read, try again   exit 1 */
	ERR_INTERRUPTED, /* SIGINT or SIGTERM                                       exit 130, 143 */
	ERR_NOSPACE,     /* disk full, or no inode                                  exit 1 */
};

#define ERR_MESSAGE_MAX 2048
#define ERR_FIX_MAX 512
#define ERR_AT_MAX 512

struct err {
	enum err_code code;
	int sys;                       /* errno where err_sys() set it; of ERR_AUTH EKEYEXPIRED: a new credential may mend it; of ERR_CONFLICT EPERM: it is another's, and no
					repeat mends it; of ERR_NOT_FOUND EOPNOTSUPP: there can be none of its kind here; of ERR_UNCLEAR ETIMEDOUT: no reply in time; else 0 */
	char message[ERR_MESSAGE_MAX]; /* what, which value, what would be right */
	char fix[ERR_FIX_MAX];         /* the line to type or to write; empty when there is none */
	char at[ERR_AT_MAX];           /* file:line:column, URL or object; empty when there is none */
};

/* Each returns -1, so that a failing function can `return err_set(...)`. err_set and err_sys assert that *err holds nothing yet:
 * a loop that tries again says err_clear() out loud. Control bytes in the formatted text are shown as \xNN. */
int err_set(struct err *err, enum err_code code, const char *format, ...) __attribute__((format(printf, 3, 4), nonnull(1)));
/* Appends ": " and the text of errno, which is read on the first line and nowhere else in the program. ENOSPC and EDQUOT become
 * ERR_NOSPACE, ENOENT ERR_NOT_FOUND, everything else ERR_FAILED. */
int err_sys(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3), nonnull(1)));
/* Prefixes "text: " to what is there. */
int err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3), nonnull(1)));
/* The remedy and the place; the first one that was set stays, since who set it was nearer. */
int err_fix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3), nonnull(1)));
int err_at(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3), nonnull(1)));
void err_clear(struct err *err);
/* The machine's word for a code: "usage", "registry", ... as in mlctl.error/1. */
const char *err_kind(enum err_code code);

/* For a call whose failure changes nothing here; say why beside it. */
#define best_effort(call) ((void) !(call))
