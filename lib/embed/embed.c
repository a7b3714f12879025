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
EMBED(init_mlctl_yaml, "templates/init/mlctl.yaml")

struct str embed_runner(void) {
	return BYTES(runner);
}

struct str embed_runner_digest(void) {
	return BYTES(runner_digest);
}

struct str embed_template(const char *path) {
	if (strcmp(path, "init/mlctl.yaml") == 0)
		return BYTES(init_mlctl_yaml);
	return (struct str){0};
}
