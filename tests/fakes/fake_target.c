#include "fakes/fake_target.h"

#include "release/head.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>

const char *const fake_fault_names[FAULT_COUNT] = {"none", "refused", "timeout", "busy", "conflict", "auth", "lost answer", "late answer",
	"disk full", "cut in the middle", "killed before", "killed after", "killed in the middle", "clock jump", "signal",
	"signal and cut"};

static int64_t world_mono(void *self) {
	return ((struct fake_world *) self)->mono_ms;
}

static int64_t world_wall(void *self) {
	return ((struct fake_world *) self)->wall_s;
}

static void world_sleep(void *self, int64_t ms) {
	fake_advance(self, ms);
}

void fake_world_init(struct fake_world *world) {
	*world = (struct fake_world){
		.mono_ms = 1000000, .wall_s = 1795262400, .random = 88172645463325252ULL, .front = -1, .canary = -1, .rps = 20};
	world->shared = world->main.revision = world->side.revision = world->known_good = world->known_candidate = -1;
	world->clock = (struct clock){world_mono, world_wall, world_sleep, world};
	world->traffic_ms = world->mono_ms;
}

void fake_world_clear(struct fake_world *world) {
	for (size_t i = 0; i < FAKE_KEPT_MAX; i++)
		free(world->kept[i].text);
}

double fake_random(struct fake_world *world) {
	world->random ^= world->random << 13;
	world->random ^= world->random >> 7;
	world->random ^= world->random << 17;
	return (double) (world->random >> 11) / 9007199254740992.0;
}

void fake_violate(struct fake_world *world, const char *format, ...) {
	size_t used = strlen(world->violations);
	va_list args;
	va_start(args, format);
	world->violation_count++;
	if (used + 2 < sizeof(world->violations)) {
		vsnprintf(world->violations + used, sizeof(world->violations) - used - 1, format, args);
		used = strlen(world->violations);
		memcpy(world->violations + used, "\n", 2);
	}
	va_end(args);
}

struct digest fake_digest(char letter) {
	struct digest digest;
	digest_of((struct str){&letter, 1}, &digest);
	return digest;
}

struct fake_model *fake_model_add(struct fake_world *world, char letter) {
	struct fake_model *model = &world->models[world->model_count++];
	*model = (struct fake_model){.image = fake_digest(letter), .ready_ms = 200};
	return model;
}

static const struct fake_model *model_of(const struct fake_world *world, const struct digest *image) {
	static const struct fake_model plain = {.ready_ms = 100};
	for (size_t i = 0; i < world->model_count; i++)
		if (digest_equal(&world->models[i].image, image))
			return &world->models[i];
	return &plain;
}

const struct fake_model *fake_model_of(const struct fake_world *world, int revision) {
	return model_of(world, revision >= 0 ? &world->revisions[revision].revision.image : &(struct digest){0});
}

int fake_index_of(const struct fake_world *world, const struct revision *revision) {
	for (size_t i = 0; revision && i < world->revision_count; i++)
		if (strcmp(world->revisions[i].revision.name, revision->name) == 0)
			return (int) i;
	return -1;
}

int fake_index_for(struct fake_world *world, const struct revision *revision) {
	int i = fake_index_of(world, revision);
	if (i >= 0)
		return i;
	if (world->revision_count == FAKE_REVISIONS_MAX)
		abort();
	world->revisions[world->revision_count] = (struct fake_revision){.revision = *revision};
	return (int) world->revision_count++;
}

struct fake_revision *fake_find(struct fake_world *world, const struct digest *image) {
	for (size_t i = 0; i < world->revision_count; i++)
		if (digest_equal(&world->revisions[i].revision.image, image))
			return &world->revisions[i];
	return NULL;
}

static bool is_up(const struct fake_world *world, const struct fake_revision *revision, int64_t replica) {
	const struct fake_model *model = model_of(world, &revision->revision.image);
	return !model->is_stuck && !model->is_failing && world->mono_ms - revision->started_ms[replica] >= model->ready_ms;
}

static int64_t ready_count(const struct fake_world *world, const struct fake_revision *revision) {
	int64_t ready = 0;
	for (int64_t i = 0; revision->exists && i < revision->desired; i++)
		ready += is_up(world, revision, i);
	return ready;
}

double fake_canary_weight(struct fake_world *world) {
	if (world->canary >= 0 && world->weight_until_ms <= world->mono_ms) { /* nobody refreshed it */
		world->canary = -1;
		world->weight = 0;
	}
	return world->canary >= 0 ? world->weight : 0;
}

/* Which revisions get the traffic that is not the canary's, and how much of it each. */
static double share_of(const struct fake_world *world, int revision) {
	if (!world->is_rolling)
		return revision == world->front ? 1 : 0;
	size_t all = rolling_ready(world, -1);
	return all ? (double) rolling_ready(world, revision) / (double) all : 0;
}

static void serve(struct fake_world *world, struct fake_revision *revision, double requests) {
	const struct fake_model *model = model_of(world, &revision->revision.image);
	revision->owed += requests;
	for (; revision->owed >= 1; revision->owed--) {
		revision->requests++;
		revision->errors += fake_random(world) < model->error_rate;
		revision->slow += fake_random(world) < model->slow_share;
	}
}

/* Traffic between the last look and now. */
static void flow(struct fake_world *world) {
	double seconds = (double) (world->mono_ms - world->traffic_ms) / 1000, weight = fake_canary_weight(world);
	world->traffic_ms = world->mono_ms;
	double all = 0;
	for (size_t i = 0; i < world->revision_count; i++) {
		double share = share_of(world, (int) i);
		all += share;
		if (share > 0)
			serve(world, &world->revisions[i], seconds * world->rps * share * (100 - weight) / 100);
	}
	if (all <= 0 || world->canary < 0)
		return;
	world->exposed += seconds * world->rps * weight / 100;
	serve(world, &world->revisions[world->canary], seconds * world->rps * weight / 100);
}

/* In small steps, so that a weight that falls back stops its share in time. */
void fake_advance(struct fake_world *world, int64_t ms) {
	while (ms > 0) {
		int64_t step_max = world->is_rolling && rolling_is_moving(world) ? 100 : 500, step = ms > step_max ? step_max : ms;
		world->mono_ms += step;
		world->wall_rest_ms += step;
		world->wall_s += world->wall_rest_ms / 1000;
		world->wall_rest_ms %= 1000;
		flow(world);
		rolling_move(world);
		ms -= step;
	}
}

struct digest fake_serving(struct fake_world *world) {
	struct digest found = {0};
	for (size_t i = 0; i < world->revision_count; i++) {
		const struct digest *image = &world->revisions[i].revision.image;
		if (share_of(world, (int) i) <= 0 || (found.text[0] && digest_equal(&found, image)))
			continue;
		if (found.text[0])
			return (struct digest){.text = "mixed"};
		found = *image;
	}
	return found;
}

bool fake_serves_only(const struct fake_world *world, const struct digest *allowed, size_t count) {
	for (size_t i = 0; i < world->revision_count; i++) {
		bool is_allowed = share_of(world, (int) i) <= 0 || world->revisions[i].is_foreign;
		for (size_t k = 0; k < count; k++)
			is_allowed = is_allowed || strcmp(allowed[k].text, world->revisions[i].revision.image.text) == 0;
		if (!is_allowed)
			return false;
	}
	return true;
}

/* Traffic must always be on something that is there. */
static void watch_traffic(struct fake_world *world) {
	if (world->is_rolling) {
		rolling_watch(world);
		return;
	}
	if (world->front >= 0 && !world->revisions[world->front].exists)
		fake_violate(world, "traffic on %s, which is gone", world->revisions[world->front].revision.name);
	if (world->front >= 0 && !ready_count(world, &world->revisions[world->front]))
		fake_violate(world, "traffic on %s, which has no ready replica", world->revisions[world->front].revision.name);
	if (world->front >= 0)
		world->revisions[world->front].has_served = true;
}

/* ---- turns ---- */

static void yield_turn(struct fake_client *client) {
	struct fake_baton *baton = client->world->baton;
	if (!baton)
		return;
	pthread_mutex_lock(&baton->mutex);
	baton->current = -1;
	pthread_cond_broadcast(&baton->moved);
	while (baton->current != client->id)
		pthread_cond_wait(&baton->moved, &baton->mutex);
	pthread_mutex_unlock(&baton->mutex);
}

static void *job_main(void *self) {
	struct fake_job *job = self;
	struct fake_baton *baton = job->client->world->baton;
	pthread_mutex_lock(&baton->mutex);
	while (baton->current != job->client->id)
		pthread_cond_wait(&baton->moved, &baton->mutex);
	pthread_mutex_unlock(&baton->mutex);
	job->work(job);
	pthread_mutex_lock(&baton->mutex);
	job->client->is_done = true;
	baton->current = -1;
	pthread_cond_broadcast(&baton->moved);
	pthread_mutex_unlock(&baton->mutex);
	return NULL;
}

static int pick(struct fake_world *world, fake_choose_fn choose, void *self, int64_t turn) {
	struct fake_baton *baton = world->baton;
	int ready[FAKE_CLIENTS_MAX], count = 0;
	int64_t first = INT64_MAX;
	bool is_any = false;
	for (int i = 0; i < baton->client_count; i++) {
		struct fake_client *client = baton->clients[i];
		if (client->is_done)
			continue;
		is_any = true;
		if (client->is_waiting && client->wake_ms > world->mono_ms)
			first = client->wake_ms < first ? client->wake_ms : first;
		else
			ready[count++] = i;
	}
	if (!is_any)
		return -1;
	if (count) {
		int chosen = choose(self, ready, count, turn);
		if (chosen >= 0)
			return chosen;
	}
	/* Nobody ready (or the chooser lets them be late): time goes on. */
	if (first == INT64_MAX)
		return ready[0];
	fake_advance(world, first - world->mono_ms);
	return pick(world, choose, self, turn);
}

void fake_run_all(struct fake_world *world, struct fake_job *jobs, int count, fake_choose_fn choose, void *self) {
	struct fake_baton baton = {.current = -1, .client_count = count};
	pthread_mutex_init(&baton.mutex, NULL);
	pthread_cond_init(&baton.moved, NULL);
	world->baton = &baton;
	for (int i = 0; i < count; i++) {
		jobs[i].client->id = i;
		baton.clients[i] = jobs[i].client;
		if (pthread_create(&jobs[i].thread, NULL, job_main, &jobs[i]) != 0)
			abort();
	}
	pthread_mutex_lock(&baton.mutex);
	for (int64_t turn = 0;; turn++) {
		int next = pick(world, choose, self, turn);
		if (next < 0)
			break;
		baton.current = next;
		pthread_cond_broadcast(&baton.moved);
		while (baton.current != -1)
			pthread_cond_wait(&baton.moved, &baton.mutex);
	}
	pthread_mutex_unlock(&baton.mutex);
	for (int i = 0; i < count; i++)
		pthread_join(jobs[i].thread, NULL);
	world->baton = NULL;
	pthread_mutex_destroy(&baton.mutex);
	pthread_cond_destroy(&baton.moved);
}

/* ---- faults ---- */

static int die(struct fake_client *client, struct err *err) {
	struct fake_world *world = client->world;
	client->is_dead = true;
	for (size_t i = 0; i < world->holder_count; i++)
		if (strcmp(world->holders[i].token, client->token) == 0)
			world->holders[i].is_gone = true;
	return err_set(err, ERR_LOCKED, "killed");
}

/* Before a call: 0 go on (then leave() may still lose the answer), -1 with *err: nothing happened. */
static int enter(struct fake_client *client, enum fake_fault *fault, struct err *err) {
	yield_turn(client);
	*fault = FAULT_NONE;
	if (client->is_dead)
		return die(client, err);
	client->calls++;
	client->world->is_contested = client->world->is_contested || client->calls == client->contest_at;
	if (client->fault == FAULT_SIGNAL_CUT && client->signal)
		return err_set(err, ERR_NETWORK, "network unreachable");
	if (client->expired_at && client->calls >= client->expired_at) {
		err_set(err, ERR_AUTH, "HTTP 401, expired");
		err->sys = EKEYEXPIRED;
		return -1;
	}
	if (client->fail_at && client->calls >= client->fail_at && client->calls < client->fail_at + client->fail_times) {
		*fault = client->fault;
		client->happened++;
	}
	switch (*fault) {
	case FAULT_REFUSED:
		return err_set(err, ERR_NETWORK, "connection refused");
	case FAULT_TIMEOUT:
		return err_set(err, ERR_TIMEOUT, "no answer in time");
	case FAULT_BUSY:
		return err_set(err, ERR_NETWORK, "HTTP 503");
	case FAULT_CONFLICT:
		return err_set(err, ERR_CONFLICT, "HTTP 409");
	case FAULT_AUTH:
		return err_set(err, ERR_AUTH, "HTTP 401");
	case FAULT_FULL:
		return err_set(err, ERR_NOSPACE, "no space left on device");
	case FAULT_HALF:
		return err_set(err, ERR_NETWORK, "connection reset");
	case FAULT_KILL:
	case FAULT_KILL_HALF:
		return die(client, err);
	case FAULT_JUMP:
		client->world->wall_s += client->happened % 2 ? -600 : 1200;
		return 0;
	case FAULT_SIGNAL:
	case FAULT_SIGNAL_CUT:
		client->signal = 2;
		client->signal_ms = client->world->mono_ms;
		return 0;
	default:
		return 0;
	}
}

static int leave(struct fake_client *client, enum fake_fault fault, int rc, struct err *err) {
	if (fault != FAULT_LOST && fault != FAULT_LATE && fault != FAULT_KILL_AFTER)
		return rc;
	err_clear(err);
	if (fault == FAULT_KILL_AFTER) {
		return die(client, err);
	}
	return err_set(err, fault == FAULT_LOST ? ERR_UNCLEAR : ERR_TIMEOUT, "the answer was lost");
}

static int client_step(struct http *http, int64_t until_ms, struct http_event *event, struct err *err) {
	struct fake_client *client = (struct fake_client *) ((char *) http - offsetof(struct fake_client, http));
	struct fake_world *world = client->world;
	if (client->is_dead)
		return die(client, err);
	event->what = HTTP_TIMER;
	if (!world->baton) {
		fake_advance(world, until_ms - world->mono_ms);
		return 0;
	}
	client->is_waiting = true;
	client->wake_ms = until_ms;
	yield_turn(client);
	client->is_waiting = false;
	return 0;
}

void fake_client_init(struct fake_client *client, struct fake_world *world, int id) {
	*client = (struct fake_client){.world = world, .id = id, .http = {.step = client_step, .clock = &world->clock}};
	snprintf(client->actor, sizeof(client->actor), "tester-%d", id);
	client->context = (struct release_context){.target = world->is_rolling ? &fake_rolling_target : &fake_target,
		.target_state = client,
		.http = &client->http,
		.clock = &world->clock,
		.service = "fraud",
		.env = "test",
		.actor = client->actor,
		.interrupted = &client->signal};
}

/* ---- the verbs ---- */

static int check_fence(struct fake_world *world, int64_t fence, struct err *err) {
	struct head head;
	struct err unread = {0};
	if (!world->head_len)
		return err_set(err, ERR_LOCKED, "there is no head: the service was destroyed");
	if (world->is_fence_highest) {
		if (fence < world->fence_highest)
			return err_set(err, ERR_LOCKED, "fence %lld, %lld was seen", (long long) fence, (long long) world->fence_highest);
		world->fence_highest = fence;
		return 0;
	}
	if (head_parse(world->head, world->head_len, &head, &unread) != 0)
		return err_set(err, ERR_FAILED, "no head");
	if (head.lock.fence == fence)
		return 0;
	if (!world->is_fence_ignored)
		return err_set(err, ERR_LOCKED, "fence %lld, the lock's is %lld", (long long) fence, (long long) head.lock.fence);
	fake_violate(world, "a change with fence %lld was taken, the lock's is %lld", (long long) fence, (long long) head.lock.fence);
	return 0;
}

static int fake_check(void *state, const struct store *store, struct texts *facts, struct err *err) {
	struct fake_client *client = state;
	enum fake_fault fault;
	(void) store;
	if (enter(client, &fault, err) != 0)
		return -1;
	texts_add(facts, "a fake world");
	return leave(client, fault, 0, err);
}

static int fake_diff(void *state, const struct revision *revision, const struct value *objects, struct document *document,
	struct value *changes, struct err *err) {
	struct fake_client *client = state;
	enum fake_fault fault;
	if (enter(client, &fault, err) != 0)
		return -1;
	if (client->world->is_contested)
		return fake_contested(err);
	if (objects && !rolling_is_whole(client->world, fake_index_of(client->world, revision)))
		value_add_text(document, value_add_object(document, changes, NULL), "object", "Deployment/fraud");
	return leave(client, fault, 0, err);
}

static int fake_observe(void *state, const struct revision *revision, struct observed *out, struct err *err) {
	struct fake_client *client = state;
	struct fake_world *world = client->world;
	enum fake_fault fault;
	if (enter(client, &fault, err) != 0)
		return -1;
	out->exists = false; /* all of it is a quarter of a megabyte, too much to be cleared a million times */
	out->weight = 0;
	out->desired = 0;
	out->count = 0;
	int i = fake_index_of(world, revision);
	if (world->is_rolling) {
		rolling_move(world);
		rolling_observe(world, i, out);
		return leave(client, fault, 0, err);
	}
	if (i < 0 || !world->revisions[i].exists)
		return leave(client, fault, 0, err);
	const struct fake_revision *found = &world->revisions[i];
	const struct fake_model *model = model_of(world, &revision->image);
	double weight = fake_canary_weight(world);
	out->exists = true;
	out->weight = i == world->front ? 100 - weight : i == world->canary ? weight : 0;
	out->desired = found->desired;
	out->count = (size_t) found->desired;
	for (size_t k = 0; k < out->count; k++) {
		struct replica *replica = &out->replicas[k];
		*replica = (struct replica){0};
		snprintf(replica->name, sizeof(replica->name), "%s-%zu", revision->name, k);
		replica->state = model->is_stuck		    ? REPLICA_STUCK
				 : model->is_failing		    ? REPLICA_FAILING
				 : is_up(world, found, (int64_t) k) ? REPLICA_READY
								    : REPLICA_STARTING;
		if (replica->state == REPLICA_READY)
			replica->serving = model->is_lying ? fake_digest('!') : revision->image;
		if (model->is_stuck)
			snprintf(replica->reason, sizeof(replica->reason), "exits with 4: the model can't be loaded");
		if (model->is_breaking && found->requests > 3)
			fake_break(replica);
	}
	return leave(client, fault, 0, err);
}

static void scale(struct fake_world *world, struct fake_revision *revision, int64_t desired) {
	for (int64_t i = revision->desired; i < desired; i++)
		revision->started_ms[i] = world->mono_ms;
	revision->desired = desired;
}

static int fake_stage(void *state, int64_t fence, const struct revision *revision, const struct value *objects, int64_t replicas,
	struct store *store, struct err *err) {
	struct fake_client *client = state;
	struct fake_world *world = client->world;
	enum fake_fault fault;
	(void) store;
	int64_t full = 2;
	if (enter(client, &fault, err) != 0 || check_fence(world, fence, err) != 0 ||
		value_opt_int(objects, "replicas", 2, &full, err) != 0)
		return -1;
	if (!objects)
		return err_set(err, ERR_INVALID, "no objects to stage %s from", revision->name);
	int i = fake_index_for(world, revision);
	if (world->is_rolling) {
		rolling_stage(world, i);
		world->writes++;
		return leave(client, fault, 0, err);
	}
	struct fake_revision *found = &world->revisions[i];
	if (!found->exists) {
		*found = (struct fake_revision){.revision = *revision, .exists = true, .has_served = found->has_served};
	}
	found->full = full;
	scale(world, found, replicas ? replicas : full);
	world->writes++;
	watch_traffic(world);
	return leave(client, fault, 0, err);
}

static int fake_route(void *state, int64_t fence, const struct revision *stable, const struct revision *revision,
	const struct value *objects, double weight, int64_t ttl_s, struct err *err) {
	struct fake_client *client = state;
	struct fake_world *world = client->world;
	enum fake_fault fault;
	int64_t full = 2;
	bool was_dead = client->is_dead;
	if (enter(client, &fault, err) != 0) {
		if (world->is_rolling && !was_dead && (fault == FAULT_HALF || fault == FAULT_KILL_HALF) &&
			check_fence(world, fence, &(struct err){0}) == 0)
			rolling_route_half(world, fake_index_for(world, revision), objects, weight, client->calls % 2);
		return -1;
	}
	if (check_fence(world, fence, err) != 0 || value_opt_int(objects, "replicas", 2, &full, err) != 0)
		return -1;
	flow(world);
	if (world->is_rolling) {
		world->weight_until_ms = world->mono_ms + ttl_s * 1000;
		if (rolling_route(world, stable, fake_index_for(world, revision), objects, weight, full, err) != 0)
			return -1;
		world->writes++;
		return leave(client, fault, 0, err);
	}
	int to = fake_index_of(world, revision), from = fake_index_of(world, stable);
	if (weight >= 100) {
		if (to < 0 || !world->revisions[to].exists)
			return err_set(err, ERR_NOT_FOUND, "%s is not there", revision->name);
		scale(world, &world->revisions[to], world->revisions[to].full);
		if (ready_count(world, &world->revisions[to]) == world->revisions[to].desired) {
			world->front = to;
			world->canary = -1;
		}
	} else {
		if (stable && (from < 0 || !world->revisions[from].exists))
			return err_set(err, ERR_NOT_FOUND, "%s is not there", stable->name);
		if (stable)
			world->front = from;
		else if (world->front == to)
			world->front = -1;
		world->canary = weight > 0 ? to : -1;
		world->weight = weight;
		world->weight_until_ms = world->mono_ms + ttl_s * 1000;
	}
	world->writes++;
	watch_traffic(world);
	return leave(client, fault, 0, err);
}

static int fake_retire(void *state, int64_t fence, const struct revision *revision, bool is_kept, struct err *err) {
	struct fake_client *client = state;
	struct fake_world *world = client->world;
	enum fake_fault fault;
	if (enter(client, &fault, err) != 0 || check_fence(world, fence, err) != 0)
		return -1;
	int i = fake_index_of(world, revision);
	fake_canary_weight(world);
	if (world->is_rolling ? rolling_retire(world, i, err) != 0 : i >= 0 && (i == world->front || i == world->canary))
		return err->code ? -1 : err_set(err, ERR_CONFLICT, "%s gets traffic", revision->name);
	struct head head;
	struct err unread = {0};
	if (head_parse(world->head, world->head_len, &head, &unread) == 0 && head_entry_is(&head.good, revision))
		fake_violate(world, "%s was retired, and it is what the head calls good", revision->name);
	if (i >= 0) {
		world->revisions[i].is_kept = is_kept;
		world->revisions[i].desired = 0;
		world->revisions[i].exists = world->is_rolling && world->revisions[i].exists;
	}
	world->writes++;
	watch_traffic(world);
	return leave(client, fault, 0, err);
}

static int fake_destroy(void *state, int64_t fence, struct err *err) {
	struct fake_client *client = state;
	struct fake_world *world = client->world;
	enum fake_fault fault;
	if (enter(client, &fault, err) != 0 || (world->head_len && fence != INT64_MAX && check_fence(world, fence, err) != 0))
		return -1;
	world->front = world->canary = -1;
	world->main = world->side = (struct fake_deployment){.revision = -1};
	world->shared = -1;
	for (size_t i = 0; i < world->revision_count; i++)
		world->revisions[i].exists = false;
	for (size_t i = 0; i < FAKE_KEPT_MAX; i++) {
		free(world->kept[i].text);
		world->kept[i].text = NULL;
	}
	world->head_len = 0;
	world->fence_highest = 0;
	world->head_version++;
	world->writes++;
	return leave(client, fault, 0, err);
}

static int fake_head_get(void *state, char bytes[TARGET_HEAD_BYTES_MAX], size_t *len, char version[64], struct err *err) {
	struct fake_client *client = state;
	struct fake_world *world = client->world;
	enum fake_fault fault;
	if (enter(client, &fault, err) != 0)
		return -1;
	memcpy(bytes, world->head, world->head_len);
	*len = world->head_len;
	snprintf(version, 64, "%s", "");
	if (world->head_len)
		snprintf(version, 64, "%lld", (long long) world->head_version);
	if (client->is_lock_blind && world->head_len) { /* a broken twin: it never sees a lock */
		struct head head;
		if (head_parse(world->head, world->head_len, &head, &(struct err){0}) == 0) {
			head.lock = (struct head_lock){0};
			if (head_write(&head, bytes, len, &(struct err){0}) != 0)
				abort();
		}
	}
	return leave(client, fault, 0, err);
}

static int fake_hold(void *state, const char *token, struct err *err) {
	struct fake_client *client = state;
	struct fake_world *world = client->world;
	if (!world->has_flock || world->holder_count == FAKE_CLIENTS_MAX)
		return err_set(err, ERR_FAILED, "holders can't be watched here");
	snprintf(client->token, sizeof(client->token), "%s", token);
	snprintf(world->holders[world->holder_count++].token, sizeof(client->token), "%s", token);
	return 0;
}

static bool fake_is_gone(void *state, const char *token) {
	const struct fake_client *client = state;
	for (size_t i = 0; i < client->world->holder_count; i++)
		if (strcmp(client->world->holders[i].token, token) == 0)
			return client->world->holders[i].is_gone;
	return false;
}

/* A new head is looked at as it arrives: the lock may be taken only when it is free, expired or pre-empted; `good` must serve right now. */
static void watch_head(struct fake_world *world, const struct head *old, const struct head *new) {
	bool is_other = new->lock.fence &&strcmp(new->lock.token, old->lock.token) != 0;
	bool is_preempted = strcmp(new->lock.verb, "rollback") == 0 && strcmp(old->lock.verb, "deploy") == 0 &&
			    old->candidate.phase < (world->is_rolling ? PHASE_SMOKE : PHASE_PROMOTE);
	for (size_t i = 0; i < world->holder_count; i++)
		is_preempted = is_preempted || (world->holders[i].is_gone && strcmp(world->holders[i].token, old->lock.token) == 0);
	if (old->lock.fence && is_other && !is_preempted && world->mono_ms - world->lock_touched_ms < old->lock.ttl_s * 1000)
		fake_violate(world, "%s took the lock from %s, who renewed it %lld ms ago", new->lock.holder, old->lock.holder,
			(long long) (world->mono_ms - world->lock_touched_ms));
	if (old->lock.fence && !is_other && new->lock.fence &&new->lock.fence < old->lock.fence)
		fake_violate(world, "the fence fell under its holder");
	if (new->generation <= old->generation)
		fake_violate(world, "generation %lld after %lld", (long long) new->generation, (long long) old->generation);
	if (new->good.n == old->good.n)
		return;
	struct revision good;
	head_entry_revision(&new->good, &good);
	int i = fake_index_of(world, &good);
	bool is_whole = world->is_rolling && i >= 0 && rolling_is_whole(world, i);
	if (!is_whole && (i < 0 || i != world->front || ready_count(world, &world->revisions[i]) < world->revisions[i].full))
		fake_violate(world, "r%lld was called good, and it does not serve", (long long) new->good.n);
}

static int index_of_entry(struct fake_world *world, const struct head_entry *entry) {
	struct revision revision;
	if (!entry->n || !entry->image.text[0]) /* the intent to destroy names no revision */
		return -1;
	head_entry_revision(entry, &revision);
	return fake_index_for(world, &revision);
}

static int fake_head_put(void *state, const char *bytes, size_t len, const char *version, char new_version[64], struct err *err) {
	struct fake_client *client = state;
	struct fake_world *world = client->world;
	enum fake_fault fault;
	char current[64] = "";
	if (enter(client, &fault, err) != 0)
		return -1;
	if (world->head_len)
		snprintf(current, sizeof(current), "%lld", (long long) world->head_version);
	if (strcmp(current, version) != 0)
		return leave(client, fault, err_set(err, ERR_CONFLICT, "the head is at %s, not at %s", current, version), err);
	struct head old, new;
	if (head_parse(world->head, world->head_len, &old, err) != 0 || head_parse(bytes, len, &new, err) != 0) {
		fake_violate(world, "a head that can't be read: %s", err->message);
		return -1;
	}
	watch_head(world, &old, &new);
	if (strcmp(old.lock.token, new.lock.token) != 0 || new.lock.renew != old.lock.renew)
		world->lock_touched_ms = world->mono_ms;
	memcpy(world->head, bytes, len);
	world->head_len = len;
	world->known_good = index_of_entry(world, &new.good);
	world->known_candidate = index_of_entry(world, &new.candidate.is);
	snprintf(new_version, 64, "%lld", (long long) ++world->head_version);
	world->writes++;
	return leave(client, fault, 0, err);
}

static int fake_keep_put(void *state, int64_t release, const char *text, struct err *err) {
	struct fake_client *client = state;
	struct fake_world *world = client->world;
	enum fake_fault fault;
	if (enter(client, &fault, err) != 0)
		return -1;
	size_t slot = FAKE_KEPT_MAX;
	for (size_t i = 0; i < FAKE_KEPT_MAX; i++)
		if (world->kept[i].text && world->kept[i].n == release)
			slot = i;
	for (size_t i = 0; slot == FAKE_KEPT_MAX && i < FAKE_KEPT_MAX; i++)
		if (!world->kept[i].text)
			slot = i;
	if (slot == FAKE_KEPT_MAX)
		abort();
	free(world->kept[slot].text);
	world->kept[slot].text = text ? mem_text(text) : NULL;
	world->kept[slot].n = release;
	world->writes++;
	return leave(client, fault, 0, err);
}

static int fake_keep_get(void *state, int64_t release, char **text, struct err *err) {
	struct fake_client *client = state;
	enum fake_fault fault;
	if (enter(client, &fault, err) != 0)
		return -1;
	if (fault == FAULT_LOST || fault == FAULT_LATE || fault == FAULT_KILL_AFTER)
		return leave(client, fault, 0, err);
	for (size_t i = 0; i < FAKE_KEPT_MAX; i++)
		if (client->world->kept[i].text && client->world->kept[i].n == release) {
			*text = mem_text(client->world->kept[i].text);
			return 0;
		}
	return err_set(err, ERR_NOT_FOUND, "r%lld is not kept", (long long) release);
}

static void fill_sample(struct fake_world *world, const struct fake_revision *revision, enum fake_metrics mode, size_t k, size_t count,
	struct sample *out) {
	double share = 1.0 / (double) count, n = floor(revision->requests * share);
	*out = (struct sample){.start_s = 1,
		.at_ms = world->mono_ms,
		.requests = n,
		.errors_5xx = fmin(n, floor(revision->errors * share)),
		.bucket_count = 3};
	snprintf(out->replica, sizeof(out->replica), "%s-%zu", revision->revision.name, k);
	const double edges[3] = {0.1, 2, INFINITY};
	double slow = fmin(n, floor(revision->slow * share)), totals[3] = {n - slow, n - slow, n};
	memcpy(out->bucket_le_s, edges, sizeof(edges));
	memcpy(out->bucket_total, totals, sizeof(totals));
	if (mode == METRICS_NAN)
		out->errors_5xx = NAN;
	if (mode == METRICS_STALE)
		out->at_ms = world->mono_ms - 3600000;
	if (mode == METRICS_CONSTANT) {
		out->requests = 1000;
		out->errors_5xx = 0;
		out->bucket_total[0] = out->bucket_total[1] = out->bucket_total[2] = 1000;
	}
	if (mode == METRICS_FALLING) {
		out->requests = out->bucket_total[0] = out->bucket_total[1] = out->bucket_total[2] = fmax(0, 100000 - n);
		out->errors_5xx = 0;
	}
	if (mode == METRICS_FOREIGN)
		snprintf(out->replica, sizeof(out->replica), "somebody-else-%zu", k);
	if (out->errors_5xx > 0)
		texts_add(&out->errors, "HTTP 500 \"output 0 is NaN\"");
}

static int fake_sample(void *state, const struct revision *revision, struct sample *samples, size_t *count, struct err *err) {
	struct fake_client *client = state;
	struct fake_world *world = client->world;
	enum fake_fault fault;
	*count = 0;
	if (enter(client, &fault, err) != 0)
		return -1;
	if (fault == FAULT_LOST || fault == FAULT_LATE || fault == FAULT_KILL_AFTER)
		return leave(client, fault, 0, err);
	flow(world);
	int i = fake_index_of(world, revision);
	enum fake_metrics mode = model_of(world, &revision->image)->metrics;
	if (i < 0 || !world->revisions[i].exists || mode == METRICS_MISSING)
		return 0;
	struct observed seen;
	seen.count = world->is_rolling ? 0 : (size_t) world->revisions[i].desired;
	if (world->is_rolling)
		rolling_observe(world, i, &seen);
	for (size_t k = 0; k < seen.count; k++) {
		fill_sample(world, &world->revisions[i], mode, k, seen.count, &samples[*count]);
		if (world->is_rolling && mode != METRICS_FOREIGN)
			memcpy(samples[*count].replica, seen.replicas[k].name, sizeof(samples[*count].replica));
		(*count)++;
	}
	return 0;
}

/* Behind a front door each request meets another pod. */
static int any_pod(struct fake_world *world) {
	size_t ready = rolling_ready(world, -1), at = ready ? (size_t) (fake_random(world) * (double) ready) : 0;
	for (size_t i = 0; i < world->main.count; i++)
		if (rolling_is_ready(world, &world->main.pods[i]) && at-- == 0)
			return world->main.pods[i].revision;
	return -1;
}

static bool is_listening(struct fake_world *world, int i) {
	struct observed seen;
	seen.count = 0;
	if (!world->is_rolling)
		return world->revisions[i].exists && ready_count(world, &world->revisions[i]);
	rolling_observe(world, i, &seen);
	for (size_t k = 0; k < seen.count; k++)
		if (seen.replicas[k].state == REPLICA_READY)
			return true;
	return false;
}

/* One golden example: rows [[1]] are labelled 1. */
static int fake_call(
	void *state, const struct revision *revision, const struct target_request *request, struct target_answer *answer, struct err *err) {
	struct fake_client *client = state;
	struct fake_world *world = client->world;
	enum fake_fault fault;
	(void) request;
	if (enter(client, &fault, err) != 0)
		return -1;
	if (fault == FAULT_LOST || fault == FAULT_LATE || fault == FAULT_KILL_AFTER)
		return leave(client, fault, 0, err);
	if (world->mono_ms < world->away_until_ms)
		return err_set(err, ERR_UNCLEAR, "the way there is away");
	if (!revision && world->mono_ms < world->door_shut_until_ms)
		return err_set(err, ERR_NETWORK, "nobody is behind the front door");
	int i = revision ? fake_index_of(world, revision) : world->is_rolling ? any_pod(world) : world->front;
	if (i < 0 || !is_listening(world, i))
		return err_set(err, ERR_NETWORK, "nobody listens");
	const struct fake_model *model = model_of(world, &world->revisions[i].revision.image);
	double errors = world->revisions[i].errors;
	serve(world, &world->revisions[i], 1);
	answer->status = world->revisions[i].errors > errors ? 500 : 200;
	answer->body = mem_format("{\"predictions\":[{\"label\":%d}]}", model->is_wrong ? 9 : 1);
	answer->body_len = strlen(answer->body);
	return 0;
}

static int fake_logs(void *state, const struct revision *revision, int lines, struct texts *out, char cursor[64], struct err *err) {
	struct fake_client *client = state;
	enum fake_fault fault;
	(void) revision, (void) lines, (void) cursor;
	if (enter(client, &fault, err) != 0)
		return -1;
	texts_add(out, "replica: a line of its log");
	return leave(client, fault, 0, err);
}

static int fake_events(void *state, struct texts *out, struct err *err) {
	struct fake_client *client = state;
	enum fake_fault fault;
	if (enter(client, &fault, err) != 0)
		return -1;
	texts_add(out, "an event");
	return leave(client, fault, 0, err);
}

static int fake_address(void *state, char out[256], struct err *err) {
	(void) state, (void) err;
	snprintf(out, 256, "http://127.0.0.1:1");
	return 0;
}

#define FAKE_VERBS                                                                                                                         \
	.check = fake_check, .observe = fake_observe, .stage = fake_stage, .poll = fake_observe, .route = fake_route,                      \
	.retire = fake_retire, .destroy = fake_destroy, .head_get = fake_head_get, .head_put = fake_head_put, .hold = fake_hold,           \
	.is_gone = fake_is_gone, .keep_put = fake_keep_put, .keep_get = fake_keep_get, .sample = fake_sample, .call = fake_call,           \
	.logs = fake_logs, .events = fake_events, .address = fake_address

const struct target fake_target = {.name = "fake", .caps = TARGET_SPLIT | TARGET_HOT, FAKE_VERBS};
const struct target fake_rolling_target = {
	.name = "fake-rolling", .caps = TARGET_SPLIT | TARGET_HOT | TARGET_ROLLING, .diff = fake_diff, FAKE_VERBS};
