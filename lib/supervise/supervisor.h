/* One process per service on this machine: it owns the listening socket and hands it down, so that old and new replicas accept on the same
 * socket and no connection is ever in a closed queue. It outlives the terminal, restarts what crashes with back-off, writes the replicas'
 * logs, and survives its own upgrade by exec. It decides nothing: it keeps what it was last told to, also after its own restart.
 *
 * Everything is in one state folder (0700):
 *   supervisor.lock   held while one runs           supervisor.sock   one JSON line in, one JSON line out
 *   desired.json      what it was told              log/NAME.log(.1)  what replicas said, at most 8 MiB each
 *   events.log        starts, crashes, restarts     run/NAME.sock     the replicas' control listeners (0700 folder, so no key)
 *   supervisor        the binary it runs from, a copy: replacing mlctl on disk does not pull the rug */
#pragma once

#include "base/clock.h"
#include "data/value.h"
#include "data/digest.h"
#include "os/fs.h"

#define SUPERVISOR_REPLICAS_MAX 64
#define SUPERVISOR_REVISIONS_MAX 8

/* The supervisor itself: returns when it was told to stop. resume_fd: a memfd that the version before left, or -1. */
int supervisor_run(const char *folder, int resume_fd, const struct env *env, const struct clock *clock, struct err *err);

/* Makes sure that one runs for this folder, of this binary: starts it (a systemd unit where there is systemd, else double-forked), or tells a running
 * older one to become this binary. Waits until it answers, at most 20 s. */
int supervisor_ensure(const char *folder, const char *service, const char *environment, const char *program, const struct env *env,
	const struct clock *clock, struct err *err);
/* Would "listen" have to take another port? */
bool port_is_taken(const char *address, int64_t port);
/* After "stop": the systemd unit goes, where there was one. */
int supervisor_forget(const char *service, const char *environment, const struct env *env, struct err *err);

/* One request and its answer; both are objects. An answer {"error": TEXT, "kind": "fence"|...} becomes an error: ERR_LOCKED for "fence", ERR_CONFLICT
 * for "conflict", ERR_NOT_FOUND when none runs. `answer` may be NULL.
 *
 *   {"op":"info"}                                              -> {pid, digest, front, port, fence, revisions:[...]}
 *   {"op":"listen","fence":F,"address":A,"port":P}             -> {port}: binds the front door, P or one of the next 20; once
 *   {"op":"set","fence":F,"revision":{name, image, rootfs, program, model, model_name, model_created, release, timeout_ms, ...},"front":N,"side":M}
 *                                                              -> {}: so many replicas on the front door, so many on the revision's own socket
 *   {"op":"remove","fence":F,"revision":NAME}                  -> {}: its replicas drain and end
 *   {"op":"stop","fence":F}                                    -> {}: all drain and end, then the supervisor
 * "revisions" of info: {name, side_socket, replicas:[{name, pid, role, state, restarts, since_s, reason, admin}]} */
int supervisor_call(const char *folder, const struct value *request, struct document **answer, struct err *err);
/* The request "info". */
int supervisor_info(const char *folder, struct document **answer, struct err *err);
