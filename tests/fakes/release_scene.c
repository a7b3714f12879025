#include "fakes/release_scene.h"

#define GOLDEN "{\"rows\":[[1]],\"predictions\":[{\"label\":1}],\"tolerance\":0.0001}\n"
#define LOCK_WAIT_MS 60000
#define READY_TIMEOUT 1000
#define INTERRUPT_MS_MAX 6000

static struct document *make_objects(void) {
	struct document *document = document_new("objects");
	value_add_int(document, value_root_object(document), "replicas", 2);
	return document;
}

static struct deploy_request make_request(char letter, const struct value *objects, bool is_canary_none) {
	struct deploy_request request = {.objects = objects,
		.golden = GOLDEN,
		.ready_timeout_ms = READY_TIMEOUT,
		.canary = {.is_none = is_canary_none,
			.weight = 10,
			.for_ms = 1000,
			.max_ms = 2000,
			.interval_ms = 500,
			.requests_min = 20,
			.error_rate_max = 0.2,
			.latency_p99_ms = 2000,
			.health_failures_max = 3}};
	request.revision.image = fake_digest(letter);
	request.revision.settings = fake_digest('_');
	return request;
}

void scene_act_waiting(struct fake_client *client, const struct scene *scene, const struct engine_row *table, int64_t lock_wait_ms,
	struct ending *ending) {
	AUTO_DOCUMENT struct document *objects = make_objects();
	*ending = (struct ending){0};
	if (scene->act == ACT_DEPLOY) {
		struct deploy_request request = make_request(scene->image, objects->root, scene->is_canary_none);
		request.lock_wait_ms = lock_wait_ms;
		ending->rc = release_deploy_with(&client->context, &request, table, &ending->result, &ending->err);
	} else if (scene->act == ACT_ROLLBACK) {
		struct rollback_request request = {.ready_timeout_ms = READY_TIMEOUT, .lock_wait_ms = lock_wait_ms};
		ending->rc = release_rollback_with(&client->context, &request, table, &ending->result, &ending->err);
	} else {
		ending->rc = release_destroy(&client->context, false, &ending->result, &ending->err);
	}
}

void scene_act(struct fake_client *client, const struct scene *scene, const struct engine_row *table, struct ending *ending) {
	scene_act_waiting(client, scene, table, LOCK_WAIT_MS, ending);
}

void scene_world(struct fake_world *world, const struct scene *scene) {
	fake_world_init(world);
	world->rps = 300;
	world->has_flock = scene->has_flock;
	world->is_rolling = scene->is_rolling;
	world->is_retire_greedy = scene->is_retire_greedy;
	fake_model_add(world, 'Z')->ready_ms = 700;
	fake_model_add(world, 'X')->error_rate = 0.6;
	fake_model_add(world, 'S')->is_stuck = true;
	fake_model_add(world, 'H')->ready_max = 1;
	fake_model_add(world, 'F')->is_failing = true;
	fake_model_add(world, 'W')->is_wrong = true;
	fake_model_add(world, 'N')->metrics = METRICS_MISSING;
	fake_model_add(world, 'L')->is_lying = true;
	for (const char *letter = scene->before; *letter; letter++) {
		struct ending ending;
		struct fake_client client;
		fake_client_init(&client, world, 0);
		scene_act(&client, &(struct scene){.act = ACT_DEPLOY, .image = *letter}, engine_table, &ending);
		if (ending.rc != 0 || ending.result.outcome != OUTCOME_DONE)
			fake_violate(
				world, "scene %s: %c did not deploy: %s%s", scene->name, *letter, ending.err.message, ending.result.cause);
	}
}

void scene_copy(struct fake_world *to, const struct fake_world *from) {
	*to = *from;
	to->clock.self = to;
	for (size_t i = 0; i < FAKE_KEPT_MAX; i++)
		if (from->kept[i].text)
			to->kept[i].text = mem_text(from->kept[i].text);
}

struct head scene_head(const struct fake_world *world) {
	struct head head;
	struct err err = {0};
	if (head_parse(world->head, world->head_len, &head, &err) != 0)
		abort();
	return head;
}

void scene_follow(struct fake_world *world, enum scene_act act, char image, struct ending *ending) {
	struct fake_client client;
	fake_client_init(&client, world, 9);
	scene_act(&client, &(struct scene){.act = act, .image = image}, engine_table, ending);
}

static bool is_serving(struct fake_world *world, const struct digest *image) {
	struct digest serving = fake_serving(world);
	return strcmp(serving.text, image->text) == 0;
}

/* Is what the command says true? */
static const char *lie(const struct scene *scene, const struct fake_world *before, struct fake_world *world,
	const struct fake_client *client, const struct ending *ending) {
	struct head was = scene_head(before), head = scene_head(world);
	if (scene->act == ACT_DESTROY)
		return ending->rc == 0 && ending->result.outcome == OUTCOME_DONE && world->head_len ? "destroyed, and the head is there"
												    : NULL;
	if (ending->rc != 0) {
		if (ending->err.code == ERR_NONE)
			return "failed without a word";
		return head.good.n != was.good.n || !is_serving(world, &was.good.image) ? "said that nothing was changed" : NULL;
	}
	bool is_over = false;
	switch (ending->result.outcome) {
	case OUTCOME_DONE:
	case OUTCOME_UNCHANGED: {
		struct digest wanted = fake_digest(scene->image);
		if (scene->act == ACT_DEPLOY && !digest_equal(&head.good.image, &wanted))
			return "done, and another image is good";
		is_over = true;
		break;
	}
	case OUTCOME_ROLLED_BACK:
	case OUTCOME_UNDECIDED:
		if (head.good.n != was.good.n)
			return "rolled back, and good moved";
		is_over = true;
		break;
	case OUTCOME_FAILED:
		if (was.good.n)
			return "failed with exit 8, and there was something to go back to";
		is_over = world->head_len != 0;
		break;
	case OUTCOME_INTERRUPTED:
		if (!client->signal)
			return "interrupted by nobody";
		if (client->fault != FAULT_SIGNAL_CUT && fake_canary_weight(world) > 0) /* then it falls back by itself */
			return "interrupted, and the canary has traffic";
		if (world->mono_ms - client->signal_ms > INTERRUPT_MS_MAX)
			return "took too long to stop after the interrupt";
		break;
	case OUTCOME_LOCKED:
		if (!client->is_dead && !world->baton)
			return "the lock was lost to nobody";
		break;
	case OUTCOME_REFUSED:
	case OUTCOME_ROLLBACK_FAILED:
		break;
	}
	if (!is_over)
		return NULL;
	if (head.good.n != ending->result.release)
		return "names a release that is not the good one";
	if (!is_serving(world, &head.good.image))
		return "says it is over, and something else serves";
	return head.candidate.is.n ? "says it is over, and left a candidate" : NULL;
}

const char *scene_misrouted(const struct fake_world *before, struct fake_world *world) {
	struct head head = scene_head(world);
	struct digest allowed[] = {head.good.image, head.candidate.is.image, fake_serving((struct fake_world *) before)};
	if (!head.good.n)
		return NULL;
	struct fake_revision *good = fake_find(world, &head.good.image);
	if (!good || !good->has_served || (!good->exists && !world->is_rolling)) /* what was rolled over exists in what is kept of it */
		return "good names something that is gone or never served";
	if (!fake_serving(world).text[0])
		return "nothing serves";
	return fake_serves_only(world, allowed, 3) ? NULL : "neither the old nor the new version serves";
}

const char *scene_problem(const struct scene *scene, const struct fake_world *before, struct fake_world *world,
	const struct fake_client *client, const struct ending *ending) {
	if (world->violation_count)
		return world->violations;
	const char *problem = scene_misrouted(before, world);
	return problem || client->is_dead ? problem : lie(scene, before, world, client, ending);
}

const char *scene_drifted(const struct fake_world *before, struct fake_world *world) {
	if (world->violation_count)
		return world->violations;
	return fake_canary_weight(world) > 0 ? "a canary has traffic and nobody watches it" : scene_misrouted(before, world);
}

const char *scene_left_over(struct fake_world *world) {
	if (world->violation_count)
		return world->violations;
	if (world->head_len)
		return "the head is left";
	for (size_t i = 0; i < world->revision_count; i++)
		if (world->revisions[i].exists)
			return "a revision is left";
	return fake_serving(world).text[0] || world->main.exists || world->side.exists || world->shared >= 0 ? "something still serves"
													     : NULL;
}

const char *scene_unserved(struct fake_world *world) {
	struct head head = scene_head(world);
	if (world->violation_count)
		return world->violations;
	if (head.candidate.is.n)
		return "a candidate is left";
	if (head.good.n && !is_serving(world, &head.good.image))
		return "good does not serve";
	if (!head.good.n && fake_serving(world).text[0])
		return "something serves that the head does not know";
	if (world->is_rolling && !head.good.n && world->shared >= 0)
		return "a Service is left of nobody";
	if (world->is_rolling && head.good.n && !digest_equal(&world->revisions[world->shared].revision.image, &head.good.image))
		return "the Service is another release's";
	return fake_canary_weight(world) > 0 ? "a canary is left with traffic" : NULL;
}

const char *scene_unsettled(struct fake_world *world) {
	struct head head = scene_head(world);
	const char *problem = scene_unserved(world);
	if (problem)
		return problem;
	if (head.lock.fence)
		return "a lock is left";
	if (head.debt_count)
		return "something is still to be retired";
	for (size_t i = 0; i < world->revision_count; i++)
		if (world->revisions[i].exists && !digest_equal(&world->revisions[i].revision.image, &head.good.image))
			return "a revision without traffic is left running";
	if (world->side.exists)
		return "a canary is left running";
	return world->main.exists && !head.good.n ? "NAME is left, and there is no good release" : NULL;
}
