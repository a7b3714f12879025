#include "embed/embed.h"

/* The bytes of a file of the source tree, between two symbols. */
#define EMBED(name, file)                                                                                                                  \
	__asm__(".section .rodata\n"                                                                                                       \
		".balign 64\n"                                                                                                             \
		".global embed_" #name "_start\n"                                                                                          \
		"embed_" #name "_start:\n"                                                                                                 \
		".incbin \"" file "\"\n"                                                                                                   \
		".global embed_" #name "_end\n"                                                                                            \
		"embed_" #name "_end:\n"                                                                                                   \
		".byte 0\n"                                                                                                                \
		".previous\n");                                                                                                            \
	extern const char embed_##name##_start[], embed_##name##_end[];
#define BYTES(name)                                                                                                                        \
	(struct str) {                                                                                                                     \
		embed_##name##_start, (size_t) (embed_##name##_end - embed_##name##_start)                                                 \
	}

EMBED(runner, "build/release/mlctl-runner")
EMBED(runner_digest, "build/release/mlctl-runner.sha256")

/* embed_files.def: a line FILE(number, "path below templates/") for each template, made by the Makefile. */
#define FILE(number, path) EMBED(file_##number, "templates/" path)
#include "embed_files.def"
#undef FILE

static const struct {
	const char *path, *start, *end;
} files[] = {
#define FILE(number, path) {path, embed_file_##number##_start, embed_file_##number##_end},
#include "embed_files.def"
#undef FILE
};

struct str embed_runner(void) {
	return BYTES(runner);
}

struct str embed_runner_digest(void) {
	return BYTES(runner_digest);
}

struct str embed_template(const char *path) {
	struct str text;
	for (size_t i = 0; embed_template_at(i, &text); i++)
		if (strcmp(files[i].path, path) == 0)
			return text;
	return (struct str){0};
}

const char *embed_template_at(size_t index, struct str *text) {
	if (index >= sizeof(files) / sizeof(files[0]))
		return NULL;
	*text = (struct str){files[index].start, (size_t) (files[index].end - files[index].start)};
	return files[index].path;
}
