#include "embed/embed.h"

__asm__(".section .rodata\n"
	".balign 64\n"
	".global embed_runner_start\n"
	"embed_runner_start:\n"
	".incbin \"build/release/mlctl-runner\"\n"
	".global embed_runner_end\n"
	"embed_runner_end:\n"
	".byte 0\n"
	".previous\n");
extern const char embed_runner_start[], embed_runner_end[];

struct str embed_runner(void) {
	return (struct str) {embed_runner_start, (size_t) (embed_runner_end - embed_runner_start)};
}
