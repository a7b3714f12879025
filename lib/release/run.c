#include "release/run.h"

#include "release/lock.h"

#include "net/http.h"

#include <errno.h>
#include <stdarg.h>

#define PAUSE_MS_FIRST 100
#define PAUSE_MS_MAX 2000
#define AUTH_TRIES_MAX 2

void subject_clear(struct subject *subject) {
	document_free(subject->document);
	*subject = (struct subject){0};
}

void run_init(struct run *run, const struct release_context *context, const struct engine_row *table) {
	*run = (struct run){.context = context, .table = table, .ready_timeout_ms = READY_TIMEOUT_MS};
	run->started_ms = run_now(run);
}

void run_clear(struct run *run) {
	if (run->context->http)
		run->context->http->deadline_ms = 0;
	subject_clear(&run->subject);
	gate_clear(&run->gate);
	texts_clear(&run->journal);
	free(run->record);
	free(run->evidence);
}

void run_emit(struct run *run, struct release_event *event) {
	event->elapsed_ms = run_now(run) - run->started_ms;
	if (!event->release)
		event->release = run->subject.entry.n;
	if (run->journal.count < JOURNAL_MAX) {
		char wall[CLOCK_TEXT_MAX];
		AUTO_FREE char *line = mem_format("%s +%lld ms %s: %s", clock_text(clock_wall_s(run->context->clock), wall),
			(long long) event->elapsed_ms, event->kind, event->text);
		texts_add(&run->journal, line);
	}
	log_debug(run->context->log, "release %lld: %s: %s", (long long) event->release, event->kind, event->text);
	if (run->context->event)
		run->context->event(run->context->event_self, event);
}

void run_tell(struct run *run, const char *kind, const char *format, ...) {
	char text[600];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	run_emit(run, &(struct release_event){.kind = kind, .text = text});
}

void run_cause(struct run *run, const struct err *err) {
	if (run->cause[0] || err->code == ERR_NONE)
		return;
	snprintf(run->cause, sizeof(run->cause), "%.*s", (int) sizeof(run->cause) - 1, err->message);
	snprintf(run->fix, sizeof(run->fix), "%s", err->fix);
}

/* One step of waiting, to `until` at most. */
static int step(struct run *run, int64_t until, struct err *err) {
	const struct release_context *context = run->context;
	if (!context->http) {
		context->clock->sleep_ms(context->clock->self, until - run_now(run));
		return 0;
	}
	struct http_event event = {0};
	if (http_step(context->http, until, &event, err) != 0)
		return -1;
	if (event.what == HTTP_DONE)
		http_answer_clear(&event.answer);
	if (event.what == HTTP_SIGNAL && context->interrupted && !*context->interrupted)
		*context->interrupted = event.signal;
	if (event.what == HTTP_IDLE)
		context->clock->sleep_ms(context->clock->self, until - run_now(run));
	return 0;
}

int run_wait(struct run *run, int64_t ms, struct err *err) {
	int64_t until = run_now(run) + ms;
	bool is_renewing = run->is_holding && !run->is_saving;
	while (run_now(run) < until) {
		if (run_signal(run) && !run->is_undoing && !run->is_parking)
			return 0;
		int64_t next = until;
		if (is_renewing && run->renewed_ms + LEASE_RENEW_MS < next)
			next = run->renewed_ms + LEASE_RENEW_MS;
		if (next > run_now(run) && step(run, next, err) != 0)
			return -1;
		if (is_renewing && lock_keep(run, err) != 0)
			return -1;
	}
	return 0;
}

/* Going back, by itself or because somebody said so, does not give up as long as there is hope. */
static bool is_stubborn(const struct run *run) {
	return run->is_undoing || run->subject.again;
}

void run_park(struct run *run) {
	if (!run->is_parking)
		run->park_until_ms = run_now(run) + PARK_MS;
	run->is_parking = true;
	if (run->context->http) /* a server that hangs must not keep us either */
		run->context->http->deadline_ms = run->park_until_ms;
}

void run_look(struct run *run) {
	run->is_looking = true;
	if (run->context->http)
		run->context->http->deadline_ms = run_now(run) + LOOK_WHOLE_MS;
}

struct remote remote_begin(struct run *run) {
	int64_t until_ms = run_now(run) + (is_stubborn(run) ? UNDO_RETRY_MS : run->is_looking ? LOOK_RETRY_MS : FORWARD_RETRY_MS);
	return (struct remote){.run = run, .until_ms = run->is_parking ? run->park_until_ms : until_ms, .pause_ms = PAUSE_MS_FIRST};
}

bool run_is_locked_out(const struct err *err) {
	return err->code == ERR_AUTH && err->sys == EKEYEXPIRED;
}

bool run_is_anothers(const struct err *err) {
	return err->code == ERR_CONFLICT && err->sys == EPERM;
}

static bool is_worth_another(const struct remote *remote, const struct err *err) {
	switch (err->code) {
	case ERR_NETWORK:
	case ERR_TIMEOUT:
	case ERR_UNCLEAR:
		return true;
	case ERR_AUTH: /* in the middle of a change a credential that went is waited for: somebody may be about to write a new one */
		if (run_is_locked_out(err) && remote->run->is_holding)
			return true;
		/* a token that expired was dropped on the way; the next try signs anew */
		return remote->tries < AUTH_TRIES_MAX || is_stubborn(remote->run);
	case ERR_CONFLICT:
		return !run_is_anothers(err) && is_stubborn(remote->run);
	case ERR_LOCKED:
	case ERR_INVALID:
	case ERR_NOT_FOUND:
		return false;
	default:
		return is_stubborn(remote->run);
	}
}

bool remote_again(struct remote *remote, struct err *err) {
	struct run *run = remote->run;
	remote->tries++;
	if (err->code == ERR_INTERRUPTED) {
		if (run->context->interrupted && !*run->context->interrupted)
			*run->context->interrupted = 2;
		if (!run->is_undoing && !run->is_parking)
			return false;
	} else if (!is_worth_another(remote, err)) {
		return false;
	}
	if (run_now(run) + remote->pause_ms > remote->until_ms)
		return false;
	if (run_is_locked_out(err) && run->is_holding && !run->is_told_locked_out) {
		run->is_told_locked_out = true;
		run_tell(run, "waiting", "for a new credential: %s", err->message);
	}
	struct err waiting = {0};
	if (run_wait(run, remote->pause_ms, &waiting) != 0 && waiting.code == ERR_LOCKED) {
		*err = waiting;
		return false;
	}
	if (run_signal(run) && !run->is_undoing && !run->is_parking)
		return false;
	remote->pause_ms = remote->pause_ms * 2 > PAUSE_MS_MAX ? PAUSE_MS_MAX : remote->pause_ms * 2;
	err_clear(err);
	return true;
}
