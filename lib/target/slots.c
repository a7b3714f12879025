#include "target/slots.h"

#include "data/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define SLOT_BYTES 16384
#define SLOT_MAGIC "mlctlsl1"

struct slot {
	char magic[8];
	uint64_t sequence;
	uint32_t len, unused;
	char digest[DIGEST_TEXT_MAX]; /* of sequence, len and bytes */
	char bytes[SLOT_BYTES - 24 - DIGEST_TEXT_MAX];
};
_Static_assert(sizeof(struct slot) == SLOT_BYTES, "a slot is four pages");

static void slot_digest(const struct slot *slot, struct digest *out) {
	struct digest_state *state = digest_start();
	digest_add(state, &slot->sequence, sizeof(slot->sequence));
	digest_add(state, &slot->len, sizeof(slot->len));
	digest_add(state, slot->bytes, slot->len);
	digest_finish(state, out);
}

static bool slot_is_good(const struct slot *slot) {
	struct digest digest;
	if (memcmp(slot->magic, SLOT_MAGIC, 8) != 0 || slot->len > sizeof(slot->bytes))
		return false;
	slot_digest(slot, &digest);
	return memcmp(slot->digest, digest.text, sizeof(digest.text)) == 0;
}

/* The newest good slot, its index in *at; NULL result (at -1) for a fresh file. */
static int read_newest(int fd, const char *path, struct slot *out, int *at, struct err *err) {
	bool is_fresh = true;
	*at = -1;
	for (int i = 0; i < 2; i++) {
		AUTO_FREE struct slot *slot = NEW(struct slot);
		size_t got = 0;
		if (fs_pread(fd, slot, sizeof(*slot), (int64_t) i * SLOT_BYTES, &got, path, err) != 0)
			return -1;
		for (size_t k = 0; is_fresh && k < got; k++)
			is_fresh = ((const char *) slot)[k] == 0;
		if (got == sizeof(*slot) && slot_is_good(slot) && (*at < 0 || slot->sequence > out->sequence)) {
			*out = *slot;
			*at = i;
		}
	}
	if (*at < 0 && !is_fresh)
		return err_set(err, ERR_INVALID, "%s: both copies are damaged", path);
	return 0;
}

int slots_get(const char *path, char *bytes, size_t bytes_max, size_t *len, char version[64], struct err *err) {
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_FREE struct slot *slot = NEW(struct slot);
	int at = -1;
	if (fd < 0 && errno != ENOENT) /* what cannot be read is not "nothing deployed" */
		return err_sys(err, "%s", path);
	if (fd >= 0 && read_newest(fd, path, slot, &at, err) != 0)
		return -1;
	if (at >= 0 && slot->len > bytes_max)
		return err_set(err, ERR_LIMIT, "%s: %u bytes, at most %zu", path, slot->len, bytes_max);
	*len = at < 0 ? 0 : slot->len;
	version[0] = '\0';
	if (at >= 0) {
		memcpy(bytes, slot->bytes, slot->len);
		snprintf(version, 64, "%llu-%.12s", (unsigned long long) slot->sequence, slot->digest + 7);
	}
	return 0;
}

static int put_locked(const char *path, const char *bytes, size_t len, const char *version, char new_version[64], struct err *err) {
	AUTO_CLOSE int fd = -1;
	AUTO_FREE struct slot *old = NEW(struct slot);
	AUTO_FREE struct slot *new = NEW(struct slot);
	int at = -1;
	char now[64] = "";
	if (fs_open(path, O_RDWR | O_CREAT, 0600, &fd, err) != 0)
		return -1;
	struct stat info;
	if (fstat(fd, &info) != 0 || (info.st_size < 2 * SLOT_BYTES && posix_fallocate(fd, 0, 2 * SLOT_BYTES) != 0))
		return err_set(err, ERR_NOSPACE, "%s: no room for %d bytes", path, 2 * SLOT_BYTES);
	if (read_newest(fd, path, old, &at, err) != 0)
		return -1;
	if (at >= 0)
		snprintf(now, sizeof(now), "%llu-%.12s", (unsigned long long) old->sequence, old->digest + 7);
	if (strcmp(now, version) != 0)
		return err_set(err, ERR_CONFLICT, "%s: another wrote it meanwhile (version %s, expected %s)", path, now[0] ? now : "none", version[0] ? version : "none");
	memcpy(new->magic, SLOT_MAGIC, 8);
	new->sequence = at < 0 ? 1 : old->sequence + 1;
	new->len = (uint32_t) len;
	memcpy(new->bytes, bytes, len);
	struct digest digest = {0};
	slot_digest(new, &digest);
	memcpy(new->digest, digest.text, sizeof(digest.text));
	off_t offset = at == 0 ? SLOT_BYTES : 0;
	if (pwrite(fd, new, sizeof(*new), offset) != (ssize_t) sizeof(*new) || fdatasync(fd) != 0)
		return err_sys(err, "writing %s", path);
	snprintf(new_version, 64, "%llu-%.12s", (unsigned long long) new->sequence, new->digest + 7);
	return 0;
}

int slots_put(const char *path, const char *bytes, size_t len, const char *version, char new_version[64], struct err *err) {
	if (len > sizeof(((struct slot *) 0)->bytes))
		return err_set(err, ERR_LIMIT, "%s: %zu bytes, at most %zu", path, len, sizeof(((struct slot *) 0)->bytes));
	AUTO_FREE char *lock_path = mem_format("%s.lock", path);
	AUTO_CLOSE int lock = -1;
	if (fs_lock(lock_path, true, &lock, err) != 0)
		return -1;
	return put_locked(path, bytes, len, version, new_version, err);
}
