/* The supervisor as a systemd unit, where systemd runs: then it outlives the session and comes back after a reboot. The system's for root, else
 * the user's. Only for the files of this room. */
#pragma once

#include "base/clock.h"
#include "os/fs.h"

bool unit_is_possible(const struct env *env);
/* Writes, enables and starts mlctl-SERVICE-ENVIRONMENT.service. */
int unit_start(const char *service, const char *environment, const char *folder, const char *program, const struct env *env, struct err *err);
/* Disables and removes it; one that is not there is fine. */
int unit_remove(const char *service, const char *environment, const struct env *env, struct err *err);
