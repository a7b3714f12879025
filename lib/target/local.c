/* Target "local": replicas of the runner as processes on this machine, under the service's supervisor (supervise/). Everything of the service is in
 * $XDG_STATE_HOME/mlctl/SERVICE/ENV:
 *   head, head.lock       two slots        images/HEX/          an image's verified files        revisions/NAME.json   what stage() was given
 *   keep/rN.json          for rollbacks    lease-TOKEN          lease.h
 *   the supervisor's own files (supervise/supervisor.h)
 * A revision's "side" replicas accept on a socket of their own and get only what is handed on to them; its "front" replicas accept on the front door. */
#include "net/rest.h"
#include "oci/pull.h"
#include "supervise/reserve.h"
#include "supervise/supervisor.h"
#include "target/lease.h"
#include "target/prometheus.h"
#include "target/slots.h"
#include "target/tail.h"
#include "target/target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/statvfs.h>

#define REPLICAS_DEFAULT 2
#define PORT_DEFAULT 8080
#define ROOM_BYTES_MIN ((int64_t) 2 * 1024 * 1024) /* for records and logs; nothing of a deploy may use up what a rollback needs */
#define TEXT_BYTES_MAX ((size_t) 8 * 1024 * 1024)
#define STUCK_RESTARTS 3
#define STOP_TIMEOUT_MS 20000
#define FRONT_ADDRESS "127.0.0.1"
#define ADMIN_TIMEOUT_MS 3000

/* What a replica answers is the caller's to judge. */
static const int any_status[] = {400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 500, 501, 502, 503, 504, 0};

struct local {
	struct target_context context;
	char *folder;
	int folder_fd, lease_fd; /* lease_fd: flocked while this process may hold the service's lock */
	int64_t log_offsets[TARGET_REPLICAS_MAX]; /* where logs() --follow is, by file */
	char log_names[TARGET_REPLICAS_MAX][256];
	size_t log_count;
};

static int local_open(void *state, const struct target_context *context, struct err *err) {
	struct local *local = state;
	AUTO_FREE char *home = NULL;
	if (fs_home(context->environment, FS_STATE, &home, err) != 0)
		return -1;
	*local = (struct local) {.context = *context, .folder_fd = -1, .lease_fd = -1};
	local->folder = mem_format("%s/mlctl/%s/%s", home, context->service, context->env);
	return 0;
}

static const char *const rooms[] = {".", "images", "revisions", "keep"};

static void local_close(void *state) {
	struct local *local = state;
	for (size_t i = 0; local->lease_fd >= 0 && i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		AUTO_FREE char *path = fs_join(local->folder, rooms[i]);
		fs_sweep(path, NULL);
	}
	if (local->folder_fd >= 0)
		close(local->folder_fd);
	lease_end(local->folder, &local->lease_fd);
	free(local->folder);
	*local = (struct local) {.folder_fd = -1, .lease_fd = -1};
}

static int folder_make(struct local *local, struct err *err) {
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		AUTO_FREE char *path = fs_join(local->folder, rooms[i]);
		if (fs_make_dirs(path, 0700, err) != 0)
			return -1;
	}
	return 0;
}

/* The supervisor's answer to "info"; *out NULL when none runs. */
static int ask_info(struct local *local, struct document **out, struct err *err) {
	struct err asking = {0};
	*out = NULL;
	if (supervisor_info(local->folder, out, &asking) == 0 || asking.code == ERR_NOT_FOUND)
		return 0;
	*err = asking;
	return -1;
}

static bool text_is(const struct value *object, const char *key, const char *text) {
	const struct value *v = value_get(object, key);
	return v && v->kind == VALUE_STRING && str_is(v->text, text);
}

static int64_t number_of(const struct value *object, const char *key) {
	const struct value *v = value_get(object, key);
	int64_t number = 0;
	if (v && v->kind == VALUE_NUMBER && num_int(v->text, INT64_MIN, INT64_MAX, &number) != 0)
		return 0;
	return number;
}

static const struct value *info_revision(const struct document *info, const char *name) {
	value_each(revision, info ? value_get(info->root, "revisions") : NULL)
		if (text_is(revision, "name", name))
			return revision;
	return NULL;
}

/* socket NULL: by TCP. is_hop: the replica that takes it answers it itself. */
static int http_call(struct local *local, const char *socket, const char *url, bool is_hop, const struct target_request *request, struct http_answer *answer,
	struct err *err) {
	const struct http_header hop = {.name = "Mlctl-Hop", .value = "1"};
	struct rest rest = {.http = local->context.http, .redact = local->context.redact, .tries_max = 1};
	struct rest_call call = {.method = request->method,
		.url = url,
		.headers = &hop,
		.header_count = is_hop,
		.body = str_of(request->body ? request->body : ""),
		.content_type = request->body ? "application/json" : NULL,
		.unix_socket = socket,
		.answer_bytes_max = TEXT_BYTES_MAX,
		.expect = any_status,
		.timeout_ms = request->timeout_ms};
	return rest_call(&rest, &call, answer, err);
}

/* To a socket in run/: NAME.sock is a replica's control listener, REVISION.front what its side replicas accept on. The path goes through our own
 * descriptor: a socket's path is at most 108 bytes long. */
static int socket_call(struct local *local, const char *file, const struct target_request *request, struct http_answer *answer, struct err *err) {
	if (local->folder_fd < 0 && fs_open(local->folder, O_RDONLY | O_DIRECTORY, 0, &local->folder_fd, err) != 0)
		return -1;
	AUTO_FREE char *socket = mem_format("/proc/self/fd/%d/run/%s", local->folder_fd, file);
	AUTO_FREE char *url = mem_format("http://localhost%s", request->path);
	return http_call(local, socket, url, false, request, answer, err);
}

static int replica_call(struct local *local, struct str name, const char *method, const char *path, const char *body, int64_t timeout_ms,
	struct http_answer *answer, struct err *err) {
	AUTO_FREE char *file = mem_format("%.*s.sock", STR_ARGS(name));
	return socket_call(local, file, &(struct target_request) {.method = method, .path = path, .body = body, .timeout_ms = timeout_ms}, answer, err);
}

static int check_port(struct local *local, struct texts *facts, struct err *err) {
	AUTO_DOCUMENT struct document *info = NULL;
	if (ask_info(local, &info, err) != 0)
		return -1;
	int64_t port = info ? number_of(info->root, "port") : 0, wish = 0;
	if (!port && value_opt_int(local->context.settings, "serve.port", PORT_DEFAULT, &wish, err) != 0)
		return -1;
	AUTO_FREE char *fact = port ? mem_format("serving on port %lld", (long long) port)
		: port_is_taken(FRONT_ADDRESS, wish) ? mem_format("first release here, port %lld is taken: the next free one", (long long) wish)
		: mem_text("first release here");
	texts_add(facts, fact);
	return 0;
}

static int local_check(void *state, const struct store *store, struct texts *facts, struct err *err) {
	struct local *local = state;
	(void) store;
	if (folder_make(local, err) != 0 || check_port(local, facts, err) != 0)
		return -1;
	bool has_reserve = reserve_make(local->folder);
	struct statvfs disk;
	if (statvfs(local->folder, &disk) != 0)
		return err_sys(err, "%s", local->folder);
	char human[NUM_HUMAN_MAX];
	int64_t free_bytes = (int64_t) disk.f_bavail * (int64_t) disk.f_frsize;
	num_human_bytes(free_bytes, human);
	if (!has_reserve || free_bytes < ROOM_BYTES_MIN) {
		err_set(err, ERR_NOSPACE, "no room for a deploy in %s: %s free", local->folder, human);
		return err_fix(err, "df -h %s; %d MiB is the least, and the image's size comes on top", local->folder, (int) (ROOM_BYTES_MIN >> 20));
	}
	AUTO_FREE char *fact = mem_format("%s free", human);
	texts_add(facts, fact);
	return 0;
}

static int local_render(void *state, const struct revision *revision, const struct value *facts, struct document *document, struct value **objects,
	struct err *err) {
	struct local *local = state;
	const struct value *created = facts ? value_find(facts, "model.created") : NULL;
	const struct value *settings = local->context.settings;
	struct str timeout, memory, model;
	int64_t port, replicas, timeout_ms = 30000, memory_bytes = 0;
	if (value_opt_int(settings, "serve.port", PORT_DEFAULT, &port, err) != 0 ||
		value_opt_int(settings, "scale.min", REPLICAS_DEFAULT, &replicas, err) != 0 ||
		value_opt_str(settings, "serve.timeout", STR("30s"), &timeout, err) != 0 ||
		value_opt_str(settings, "resources.memory", STR("0"), &memory, err) != 0 ||
		value_opt_str(settings, "model.name", str_of(local->context.service), &model, err) != 0)
		return -1;
	if (num_duration_ms(timeout, &timeout_ms) != 0 || num_bytes(memory, &memory_bytes) != 0)
		return err_set(err, ERR_CONFIG, "serve.timeout %.*s or resources.memory %.*s: cannot be read", STR_ARGS(timeout), STR_ARGS(memory));
	struct value *root = value_root_object(document);
	value_add_text(document, root, "kind", "local/1");
	value_add_text(document, root, "image", revision->image.text);
	value_add_text(document, root, "address", FRONT_ADDRESS);
	value_add_int(document, root, "port", port);
	value_add_int(document, root, "replicas", replicas > 0 ? replicas : 1);
	value_add_int(document, root, "timeout_ms", timeout_ms);
	value_add_int(document, root, "memory_bytes", memory_bytes);
	value_add_str(document, root, "model_name", model);
	if (created && created->kind == VALUE_STRING && created->text.len)
		value_add_str(document, root, "model_created", created->text);
	*objects = root;
	return 0;
}

/* A replica's own answer: ready, and which revision it is. A revision's name is made of the image's digest, so the right name is the right image. */
static void ask_replica(struct local *local, const struct revision *revision, struct replica *replica) {
	struct http_answer answer = {0};
	struct err err = {0};
	AUTO_DOCUMENT struct document *document = NULL;
	bool is_ready = false;
	struct str claimed = {0};
	if (replica_call(local, str_of(replica->name), "GET", "/admin/info", NULL, ADMIN_TIMEOUT_MS, &answer, &err) == 0 && answer.status == 200 &&
		json_read("/admin/info", (struct str) {answer.body, answer.body_len}, VALUE_LIMITS_CONFIG, &document, &err) == 0 &&
		value_opt_bool(document->root, "ready", false, &is_ready, &err) == 0 &&
		value_opt_str(document->root, "revision", STR(""), &claimed, &err) == 0 && str_is(claimed, revision->name)) {
		replica->serving = revision->image;
		replica->state = is_ready ? REPLICA_READY : REPLICA_STARTING;
	}
	http_answer_clear(&answer);
}

static void read_replica(struct local *local, const struct revision *revision, const struct value *from, struct replica *out) {
	*out = (struct replica) {.state = REPLICA_STARTING};
	struct str name = value_get(from, "name")->text, reason = value_get(from, "reason") ? value_get(from, "reason")->text : (struct str) {0};
	snprintf(out->name, sizeof(out->name), "%.*s", STR_ARGS(name));
	out->restarts = (int) number_of(from, "restarts");
	out->since_s = number_of(from, "since_s");
	if (out->restarts > 0)
		snprintf(out->reason, sizeof(out->reason), "%.*s", STR_ARGS(reason));
	if (text_is(from, "state", "running"))
		ask_replica(local, revision, out);
	if (out->state != REPLICA_READY && out->restarts > 0)
		out->state = out->restarts >= STUCK_RESTARTS || str_starts(reason, "exit 4:") ? REPLICA_STUCK : REPLICA_FAILING;
	if (out->state != REPLICA_STUCK)
		return;
	snprintf(out->cause, sizeof(out->cause), CAUSE_CRASH);
	snprintf(out->fix, sizeof(out->fix), "mlctl logs shows what it said; mlctl build tests the model before it leaves this machine");
}

/* The weight that the stable's replicas hand on to `revision`: the least of them. */
static double split_weight(struct local *local, const struct document *info, const char *revision) {
	double weight = -1;
	value_each(replica, value_get(info->root, "replicas")) {
		if (!text_is(replica, "role", "front") || !text_is(replica, "state", "running") || text_is(replica, "revision", revision))
			continue;
		struct http_answer answer = {0};
		struct err err = {0};
		AUTO_DOCUMENT struct document *split = NULL;
		struct str to = {0};
		double one = 0;
		if (replica_call(local, value_get(replica, "name")->text, "GET", "/admin/split", NULL, ADMIN_TIMEOUT_MS, &answer, &err) == 0 &&
			json_read("/admin/split", (struct str) {answer.body, answer.body_len}, VALUE_LIMITS_CONFIG, &split, &err) == 0 &&
			value_opt_str(split->root, "revision", STR(""), &to, &err) == 0 && str_is(to, revision) &&
			value_opt_double(split->root, "weight", 0, &one, &err) == 0)
			weight = weight < 0 || one < weight ? one : weight;
		else
			weight = 0;
		http_answer_clear(&answer);
	}
	return weight < 0 ? 0 : weight;
}

static int local_observe(void *state, const struct revision *revision, struct observed *out, struct err *err) {
	struct local *local = state;
	AUTO_DOCUMENT struct document *info = NULL;
	*out = (struct observed) {0};
	if (ask_info(local, &info, err) != 0)
		return -1;
	const struct value *wanted = info_revision(info, revision->name);
	if (!wanted)
		return 0;
	int64_t front = number_of(wanted, "front"), side = number_of(wanted, "side");
	out->exists = true;
	out->desired = front ? front : side;
	bool has_other_front = false;
	value_each(other, value_get(info->root, "revisions"))
		has_other_front |= other != wanted && number_of(other, "front") > 0;
	value_each(replica, value_get(info->root, "replicas")) {
		bool is_counted = text_is(replica, "revision", revision->name) && text_is(replica, "role", front ? "front" : "side");
		if (is_counted && !text_is(replica, "state", "draining") && out->count < TARGET_REPLICAS_MAX)
			read_replica(local, revision, replica, &out->replicas[out->count++]);
	}
	if (front)
		out->weight = has_other_front || side ? 50 : 100; /* until route() has taken away what helped on the way */
	else if (side)
		out->weight = split_weight(local, info, revision->name);
	return 0;
}

/* {"op":"set"} with the revision as the supervisor knows it, or as stage() makes it. */
static int set_counts(struct local *local, int64_t fence, const struct value *spec, int64_t front, int64_t side, struct err *err) {
	AUTO_DOCUMENT struct document *request = document_new("request");
	struct value *root = value_root_object(request);
	value_add_text(request, root, "op", "set");
	value_add_int(request, root, "fence", fence);
	value_add_copy(request, root, "revision", spec);
	value_add_int(request, root, "front", front);
	value_add_int(request, root, "side", side);
	return supervisor_call(local->folder, root, NULL, err);
}

/* NAME=value of the image's environment. */
static struct str config_env(const struct value *config, const char *name) {
	size_t n = strlen(name);
	value_each(item, value_find(config, "config.Env"))
		if (str_starts(item->text, name) && item->text.len > n && item->text.ptr[n] == '=')
			return (struct str) {item->text.ptr + n + 1, item->text.len - n - 1};
	return (struct str) {0};
}

static int image_spec(struct local *local, const struct revision *revision, const struct value *objects, const char *image_folder,
	struct document *document, struct value *spec, struct err *err) {
	AUTO_FREE char *config_path = fs_join(image_folder, "config.json");
	AUTO_FREE char *text = NULL;
	AUTO_DOCUMENT struct document *config = NULL;
	size_t len = 0;
	if (fs_read(config_path, MANIFEST_BYTES_MAX, &text, &len, err) != 0 ||
		json_read("image config", (struct str) {text, len}, VALUE_LIMITS_WIRE, &config, err) != 0)
		return -1;
	const struct value *entry = value_at(value_find(config->root, "config.Entrypoint"), 0);
	struct str model = config_env(config->root, "MLCTL_MODEL"), model_name;
	if (!entry || !str_is(entry->text, "/mlctl-runner") || !model.len) {
		err_set(err, ERR_INVALID, "image %.19s: was not built by mlctl (no /mlctl-runner, no MLCTL_MODEL)", revision->image.text);
		return err_fix(err, "target local runs images of mlctl build only");
	}
	if (value_opt_str(objects, "model_name", str_of(local->context.service), &model_name, err) != 0)
		return -1;
	AUTO_FREE char *rootfs = fs_join(image_folder, "rootfs");
	AUTO_FREE char *program = mem_format("%s/mlctl-runner", rootfs);
	AUTO_FREE char *model_path = mem_format("%s%.*s", rootfs, STR_ARGS(model));
	AUTO_FREE char *release = mem_format("r%lld", (long long) revision->release);
	value_add_text(document, spec, "name", revision->name);
	value_add_text(document, spec, "image", revision->image.text);
	value_add_text(document, spec, "rootfs", rootfs);
	value_add_text(document, spec, "program", program);
	value_add_text(document, spec, "model", model_path);
	value_add_str(document, spec, "model_name", model_name);
	const struct value *created = value_get(objects, "model_created");
	if (created)
		value_add_copy(document, spec, "model_created", created);
	value_add_text(document, spec, "release", release);
	value_add_int(document, spec, "timeout_ms", number_of(objects, "timeout_ms"));
	value_add_int(document, spec, "memory_bytes", number_of(objects, "memory_bytes"));
	return 0;
}

static char *image_path(const struct local *local, const struct digest *image) {
	return mem_format("%s/images/%s", local->folder, digest_hex(image));
}

static int objects_save(struct local *local, const struct revision *revision, const struct value *objects, struct err *err) {
	AUTO_FREE char *path = mem_format("%s/revisions/%s.json", local->folder, revision->name);
	AUTO_FREE char *text = NULL;
	if (json_write(objects, JSON_PRETTY, &text, err) != 0)
		return -1;
	if (fs_exists(path))
		return 0; /* its name comes from its content */
	return reserve_replace(local->folder, path, text, strlen(text), err);
}

static int objects_load(struct local *local, const char *name, struct document **out, struct err *err) {
	AUTO_FREE char *path = mem_format("%s/revisions/%s.json", local->folder, name);
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	if (fs_read(path, TEXT_BYTES_MAX, &text, &len, err) != 0)
		return -1;
	return json_read(path, (struct str) {text, len}, VALUE_LIMITS_CONFIG, out, err);
}

static int local_stage(void *state, int64_t fence, const struct revision *revision, const struct value *objects, int64_t replicas, struct store *store,
	struct err *err) {
	struct local *local = state;
	AUTO_FREE char *image = image_path(local, &revision->image);
	if (folder_make(local, err) != 0)
		return -1;
	if (!fs_exists(image)) {
		if (!store) {
			err_set(err, ERR_NOT_FOUND, "image %.19s is no longer on this machine and the registry cannot be reached", revision->image.text);
			return err_fix(err, "make the registry reachable, or roll back to a release whose image is here");
		}
		if (pull_image(store, &revision->image, image, err) != 0)
			return err_wrap(err, "fetching image %.19s into %s", revision->image.text, local->folder);
	}
	AUTO_DOCUMENT struct document *document = document_new("spec");
	AUTO_DOCUMENT struct document *info = NULL;
	struct value *spec = value_root_object(document);
	if (objects_save(local, revision, objects, err) != 0 || image_spec(local, revision, objects, image, document, spec, err) != 0 ||
		supervisor_ensure(local->folder, local->context.service, local->context.env, local->context.program, local->context.environment,
			local->context.clock, err) != 0 ||
		ask_info(local, &info, err) != 0)
		return -1;
	const struct value *there = info_revision(info, revision->name);
	int64_t front = there ? number_of(there, "front") : 0;
	int64_t wanted = replicas > 0 ? replicas : number_of(objects, "replicas");
	return set_counts(local, fence, spec, front, front ? 0 : wanted > 0 ? wanted : 1, err);
}

/* Tells every front replica of another revision what share to hand on. */
static int put_split(struct local *local, const struct document *info, const char *revision, double weight, int64_t ttl_s, struct err *err) {
	AUTO_FREE char *body = mem_format("{\"revision\":\"%s\",\"upstream\":\"unix:run/%s.front\",\"weight\":%.6g,\"ttl_s\":%lld}", revision, revision, weight,
		(long long) (ttl_s > 0 ? ttl_s : 1));
	value_each(replica, value_get(info->root, "replicas")) {
		if (!text_is(replica, "role", "front") || text_is(replica, "revision", revision) || !text_is(replica, "state", "running"))
			continue;
		struct http_answer answer = {0};
		struct str name = value_get(replica, "name")->text;
		int rc = replica_call(local, name, "PUT", "/admin/split", body, ADMIN_TIMEOUT_MS, &answer, err);
		int status = answer.status;
		http_answer_clear(&answer);
		if (rc == 0 && status / 100 != 2)
			rc = err_set(err, ERR_FAILED, "replica %.*s answered %d to a new weight", STR_ARGS(name), status);
		if (rc != 0)
			return err_wrap(err, "setting the weight of %s to %.6g %%", revision, weight);
	}
	return 0;
}

static int call_fenced(struct local *local, int64_t fence, const char *op, const char *key, const char *text, struct err *err) {
	AUTO_DOCUMENT struct document *request = document_new("request");
	struct value *root = value_root_object(request);
	value_add_text(request, root, "op", op);
	value_add_int(request, root, "fence", fence);
	if (key)
		value_add_text(request, root, key, text);
	return supervisor_call(local->folder, root, NULL, err);
}

static int open_front(struct local *local, int64_t fence, const struct value *objects, struct err *err) {
	AUTO_DOCUMENT struct document *request = document_new("request");
	struct value *root = value_root_object(request);
	struct str address;
	int64_t port;
	if (value_opt_str(objects, "address", STR(FRONT_ADDRESS), &address, err) != 0 || value_opt_int(objects, "port", PORT_DEFAULT, &port, err) != 0)
		return -1;
	value_add_text(request, root, "op", "listen");
	value_add_int(request, root, "fence", fence);
	value_add_str(request, root, "address", address);
	value_add_int(request, root, "port", port);
	return supervisor_call(local->folder, root, NULL, err);
}

/* Other revisions leave the front door only once every new replica is ready and serves the right image. */
static int take_front(struct local *local, int64_t fence, const struct revision *revision, struct err *err) {
	struct observed seen;
	AUTO_DOCUMENT struct document *info = NULL;
	if (local_observe(local, revision, &seen, err) != 0 || ask_info(local, &info, err) != 0)
		return -1;
	if (!info)
		return err_set(err, ERR_FAILED, "the supervisor is gone");
	size_t ready = 0;
	for (size_t i = 0; i < seen.count; i++)
		ready += seen.replicas[i].state == REPLICA_READY && digest_equal(&seen.replicas[i].serving, &revision->image);
	if ((int64_t) ready < seen.desired || seen.desired == 0)
		return 0; /* not yet: the engine asks again */
	value_each(other, value_get(info->root, "revisions"))
		if (!text_is(other, "name", revision->name) && number_of(other, "front") > 0 &&
			set_counts(local, fence, other, 0, number_of(other, "side"), err) != 0)
			return -1;
	const struct value *own = info_revision(info, revision->name);
	return own && number_of(own, "side") > 0 ? set_counts(local, fence, own, number_of(own, "front"), 0, err) : 0;
}

static int local_route(void *state, int64_t fence, const struct revision *stable, const struct revision *revision, const struct value *given,
	double weight, int64_t ttl_s, struct err *err) {
	struct local *local = state;
	AUTO_DOCUMENT struct document *info = NULL;
	AUTO_DOCUMENT struct document *objects = NULL;
	(void) stable;
	(void) given; /* stage() kept them */
	if (call_fenced(local, fence, "fence", NULL, NULL, err) != 0 || ask_info(local, &info, err) != 0)
		return -1;
	const struct value *spec = info_revision(info, revision->name);
	if (!spec)
		return weight > 0 ? err_set(err, ERR_NOT_FOUND, "revision %s is not staged", revision->name) : 0;
	if (weight < 100)
		return put_split(local, info, revision->name, weight, ttl_s, err);
	if (number_of(spec, "front") == 0) {
		struct err split = {0};
		best_effort(put_split(local, info, revision->name, 0, ttl_s, &split)); /* a replica that fails just now hands nothing on either */
		if (objects_load(local, revision->name, &objects, err) != 0 || open_front(local, fence, objects->root, err) != 0 ||
			set_counts(local, fence, spec, number_of(objects->root, "replicas"), number_of(spec, "side"), err) != 0)
			return -1;
	}
	return take_front(local, fence, revision, err);
}

static bool image_is_used(struct local *local, const struct digest *image, const char *but) {
	AUTO_FREE char *path = fs_join(local->folder, "revisions");
	DIR *folder = opendir(path);
	bool is_used = !folder;
	for (struct dirent *entry; !is_used && (entry = readdir(folder));) {
		struct str dot, name = str_cut(str_of(entry->d_name), '.', &dot);
		AUTO_FREE char *revision = str_dup(name);
		AUTO_DOCUMENT struct document *objects = NULL;
		struct err err = {0};
		if (name.len == 0 || strcmp(revision, but) == 0)
			continue;
		is_used = objects_load(local, revision, &objects, &err) != 0 || text_is(objects->root, "image", image->text);
	}
	if (folder)
		closedir(folder);
	return is_used;
}

/* An image that is there is whole: it leaves its place at once, and only then its files go. A removal that was cut short is ended by the next. */
static int image_remove(const char *image, struct err *err) {
	AUTO_FREE char *gone = mem_format("%s.removed", image);
	if (fs_remove_tree(gone, err) != 0)
		return -1;
	if (rename(image, gone) != 0)
		return errno == ENOENT ? 0 : err_sys(err, "removing %s", image);
	return fs_remove_tree(gone, err);
}

static int local_retire(void *state, int64_t fence, const struct revision *revision, bool is_kept, struct err *err) {
	struct local *local = state;
	AUTO_DOCUMENT struct document *info = NULL;
	if (ask_info(local, &info, err) != 0)
		return -1;
	const struct value *spec = info_revision(info, revision->name);
	if (spec && number_of(spec, "front") > 0)
		return err_set(err, ERR_CONFLICT, "revision %s still gets traffic", revision->name);
	if (spec && call_fenced(local, fence, "remove", "revision", revision->name, err) != 0)
		return -1;
	if (is_kept)
		return 0;
	AUTO_FREE char *objects = mem_format("%s/revisions/%s.json", local->folder, revision->name);
	AUTO_FREE char *image = image_path(local, &revision->image);
	if (unlink(objects) != 0 && errno != ENOENT)
		return err_sys(err, "removing %s", objects);
	return image_is_used(local, &revision->image, revision->name) ? 0 : image_remove(image, err);
}

static int local_destroy(void *state, int64_t fence, struct err *err) {
	struct local *local = state;
	struct err stopping = {0};
	if (call_fenced(local, fence, "stop", NULL, NULL, &stopping) != 0 && stopping.code != ERR_NOT_FOUND) {
		*err = stopping;
		return -1;
	}
	if (supervisor_forget(local->context.service, local->context.env, local->context.environment, err) != 0)
		return -1;
	AUTO_FREE char *lock_path = fs_join(local->folder, "supervisor.lock");
	int64_t until = clock_mono_ms(local->context.clock) + STOP_TIMEOUT_MS;
	for (AUTO_CLOSE int lock = -1; lock < 0 && fs_exists(lock_path);) { /* it holds the lock until the last replica ended */
		struct err locking = {0};
		if (fs_lock(lock_path, false, &lock, &locking) == 0)
			break;
		if (clock_mono_ms(local->context.clock) > until)
			return err_set(err, ERR_TIMEOUT, "replicas did not end within %d s", STOP_TIMEOUT_MS / 1000);
		local->context.clock->sleep_ms(local->context.clock->self, 20);
	}
	DIR *folder = opendir(local->folder);
	int rc = 0;
	for (struct dirent *entry; folder && rc == 0 && (entry = readdir(folder));) {
		if (entry->d_name[0] == '.' || strncmp(entry->d_name, "head", 4) == 0)
			continue;
		AUTO_FREE char *path = fs_join(local->folder, entry->d_name);
		rc = fs_remove_tree(path, err);
	}
	if (folder)
		closedir(folder);
	return rc != 0 ? -1 : fs_remove_tree(local->folder, err);
}

static int local_head_get(void *state, char bytes[TARGET_HEAD_BYTES_MAX], size_t *len, char version[64], struct err *err) {
	struct local *local = state;
	AUTO_FREE char *path = fs_join(local->folder, "head");
	return slots_get(path, bytes, TARGET_HEAD_BYTES_MAX, len, version, err);
}

static int local_head_put(void *state, const char *bytes, size_t len, const char *version, char new_version[64], struct err *err) {
	struct local *local = state;
	AUTO_FREE char *path = fs_join(local->folder, "head");
	return folder_make(local, err) == 0 ? slots_put(path, bytes, len, version, new_version, err) : -1;
}

static int local_hold(void *state, const char *token, struct err *err) {
	struct local *local = state;
	return folder_make(local, err) == 0 ? lease_hold(local->folder, token, &local->lease_fd, err) : -1;
}

static bool local_is_gone(void *state, const char *token) {
	const struct local *local = state;
	return lease_is_gone(local->folder, token);
}

static int local_keep_put(void *state, int64_t release, const char *text, struct err *err) {
	struct local *local = state;
	AUTO_FREE char *path = mem_format("%s/keep/r%lld.json", local->folder, (long long) release);
	if (text)
		return folder_make(local, err) == 0 ? reserve_replace(local->folder, path, text, strlen(text), err) : -1;
	return unlink(path) != 0 && errno != ENOENT ? err_sys(err, "%s", path) : 0;
}

static int local_keep_get(void *state, int64_t release, char **text, struct err *err) {
	struct local *local = state;
	AUTO_FREE char *path = mem_format("%s/keep/r%lld.json", local->folder, (long long) release);
	size_t len = 0;
	return fs_read(path, TEXT_BYTES_MAX, text, &len, err);
}

static void add_failed_handovers(struct local *local, const struct document *info, const struct revision *revision, struct sample *samples, size_t *count) {
	value_each(replica, value_get(info->root, "replicas")) {
		if (*count == TARGET_REPLICAS_MAX || !text_is(replica, "role", "front") || text_is(replica, "revision", revision->name))
			continue;
		struct http_answer answer = {0};
		struct err err = {0};
		struct sample sample = {0};
		struct str name = value_get(replica, "name")->text;
		if (replica_call(local, name, "GET", "/metrics", NULL, ADMIN_TIMEOUT_MS, &answer, &err) == 0 &&
			prometheus_sample((struct str) {answer.body, answer.body_len}, &sample, NULL, &err) == 0) { /* 0 too: the first that is seen is what the others are counted from */
			sample.at_ms = clock_mono_ms(local->context.clock);
			snprintf(sample.replica, sizeof(sample.replica), "%.*s", STR_ARGS(name));
			sample_add_handovers(&sample, samples, count);
		}
		sample_clear(&sample);
		http_answer_clear(&answer);
	}
}

static int local_sample(void *state, const struct revision *revision, struct sample *samples, size_t *count, struct err *err) {
	struct local *local = state;
	AUTO_DOCUMENT struct document *info = NULL;
	*count = 0;
	if (ask_info(local, &info, err) != 0)
		return -1;
	const struct value *spec = info_revision(info, revision->name);
	value_each(replica, spec ? value_get(info->root, "replicas") : NULL) {
		if (*count == TARGET_REPLICAS_MAX || !text_is(replica, "revision", revision->name) || !text_is(replica, "state", "running"))
			continue;
		struct http_answer answer = {0};
		struct err asking = {0};
		struct str name = value_get(replica, "name")->text;
		char claimed[REVISION_NAME_MAX] = "";
		struct sample *out = &samples[*count];
		if (replica_call(local, name, "GET", "/metrics", NULL, ADMIN_TIMEOUT_MS, &answer, &asking) == 0 && answer.status == 200 &&
			prometheus_sample((struct str) {answer.body, answer.body_len}, out, claimed, &asking) == 0) {
			if (strcmp(claimed, revision->name) == 0) {
				sample_drop_handovers(out);
				out->at_ms = clock_mono_ms(local->context.clock);
				snprintf(out->replica, sizeof(out->replica), "%.*s", STR_ARGS(name));
				(*count)++;
			} else {
				sample_clear(out);
			}
		}
		http_answer_clear(&answer);
	}
	if (spec && number_of(spec, "front") == 0)
		add_failed_handovers(local, info, revision, samples, count);
	return 0;
}

/* A replica that was told to drain accepts until it has heard it: an answer of a revision that nobody wants any more speaks for the past. */
static int check_answerer(const struct document *info, const struct http_answer *answer, struct err *err) {
	struct str name = http_header_of(answer, "mlctl-revision");
	value_each(revision, value_get(info->root, "revisions"))
		if (str_equal(value_get(revision, "name")->text, name) && number_of(revision, "front") + number_of(revision, "side") > 0)
			return 0;
	return name.len ? err_set(err, ERR_UNCLEAR, "a replica of %.*s answered, which is on its way out", STR_ARGS(name)) : 0;
}

static int not_deployed(const struct local *local, struct err *err) {
	err_set(err, ERR_NOT_FOUND, "%s: nothing is deployed to %s", local->context.service, local->context.env);
	return err_fix(err, "mlctl deploy --env %s", local->context.env);
}

static int call_front(struct local *local, const struct document *info, bool is_hop, const struct target_request *request, struct http_answer *answer,
	struct err *err) {
	int64_t port = info ? number_of(info->root, "port") : 0;
	if (!port)
		return not_deployed(local, err);
	AUTO_FREE char *url = mem_format("http://%s:%lld%s", FRONT_ADDRESS, (long long) port, request->path);
	return http_call(local, NULL, url, is_hop, request, answer, err);
}

static int local_call(void *state, const struct revision *revision, const struct target_request *request, struct target_answer *out, struct err *err) {
	struct local *local = state;
	AUTO_DOCUMENT struct document *info = NULL;
	if (ask_info(local, &info, err) != 0)
		return -1;
	struct http_answer answer = {0};
	const struct value *spec = revision ? info_revision(info, revision->name) : NULL;
	int rc = -1;
	if (revision && !spec) {
		err_set(err, ERR_NOT_FOUND, "no replica of %s runs", revision->name);
	} else if (spec && number_of(spec, "front") == 0) {
		AUTO_FREE char *file = mem_format("%s.front", revision->name);
		rc = socket_call(local, file, request, &answer, err);
	} else {
		rc = call_front(local, info, revision != NULL, request, &answer, err);
	}
	if (rc == 0)
		rc = check_answerer(info, &answer, err);
	else if (err->code == ERR_UNCLEAR) /* nobody stands between us and a replica: what it took and did not answer is its own */
		err->code = err->sys == ETIMEDOUT ? ERR_TIMEOUT : ERR_NETWORK;
	if (rc == 0)
		*out = (struct target_answer) {.status = answer.status, .body = take(&answer.body), .body_len = answer.body_len, .us = answer.ms * 1000};
	http_answer_clear(&answer);
	return rc;
}

static int64_t *log_offset(struct local *local, const char *name) {
	for (size_t i = 0; i < local->log_count; i++)
		if (strcmp(local->log_names[i], name) == 0)
			return &local->log_offsets[i];
	if (local->log_count == TARGET_REPLICAS_MAX)
		return NULL;
	snprintf(local->log_names[local->log_count], sizeof(local->log_names[0]), "%.*s", (int) sizeof(local->log_names[0]) - 1, name);
	local->log_offsets[local->log_count] = -1;
	return &local->log_offsets[local->log_count++];
}

static int local_logs(void *state, const struct revision *revision, int lines, struct texts *out, char cursor[64], struct err *err) {
	struct local *local = state;
	AUTO_FREE char *path = fs_join(local->folder, "log");
	struct dirent **entries = NULL;
	int count = scandir(path, &entries, NULL, alphasort);
	bool is_following = cursor && cursor[0];
	int rc = 0;
	for (int i = 0; i < count; i++) {
		AUTO_FREE struct dirent *entry = entries[i];
		struct str name = str_of(entry->d_name);
		bool is_ours = str_ends(name, ".log") && (!revision || str_starts(name, revision->name));
		int64_t *offset = is_ours && rc == 0 ? log_offset(local, entry->d_name) : NULL;
		if (!offset)
			continue;
		AUTO_FREE char *file = fs_join(path, entry->d_name);
		AUTO_FREE char *text = NULL;
		AUTO_FREE char *prefix = mem_format("%.*s: ", (int) name.len - 4, name.ptr);
		size_t len = 0;
		if (!is_following)
			*offset = -1;
		rc = tail_read(file, offset, &text, &len, err);
		if (rc == 0 && len)
			tail_lines((struct str) {text, len}, prefix, is_following ? 0 : lines, out);
	}
	free(entries);
	if (cursor)
		snprintf(cursor, 64, "follow");
	return rc;
}

static int local_events(void *state, struct texts *out, struct err *err) {
	struct local *local = state;
	AUTO_FREE char *path = fs_join(local->folder, "events.log");
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	int64_t offset = -1;
	if (!fs_exists(path))
		return 0;
	if (tail_read(path, &offset, &text, &len, err) != 0)
		return -1;
	tail_lines((struct str) {text, len}, "", 100, out);
	return 0;
}

static int local_address(void *state, char out[256], struct err *err) {
	struct local *local = state;
	AUTO_DOCUMENT struct document *info = NULL;
	if (ask_info(local, &info, err) != 0)
		return -1;
	if (!info || number_of(info->root, "port") == 0)
		return not_deployed(local, err);
	snprintf(out, 256, "http://%s:%lld", FRONT_ADDRESS, (long long) number_of(info->root, "port"));
	return 0;
}

const struct target target_local = {
	.name = "local",
	.caps = TARGET_SPLIT | TARGET_HOT,
	.state_size = sizeof(struct local),
	.open = local_open,
	.close = local_close,
	.check = local_check,
	.render = local_render,
	.observe = local_observe,
	.stage = local_stage,
	.poll = local_observe,
	.route = local_route,
	.retire = local_retire,
	.destroy = local_destroy,
	.head_get = local_head_get,
	.head_put = local_head_put,
	.hold = local_hold,
	.is_gone = local_is_gone,
	.keep_put = local_keep_put,
	.keep_get = local_keep_get,
	.sample = local_sample,
	.call = local_call,
	.logs = local_logs,
	.events = local_events,
	.address = local_address,
};
