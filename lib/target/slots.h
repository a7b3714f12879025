/* A small text that is replaced so that a crash or a full disk leaves the old one whole: one file, preallocated, two checksummed slots written in
 * turn. The text's version is its sequence number; a writer says which version it read, and loses when another came between. */
#pragma once

#include "os/fs.h"

/* *len 0 and version "" when there is nothing yet. ERR_INVALID when both slots are broken. */
int slots_get(const char *path, char *bytes, size_t bytes_max, size_t *len, char version[64], struct err *err);
/* version "": only when there is nothing yet. ERR_CONFLICT when the version is another. Takes a lock beside the file for the moment. */
int slots_put(const char *path, const char *bytes, size_t len, const char *version, char new_version[64], struct err *err);
