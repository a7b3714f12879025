/* A layer's tar stream extracted beneath one folder, and nowhere else.
 *
 * Names are resolved by openat2 beneath the root without following a symlink; devices, pipes and names with ".." are refused; a symlink
 * that would leave the root is refused, an absolute one is made relative to the root. Of a file's mode only its execute bit stays (0600,
 * 0700), of its owner nothing. Whiteouts of the image specification remove what an earlier layer put there. */
#pragma once

#include "data/tar.h"

struct extract;
/* root: a folder's descriptor, lent for the object's life. */
struct extract *extract_new(int root, const char *name, struct tar_limits limits);
void extract_free(struct extract *extract);
CLEANUP_POINTER(extract, struct extract *, extract_free)
#define AUTO_EXTRACT __attribute__((cleanup(extract_at_exit)))
/* One layer after the other: feed its bytes, then finish it. The limits hold for each layer. */
int extract_feed(struct extract *extract, const void *bytes, size_t len, struct err *err);
int extract_finish(struct extract *extract, struct err *err);
