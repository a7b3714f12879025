/* The supervisor's own tables: what is wanted per revision, what runs. Only for the files of this room. */
#pragma once

#include "supervise/supervisor.h"

#include <sys/types.h>

#define NAME_MAX_BYTES 64
#define PATH_MAX_BYTES 1024

enum role { ROLE_FRONT, ROLE_SIDE };
enum process_state { PROCESS_RUNNING, PROCESS_DRAINING, PROCESS_WAITING /* for its restart */ };

struct wanted { /* one revision */
	char name[NAME_MAX_BYTES];
	char image[80];
	char rootfs[PATH_MAX_BYTES], program[PATH_MAX_BYTES], model[PATH_MAX_BYTES];
	char model_name[NAME_MAX_BYTES], release[NAME_MAX_BYTES];
	char model_created[NAME_MAX_BYTES]; /* "": not known */
	int64_t timeout_ms, memory_bytes;
	int64_t count[2]; /* by role */
	int side_fd;      /* listening unix socket, -1: none yet */
};

struct process {
	bool is_used;
	char name[NAME_MAX_BYTES]; /* "v-0a1b2c3d4e5f-2": the number is never used again */
	char revision[NAME_MAX_BYTES];
	enum role role;
	enum process_state state;
	pid_t pid;
	int out_fd; /* reading end of its stdout and stderr */
	int restarts;
	int64_t started_ms, since_s, next_ms, kill_ms;
	char reason[256]; /* of the last end: "exit 4: model.onnx: ..." */
	char last_line[200];
};

struct supervisor {
	const char *folder;
	int folder_fd, lock_fd, control_fd, front_fd, signal_fd, poll_fd;
	const struct env *env;
	const struct clock *clock;
	char address[64];
	int64_t port, fence, serial;
	struct wanted wanted[SUPERVISOR_REVISIONS_MAX];
	size_t wanted_count;
	struct process processes[SUPERVISOR_REPLICAS_MAX];
	bool is_stopping;
	char digest[80]; /* of the running binary */
};

struct wanted *wanted_find(struct supervisor *s, const char *name);
/* desired.json, and back. */
int desired_save(const struct supervisor *s, struct err *err);
int desired_load(struct supervisor *s, struct err *err);
int wanted_read(const struct value *v, struct wanted *out, struct err *err);
void wanted_write(struct document *document, struct value *into, const struct wanted *wanted);

/* Brings what runs to what is wanted: starts, drains, restarts that are due. Returns the mono time when it wants to be called again. */
int64_t processes_reconcile(struct supervisor *s);
void processes_reap(struct supervisor *s);
void processes_read(struct supervisor *s, struct process *process);
size_t processes_running(const struct supervisor *s);
void event_note(struct supervisor *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One request line to one answer line. */
void control_answer(struct supervisor *s, struct str line, struct buf *out, bool *is_upgrading, char program[PATH_MAX_BYTES]);
int front_listen(struct supervisor *s, const char *address, int64_t port, int64_t tries, struct err *err);
int side_listen(struct supervisor *s, struct wanted *wanted, struct err *err);
/* A unix stream socket bound or connected at folder/name, however long the folder's path is. */
int socket_at(int folder_fd, const char *name, bool is_listening, int *fd, struct err *err);
