#include "release/lock.h"

#include <assert.h>
#include <sys/random.h>

#define LOOK_MS 250
#define SAVE_TRIES_MAX 50

/* A write or read of the head that failed on the way: worth another try within the time? */
static int read_head(struct run *run, char bytes[TARGET_HEAD_BYTES_MAX], size_t *len, char version[64], struct err *err) {
	const struct release_context *context = run->context;
	struct remote remote = remote_begin(run);
	int rc;
	do {
		rc = context->target->head_get(context->target_state, bytes, len, version, err);
	} while (rc != 0 && remote_again(&remote, err));
	return rc != 0 ? err_wrap(err, "reading the head") : 0;
}

int head_load(struct run *run, struct err *err) {
	char bytes[TARGET_HEAD_BYTES_MAX], version[64] = "";
	size_t len = 0;
	struct head head;
	if (read_head(run, bytes, &len, version, err) != 0 || head_parse(bytes, len, &head, err) != 0)
		return -1;
	run->head = head;
	memcpy(run->version, version, sizeof(run->version));
	if (!head.exists) {
		snprintf(run->head.service, sizeof(run->head.service), "%s", run->context->service);
		snprintf(run->head.env, sizeof(run->head.env), "%s", run->context->env);
	}
	return 0;
}

static int lost(struct run *run, const struct head *head, struct err *err) {
	run->is_holding = false;
	err_clear(err);
	if (head->lock.fence)
		return err_set(err, ERR_LOCKED, "the lock was taken by %s (%s, fence %lld)", head->lock.holder, head->lock.verb,
			(long long) head->lock.fence);
	return err_set(err, ERR_LOCKED, "the lock was taken by another, who has finished meanwhile");
}

/* After a write whose end is not known, or that lost: what is there now? 1: our bytes; 0: write again; -1: error. */
static int resolve(struct run *run, const char *bytes, size_t len, struct err *err) {
	char there[TARGET_HEAD_BYTES_MAX], version[64] = "";
	size_t there_len = 0;
	struct head head;
	enum err_code why = err->code;
	err_clear(err);
	if (read_head(run, there, &there_len, version, err) != 0)
		return -1;
	bool is_ours = there_len == len && memcmp(there, bytes, len) == 0;
	bool is_unchanged = strcmp(version, run->version) == 0;
	memcpy(run->version, version, sizeof(run->version));
	if (is_ours)
		return 1;
	if (is_unchanged)
		return 0;
	if (head_parse(there, there_len, &head, err) != 0)
		return -1;
	if (run->is_holding && strcmp(head.lock.token, run->token) != 0)
		return lost(run, &head, err);
	if (!run->is_holding) {
		run->head = head;
		return err_set(err, ERR_CONFLICT, "the head was changed by another meanwhile%s",
			why == ERR_CONFLICT ? "" : " (after a lost answer)");
	}
	memcpy(run->head.frozen, head.frozen, sizeof(head.frozen));
	run->head.generation = head.generation;
	return 0;
}

/* After these the write may have happened, or another's: only reading tells. */
static bool is_unclear(enum err_code code) {
	return code == ERR_CONFLICT || code == ERR_UNCLEAR || code == ERR_NETWORK || code == ERR_TIMEOUT;
}

static int save(struct run *run, struct err *err) {
	const struct release_context *context = run->context;
	struct remote remote = remote_begin(run);
	for (int tries = 0; tries < SAVE_TRIES_MAX; tries++) {
		char bytes[TARGET_HEAD_BYTES_MAX], version[64] = "";
		size_t len;
		struct head next = run->head;
		next.exists = true;
		next.generation++;
		if (next.lock.fence && !run->is_guest)
			next.lock.renew++;
		if (head_write(&next, bytes, &len, err) != 0)
			return -1;
		int64_t sent_ms = run_now(run);
		int rc = context->target->head_put(context->target_state, bytes, len, run->version, version, err);
		if (rc == 0) {
			memcpy(run->version, version, sizeof(run->version));
		} else {
			struct err first = *err;
			int found = is_unclear(err->code) ? resolve(run, bytes, len, err) : 0;
			if (found < 0)
				return err_wrap(err, "writing the head");
			if (found == 0) { /* nothing of ours is there; a lost swap is tried again like a lost call */
				*err = first;
				if (first.code == ERR_CONFLICT)
					err->code = ERR_NETWORK;
				if (!remote_again(&remote, err))
					return err_wrap(err, "writing the head");
				continue;
			}
		}
		run->head = next;
		run->renewed_ms = sent_ms;
		return 0;
	}
	return err_set(err, ERR_CONFLICT, "the head changed under %d writes in a row", SAVE_TRIES_MAX);
}

int head_save(struct run *run, struct err *err) {
	bool was_saving = run->is_saving;
	run->is_saving = true; /* a wait in here must not renew: that is a save */
	int rc = save(run, err);
	run->is_saving = was_saving;
	return rc;
}

static void make_token(char out[HEAD_TOKEN_MAX]) {
	unsigned char random[8] = {0};
	ssize_t got = getrandom(random, sizeof(random), 0);
	assert(got == (ssize_t) sizeof(random)); /* reads this small are whole once the pool is up, long before a user's program runs */
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(out + 2 * i, 3, "%02x", random[i]);
}

static int write_lock(struct run *run, const struct lock_wish *wish, struct err *err) {
	struct head_lock *lock = &run->head.lock;
	*lock = (struct head_lock){.renew = 0, .ttl_s = LEASE_TTL_S, .fence = run->head.generation + 1, .to = wish->to};
	head_text(lock->holder, sizeof(lock->holder), run->context->actor ? run->context->actor : "somebody");
	snprintf(lock->verb, sizeof(lock->verb), "%s", wish->verb);
	memcpy(lock->token, run->token, sizeof(lock->token));
	if (head_save(run, err) != 0)
		return -1;
	run->is_holding = true;
	return 0;
}

struct lock_watch { /* what an observer saw of somebody else's lock */
	char token[HEAD_TOKEN_MAX];
	int64_t renew, since_ms;
	int renewals;
};

static bool may_take(const struct run *run, const struct lock_wish *wish, const struct lock_watch *watch) {
	const struct head_lock *lock = &run->head.lock;
	if (!lock->fence || run_now(run) - watch->since_ms >= lock->ttl_s * 1000)
		return true;
	const struct release_context *context = run->context;
	if (context->target->is_gone && context->target->is_gone(context->target_state, lock->token))
		return true;
	/* Where both stand side by side a promotion ends in a moment. A roll takes minutes, and can be turned round in the middle of it. */
	bool is_serving = run->head.candidate.phase >= (context->target->caps & TARGET_ROLLING ? PHASE_SMOKE : PHASE_PROMOTE);
	return wish->is_preempting && strcmp(lock->verb, "deploy") == 0 && !is_serving;
}

static void look(const struct run *run, struct lock_watch *watch) {
	const struct head_lock *lock = &run->head.lock;
	if (strcmp(watch->token, lock->token) == 0 && watch->renew == lock->renew)
		return;
	bool is_renewal = strcmp(watch->token, lock->token) == 0;
	memcpy(watch->token, lock->token, sizeof(watch->token));
	watch->renew = lock->renew;
	watch->since_ms = run_now(run);
	watch->renewals += is_renewal;
}

int lock_take(struct run *run, const struct lock_wish *wish, struct err *err) {
	struct lock_watch watch = {0};
	int64_t until = run_now(run) + wish->wait_ms;
	bool is_told = false;
	make_token(run->token);
	if (run->context->target->hold)
		best_effort(run->context->target->hold(
			run->context->target_state, run->token, &(struct err){0})); /* then the lease ends by its renewals */
	for (;;) {
		if (head_load(run, err) != 0)
			return -1;
		if (strcmp(run->head.lock.token, run->token) == 0) { /* an earlier try had got through */
			run->is_holding = true;
			run->renewed_ms = run_now(run);
			return 0;
		}
		look(run, &watch);
		if (may_take(run, wish, &watch)) {
			if (run->head.lock.fence)
				run_tell(run, "lock", "taken over from %s", run->head.lock.holder);
			if (write_lock(run, wish, err) == 0)
				return 0;
			if (err->code != ERR_CONFLICT)
				return -1;
			err_clear(err);
			continue;
		}
		const struct head_lock *lock = &run->head.lock;
		bool is_same = wish->to && lock->to == wish->to;
		if (watch.renewals > 0 && !is_same && run_now(run) >= until) {
			err_set(err, ERR_LOCKED, "locked by %s (%s), who is at work", lock->holder, lock->verb);
			return err_fix(err, "--lock-wait=15m   (waits for it)");
		}
		if (!is_told)
			run_tell(run, "lock", "held by %s (%s), waiting", lock->holder, lock->verb);
		is_told = true;
		if (run_signal(run))
			return err_set(err, ERR_INTERRUPTED, "interrupted while waiting for the lock of %s", lock->holder);
		if (run_wait(run, LOOK_MS, err) != 0)
			return -1;
	}
}

int lock_keep(struct run *run, struct err *err) {
	int64_t age = run_now(run) - run->renewed_ms;
	if (age < LEASE_RENEW_MS)
		return 0;
	struct err renewing = {0};
	if (head_save(run, &renewing) == 0)
		return 0;
	if (renewing.code != ERR_LOCKED && run_now(run) - run->renewed_ms < LEASE_STOP_MS)
		return 0; /* not yet: the next look tries again */
	*err = renewing;
	return -1;
}

int lock_free(struct run *run, struct err *err) {
	if (!run->is_holding)
		return 0;
	run->head.lock = (struct head_lock){0};
	if (head_save(run, err) != 0)
		return err_wrap(err, "freeing the lock (it ends by itself within %d s)", LEASE_TTL_S);
	run->is_holding = false;
	return 0;
}

#define RAISES_MAX 40
#define RAISE_FIRST 1000

bool lock_raise(struct run *run, struct err *err) {
	if (err->code != ERR_LOCKED || !run->is_holding || run->raises >= RAISES_MAX)
		return false;
	struct err lost = {0};
	struct head before = run->head;
	run->raises++;
	run->head.generation = run->head.generation * 2 + RAISE_FIRST;
	run->head.lock.fence = run->head.generation + 1;
	if (head_save(run, &lost) != 0) {
		run->head = before;
		*err = lost;
		return false;
	}
	err_clear(err);
	return true;
}
