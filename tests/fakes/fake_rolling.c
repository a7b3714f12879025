/* The world of a target that rolls, as Kubernetes does with maxSurge 1 and maxUnavailable 0: NAME's pods go from one template to the next
 * by themselves, whether anybody looks or not, and traffic is on whatever pod is ready. */
#include "fakes/fake_target.h"

#include <errno.h>

bool rolling_is_ready(const struct fake_world *world, const struct fake_pod *pod) {
	const struct fake_model *model = fake_model_of(world, pod->revision);
	size_t before = 0;
	for (const struct fake_pod *p = world->main.pods; model->ready_max && p < pod && pod < world->main.pods + FAKE_PODS_MAX; p++)
		before += p->revision == pod->revision;
	return !model->is_stuck && !model->is_failing && world->mono_ms - pod->started_ms >= model->ready_ms &&
	       (!model->ready_max || before < model->ready_max);
}

int fake_contested(struct err *err) {
	err_set(err, ERR_CONFLICT, "spec.replicas is kubectl's");
	err->sys = EPERM; /* as kube/ marks what belongs to somebody else */
	return -1;
}

void fake_by_hand(struct fake_world *world, char letter, int64_t replicas) {
	struct revision revision = {.image = fake_digest(letter), .settings = fake_digest('?')};
	revision_name(&revision.image, &revision.settings, revision.name);
	world->main.exists = true;
	world->main.revision = fake_index_for(world, &revision);
	world->main.desired = replicas;
	world->revisions[world->main.revision].is_foreign = true;
	world->main.had_ready = world->main.had_ready && replicas > 0;
	rolling_move(world);
}

static size_t pods_of(const struct fake_deployment *deployment, int revision) {
	size_t count = 0;
	for (size_t i = 0; i < deployment->count; i++)
		count += deployment->pods[i].revision == revision;
	return count;
}

size_t rolling_ready(const struct fake_world *world, int revision) {
	size_t ready = 0;
	for (size_t i = 0; i < world->main.count; i++)
		ready += (revision < 0 || world->main.pods[i].revision == revision) && rolling_is_ready(world, &world->main.pods[i]);
	return ready;
}

bool rolling_is_whole(const struct fake_world *world, int revision) {
	const struct fake_deployment *main = &world->main;
	return main->exists && main->revision == revision && main->desired > 0 && (int64_t) main->count == main->desired &&
	       pods_of(main, revision) == main->count && rolling_ready(world, revision) == main->count;
}

static void remove_pod(struct fake_deployment *deployment, size_t at) {
	deployment->count--;
	memmove(&deployment->pods[at], &deployment->pods[at + 1], (deployment->count - at) * sizeof(deployment->pods[0]));
}

/* The pod that goes first: of an old template and not ready, then of an old one, then what is too many. -1: none may go. */
static int victim(const struct fake_world *world, const struct fake_deployment *deployment) {
	int64_t ready = 0, new = (int64_t) pods_of(deployment, deployment->revision);
	int old_ready = -1, new_waiting = -1;
	for (size_t i = 0; i < deployment->count; i++) {
		const struct fake_pod *pod = &deployment->pods[i];
		bool is_ready = rolling_is_ready(world, pod), is_old = pod->revision != deployment->revision;
		ready += is_ready;
		if (is_old && !is_ready)
			return (int) i;
		if (is_old && old_ready < 0)
			old_ready = (int) i;
		if (!is_old && (!is_ready || new_waiting < 0))
			new_waiting = (int) i;
	}
	if (old_ready >= 0 && ready > deployment->desired)
		return old_ready;
	return new > deployment->desired ? new_waiting : -1;
}

static bool move_one(struct fake_world *world, struct fake_deployment *deployment) {
	if (!deployment->exists)
		return false;
	int gone = victim(world, deployment);
	if (gone >= 0) {
		remove_pod(deployment, (size_t) gone);
		return true;
	}
	bool has_room = (int64_t) deployment->count < deployment->desired + 1 && deployment->count < FAKE_PODS_MAX;
	if ((int64_t) pods_of(deployment, deployment->revision) >= deployment->desired || !has_room)
		return false;
	deployment->pods[deployment->count++] = (struct fake_pod){deployment->revision, world->mono_ms};
	return true;
}

bool rolling_is_moving(const struct fake_world *world) {
	return world->main.exists && !rolling_is_whole(world, world->main.revision);
}

void rolling_move(struct fake_world *world) {
	if (!world->is_rolling)
		return;
	while (move_one(world, &world->main) || move_one(world, &world->side)) {}
	for (size_t i = 0; i < world->revision_count; i++) {
		struct fake_revision *revision = &world->revisions[i];
		bool is_template =
			(world->main.exists && world->main.revision == (int) i) || (world->side.exists && world->side.revision == (int) i);
		revision->exists = is_template || pods_of(&world->main, (int) i) > 0;
		revision->has_served = revision->has_served || rolling_ready(world, (int) i) > 0;
	}
	rolling_watch(world);
}

void rolling_observe(struct fake_world *world, int revision, struct observed *out) {
	const struct fake_deployment *main = &world->main, *side = &world->side;
	bool is_at = main->exists && main->revision == revision, is_side = side->exists && side->revision == revision;
	bool is_main = is_at || pods_of(main, revision) > 0;
	double weight = fake_canary_weight(world);
	out->exists = is_main || is_side;
	if (!out->exists)
		return;
	const struct fake_deployment *from = is_main ? main : side;
	const struct fake_model *model = fake_model_of(world, revision);
	out->desired = from->desired;
	/* The share is 100 only when nothing else could answer; a canary of its own goes first, another's may stay as long as it gets
	 * nothing. */
	if (!is_main)
		out->weight = world->canary == revision ? weight : 0;
	else if (is_at && main->desired > 0)
		out->weight = rolling_is_whole(world, revision) && !is_side ? 100 - weight : 50;
	for (size_t i = 0; i < from->count; i++) {
		const struct fake_pod *pod = &from->pods[i];
		if (pod->revision != revision)
			continue;
		struct replica *replica = &out->replicas[out->count++];
		*replica = (struct replica){0};
		snprintf(replica->name, sizeof(replica->name), "%s-%lld", is_main ? "fraud" : "fraud-canary", (long long) pod->started_ms);
		replica->state = model->is_stuck		? REPLICA_STUCK
				 : model->is_failing		? REPLICA_FAILING
				 : rolling_is_ready(world, pod) ? REPLICA_READY
								: REPLICA_STARTING;
		if (replica->state == REPLICA_READY)
			replica->serving = model->is_lying ? fake_digest('!') : world->revisions[revision].revision.image;
		if (model->is_stuck)
			snprintf(replica->reason, sizeof(replica->reason), "exits with 4: the model can't be loaded");
		if (model->is_breaking && world->revisions[revision].requests > 3)
			fake_break(replica);
	}
}

void rolling_stage(struct fake_world *world, int revision) {
	struct fake_deployment *side = &world->side;
	struct fake_revision *staged = &world->revisions[revision];
	if (!side->exists || side->revision != revision)
		side->count = 0; /* one of another revision is replaced, pod and all */
	if (!side->exists && !staged->exists)
		staged->requests = staged->errors = staged->slow = staged->owed = 0;
	*side = (struct fake_deployment){.exists = true, .revision = revision, .desired = 1, .count = side->count, .pods = {side->pods[0]}};
	if (world->canary >= 0 && world->canary != revision)
		world->canary = -1;
	rolling_move(world);
}

static int set_share(struct fake_world *world, const struct revision *stable, int revision, double weight, struct err *err) {
	struct fake_deployment *main = &world->main;
	if (weight > 0 && (!stable || pods_of(main, fake_index_of(world, stable)) == 0))
		return err_set(err, ERR_NOT_FOUND, "no pod of %s to hand anything on", stable ? stable->name : "nobody");
	if (weight > 0 && (!world->side.exists || world->side.revision != revision))
		return err_set(err, ERR_NOT_FOUND, "there is no such canary");
	if (!stable && weight <= 0 && main->exists && main->revision == revision)
		main->desired = 0;
	world->canary = weight > 0 ? revision : -1;
	world->weight = weight;
	return 0;
}

/* Cut short: of what it applies only the Service and its like, or only NAME. */
void rolling_route_half(struct fake_world *world, int revision, const struct value *objects, double weight, bool is_main) {
	int shared = world->shared;
	if (weight < 100 || !objects)
		return;
	if (is_main &&
		rolling_route(world, NULL, revision, objects, weight, world->main.exists ? world->main.desired : 2, &(struct err){0}) == 0)
		world->shared = shared;
	else
		world->shared = revision;
}

int rolling_route(struct fake_world *world, const struct revision *stable, int revision, const struct value *objects, double weight,
	int64_t full, struct err *err) {
	struct fake_deployment *main = &world->main, *side = &world->side;
	rolling_move(world);
	if (weight < 100) {
		if (set_share(world, stable, revision, weight, err) != 0)
			return -1;
	} else if (!objects) {
		return err_set(err, ERR_INVALID, "no objects to roll to");
	} else if (world->is_contested) {
		return fake_contested(err);
	} else {
		world->shared = revision;
		main->exists = true;
		main->revision = revision;
		main->desired = full;
		if (world->canary >= 0 && world->canary != revision)
			world->canary = -1;
		if (side->exists && side->revision == revision && rolling_is_whole(world, revision)) {
			*side = (struct fake_deployment){.revision = -1};
			world->canary = -1;
		}
	}
	rolling_move(world);
	return 0;
}

int rolling_retire(struct fake_world *world, int revision, struct err *err) {
	struct fake_deployment *main = &world->main, *side = &world->side;
	rolling_move(world);
	bool is_at = main->exists && main->revision == revision;
	if (revision < 0)
		return 0;
	if (fake_canary_weight(world) > 0 && world->canary == revision)
		return err_set(err, ERR_CONFLICT, "the canary still gets traffic");
	if (!world->is_retire_greedy && ((is_at && main->desired > 0) || pods_of(main, revision) > 0))
		return err_set(err, ERR_CONFLICT, "%zu pods of it serve", pods_of(main, revision));
	if (side->exists && side->revision == revision)
		*side = (struct fake_deployment){.revision = -1};
	if (is_at)
		*main = (struct fake_deployment){.revision = -1, .had_ready = main->had_ready};
	if (!main->exists && world->shared == revision)
		world->shared = -1;
	rolling_move(world);
	return 0;
}

/* What must never be, whoever works and however slowly. */
void rolling_watch(struct fake_world *world) {
	struct fake_deployment *main = &world->main;
	size_t ready = rolling_ready(world, -1);
	if (world->canary >= 0 && (!world->side.exists || world->side.revision != world->canary))
		fake_violate(world, "a share of the traffic goes to a canary that is gone");
	main->had_ready = main->had_ready || ready > 0;
	if (!world->head_len)
		return;
	const struct fake_model *model = fake_model_of(world, world->known_good);
	if (main->had_ready && !ready && world->known_good >= 0 && !model->is_stuck && !model->is_failing)
		fake_violate(world, "no pod of NAME is ready any more");
	for (size_t i = 0; i < main->count; i++) {
		int at = main->pods[i].revision;
		bool is_known = at == world->known_good || at == world->known_candidate || world->revisions[at].is_foreign;
		if (!is_known && rolling_is_ready(world, &main->pods[i]))
			fake_violate(world, "traffic on %s, which the head does not know", world->revisions[at].revision.name);
	}
}
