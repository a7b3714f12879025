/* The head: what a target knows about its service, one JSON text of at most TARGET_HEAD_BYTES_MAX, changed only by compare-and-swap.
 * This file knows its wire form and nothing of where it lives; lock.c reads and writes it.
 *
 * A head of a newer schema is refused and never rewritten. */
#pragma once

#include "release/release.h"

#define HEAD_REFUSED_MAX 32
#define HEAD_HISTORY_MAX 64
#define HEAD_DEBTS_MAX 4
#define HEAD_TOKEN_MAX 17

enum phase {
	PHASE_NONE,
	PHASE_PREPARE,
	PHASE_LOCKED,
	PHASE_CANARY_APPLY,
	PHASE_BAKE,
	PHASE_PROMOTE,
	PHASE_SMOKE,
	PHASE_COMMIT,
	PHASE_ROLLBACK,
	PHASE_DESTROY,
	PHASE_END,
};
const char *phase_name(enum phase phase);

struct head_entry { /* a release as the head names it; n 0: none */
	int64_t n;
	struct digest release, image, settings;
	int64_t since_s;
	char commit[64], actor[128];
};
void head_entry_revision(const struct head_entry *entry, struct revision *out);
bool head_entry_is(const struct head_entry *entry, const struct revision *revision);

struct head_candidate {
	struct head_entry is;
	enum phase phase;
	double weight;
	int64_t again; /* the release that this one repeats; 0: a deploy */
	bool is_interrupted;
	bool is_judged_bad; /* what plan_judged() says goes onto the refused list when it is undone */
	bool is_undecided;
	bool has_rolled; /* a roll to it was begun: whatever is not asked for its revision may be its own, too */
};

struct head_lock { /* fence 0: free */
	char holder[128], token[HEAD_TOKEN_MAX], verb[16];
	int64_t renew, ttl_s, fence;
	int64_t to; /* a rollback's goal */
};

struct head {
	bool exists;
	char service[64], env[40];
	int64_t generation, next;	  /* next: the number that the next release gets */
	struct head_entry good, previous; /* previous: where a rollback goes */
	int64_t live;
	struct head_candidate candidate;
	struct head_entry debts[HEAD_DEBTS_MAX]; /* revisions without traffic that are still to be retired; n as released */
	size_t debt_count;
	struct digest refused[HEAD_REFUSED_MAX];
	size_t refused_count;
	struct {
		int64_t n;
		char state;
	} history[HEAD_HISTORY_MAX]; /* oldest first; 'g' good, 'r' rolled back, 'f' failed, 'u' undecided, 'i' interrupted */
	size_t history_count;
	int64_t unpushed[8]; /* releases whose record the registry does not have yet */
	size_t unpushed_count;
	char frozen[256];
	struct head_lock lock;
};

/* ERR_CONFLICT for a newer schema, ERR_INVALID for what can't be read; both with advice. len 0: no head. */
int head_parse(const char *bytes, size_t len, struct head *out, struct err *err);
/* At most TARGET_HEAD_BYTES_MAX: the oldest history goes first when it is too much. */
int head_write(const struct head *head, char out[TARGET_HEAD_BYTES_MAX], size_t *len, struct err *err);
/* Copies text from outside so that it surely reads back: cut at a character's end, control bytes as spaces, what is not UTF-8 as '?'. */
void head_text(char *out, size_t size, const char *text);
void head_refuse(struct head *head, const struct digest *image);
void head_allow(struct head *head, const struct digest *image);
bool head_refuses(const struct head *head, const struct digest *image);
void head_note(struct head *head, int64_t n, char state);
char head_state(const struct head *head, int64_t n); /* 0: not known */
void head_owe(struct head *head, const struct head_entry *entry);
