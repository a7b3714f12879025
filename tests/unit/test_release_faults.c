/* Faults at every call, at a target that has old and new side by side. */
#include "fakes/release_torture.h"

int main(void) {
	return torture_main(TORTURE_SIDE_BY_SIDE);
}
