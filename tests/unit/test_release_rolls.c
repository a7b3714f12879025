/* Faults at every call of rolls that are slow, stop half way, or end at something bad; whoever comes next is there at once. */
#include "fakes/release_torture.h"

int main(void) {
	return torture_main(TORTURE_ROLLS);
}
