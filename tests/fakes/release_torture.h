/* Every call of every scene fails, in every way, one to three times in a row, or ends the engine as kill -9 would; then comes one more command, or a
 * long time and then one. Then the broken twins, which the same harness must catch. */
#pragma once

#include "fakes/release_scene.h"

/* The whole as a program's main(): at a target that has revisions side by side, or at one that rolls. */
int torture_main(bool is_rolling);
