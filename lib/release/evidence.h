/* Why a release was undone, saved before the undo: the last log lines of each replica, events, the gate's arithmetic and counters, the
 * first distinct errors, who did what when. At most EVIDENCE_BYTES_MAX, redacted. Saving never holds up the undo: each call is made once.
 */
#pragma once

#include "release/run.h"

void evidence_save(struct run *run);
/* After the undo, when there is time: into the registry beside the record. Best effort; what fails is owed (head.unpushed). */
void evidence_push(struct run *run);
