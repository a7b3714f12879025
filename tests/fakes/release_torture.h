/* Every call of every scene fails, in every way, one to three times in a row, or ends the engine as kill -9 would; then comes one more
 * command, or a long time and then one. Then the broken twins, which the same harness must catch. */
#pragma once

#include "fakes/release_scene.h"

/* As a program's main(): everyday scenes at a target that has revisions side by side; the same at one that rolls; and there, what only
 * there can be found half way. */
enum torture { TORTURE_SIDE_BY_SIDE, TORTURE_ROLLING, TORTURE_ROLLS };
int torture_main(enum torture which);
