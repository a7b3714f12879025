/* The record of a release: one JSON text (mlctl.release/1), and how it lies in a registry: an index tagged "mlctl.<env>.r<N>" that lists
 * the image's manifest and the record's (an artifact whose subject is the image), so that one tag keeps both alive in any registry. The
 * index's digest is the release's; each record names the one before it. The target keeps the same text for a rollback without the registry.
 *
 * Internal to release/. Pure but for record_push, record_fetch and the keep_* calls. */
#pragma once

#include "release/head.h"

#define RECORD_GOLDEN_MAX ((size_t) 128 * 1024)
#define RECORD_BYTES_MAX ((size_t) 2 * 1024 * 1024)
#define EVIDENCE_BYTES_MAX ((size_t) 96 * 1024)

struct record_input {
	int64_t n, again, image_size;
	const struct revision *revision;
	const struct digest *image_index;
	const struct value *objects, *settings, *facts;
	const char *golden, *reason;
	const struct canary_settings *canary;
	const struct head_entry *before, *back; /* the release before it; where a rollback from it goes */
};
int record_write(const struct release_context *context, const struct record_input *input, char **out, struct err *err);

struct record_pack { /* what goes into the registry; every blob owns its text */
	struct blob record, config, manifest, evidence, evidence_manifest, index;
};
/* evidence may be NULL. Texts are copied. */
int record_pack(const struct release_context *context, int64_t n, const char *record, const char *evidence, struct record_pack *out,
	struct err *err);
void record_pack_clear(struct record_pack *pack);
int record_push(const struct release_context *context, int64_t n, const struct record_pack *pack, struct err *err);

/* What the target keeps: {"schema":"mlctl.kept/1","record":"...","evidence":"..."}; the two are texts so that their bytes stay the same. */
int record_keep(const struct release_context *context, int64_t n, const char *record, const char *evidence, struct err *err);
struct kept {
	char *record, *evidence; /* owned; evidence may be NULL */
	bool is_from_registry;	 /* which other places may write to as well */
};
void kept_clear(struct kept *kept);
/* From the target, else from the registry. ERR_NOT_FOUND when neither has it. */
int record_fetch(const struct release_context *context, int64_t n, struct kept *out, struct err *err);
/* Is it the record of release n of this service, and of the image and settings that the head names? entry NULL: the head does not say.
 * ERR_CONFLICT: a registry's tag can be moved by anybody who may write there. */
int record_check(
	const struct release_context *context, const struct value *record, int64_t n, const struct head_entry *entry, struct err *err);
/* Was it recorded for the place that this target is? ERR_CONFLICT: two clusters may share a repository and the name of an environment. What a place keeps
 * itself needs no such check: it went where the head went, and that is looked at. Only identities of one kind are compared. */
int record_check_place(const struct release_context *context, const struct value *record, int64_t n, struct err *err);
/* "mlctl.prod.r41" -> 41 when it is of this environment, else 0. */
int64_t record_tag_number(const char *tag, const char *env);
