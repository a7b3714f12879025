/* Faults at every call, at a target that rolls. */
#include "fakes/release_torture.h"

int main(void) {
	return torture_main(TORTURE_ROLLING);
}
