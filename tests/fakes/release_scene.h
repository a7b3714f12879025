/* What the release engine's harness plays: a scene is a world made ready and one command in it. scene_problem() says what is wrong with how
 * the command ended and with what it left, or NULL; tests fail on a problem, and the broken twins must cause one. */
#pragma once

#include "fakes/fake_target.h"

#include "release/session.h"

enum scene_act { ACT_DEPLOY, ACT_ROLLBACK, ACT_DESTROY };

struct scene {
	const char *name;
	const char *before; /* images deployed before, in order: "AB" */
	enum scene_act act;
	char image; /* ACT_DEPLOY: its letter. 'B' and 'C' are good; see scene_world() for the others */
	bool is_canary_none, has_flock, is_rolling, is_retire_greedy;
	char settles; /* after one more of the same command this image serves; 0: none */
};

struct ending {
	int rc;
	struct err err;
	struct release_result result;
};

/* Letters: A B C good, Z good and slow, X one error in five, S can't start, F never ready, H (where it rolls) half of it ready, W wrong
 * answers, N metrics missing, L another digest. */
void scene_world(struct fake_world *world, const struct scene *scene);
void scene_copy(struct fake_world *to, const struct fake_world *from);
void scene_act(struct fake_client *client, const struct scene *scene, const struct engine_row *table, struct ending *ending);
void scene_act_waiting(
	struct fake_client *client, const struct scene *scene, const struct engine_row *table, int64_t lock_wait_ms, struct ending *ending);
/* Right after the command, faults or not. `before` is the world it began in. */
const char *scene_problem(const struct scene *scene, const struct fake_world *before, struct fake_world *world,
	const struct fake_client *client, const struct ending *ending);
/* After a last command without faults: nothing half done may be left. */
const char *scene_unsettled(struct fake_world *world);
/* The part of it that also holds when the last command had nothing to do. */
const char *scene_unserved(struct fake_world *world);
/* Whatever happened and whoever works: traffic on the old or the new version. */
const char *scene_misrouted(const struct fake_world *before, struct fake_world *world);
/* While nobody does anything: traffic on the old or the new version, and no canary that gets any. */
const char *scene_drifted(const struct fake_world *before, struct fake_world *world);
/* After a destroy: nothing at all. */
const char *scene_left_over(struct fake_world *world);
/* A command without faults by somebody else, with patience for the lock. */
void scene_follow(struct fake_world *world, enum scene_act act, char image, struct ending *ending);
struct head scene_head(const struct fake_world *world);
