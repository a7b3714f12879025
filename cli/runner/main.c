#include "runner.h"

#include <signal.h>
#include <unistd.h>

static const struct {
	const char *name;
	int verb;
	const char *summary;
} verbs[] = {
	{"serve", FOR_SERVE, "load a model and answer predictions"},
	{"check", FOR_CHECK, "load a model, answer its golden examples, measure"},
	{"examples", FOR_EXAMPLES, "print golden examples: made-up rows and the model's own answers"},
	{"health", FOR_HEALTH, "ask a running server whether it is ready: exit 0 or 1"},
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

int runner_exit_code(const struct err *err) {
	return err->code == ERR_USAGE || err->code == ERR_CONFIG ? 2 : err->code == ERR_INVALID ? 4 : err->code == ERR_AUTH ? 5 : 1;
}

static void help(FILE *out) {
	fputs("mlctl-runner serves a model over HTTP.\n\nusage: mlctl-runner VERB [FLAG]...\n", out);
	for (size_t i = 0; i < VERBS; i++) {
		fprintf(out, "\n%s: %s\n", verbs[i].name, verbs[i].summary);
		options_help(out, verbs[i].verb);
	}
	fputs("\ncopy [--versioned] FROM TO: copy a folder, for an init container; --versioned: what holds no numbered folder is version 1\n"
	      "\nversion: print the version\n\n"
	      "example: mlctl-runner serve --model iris.onnx --listen 127.0.0.1:8080\n"
	      "         curl -d '{\"rows\":[[5.1,3.5,1.4,0.2]]}' http://127.0.0.1:8080/predict\n",
		out);
}

static int run(int verb, char *const *argv, const struct env *env, struct err *err) {
	struct options options;
	if (options_read(&options, verb, argv, env, err) != 0)
		return runner_exit_code(err);
	if (options.is_help) {
		help(stdout);
		return 0;
	}
	if (verb == FOR_HEALTH)
		return runner_health(&options, env, err);
	if (verb == FOR_EXAMPLES)
		return runner_examples(&options, err);
	return verb == FOR_SERVE ? runner_serve(&options, env, err) : runner_check(&options, err);
}

int main(int argc, char **argv) {
	struct env env = {environ};
	struct err err = {0};
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN); /* the terminal it was started from may go */
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		help(argc < 2 ? stderr : stdout);
		return argc < 2 ? 2 : 0;
	}
	if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0) {
		puts("mlctl-runner " MLCTL_VERSION);
		return 0;
	}
	const char *names[VERBS + 1] = {[VERBS] = "copy"};
	for (size_t i = 0; i <= VERBS; i++) {
		if (i < VERBS)
			names[i] = verbs[i].name;
		if (strcmp(argv[1], names[i]) != 0)
			continue;
		int rc = i < VERBS ? run(verbs[i].verb, argv + 2, &env, &err) : runner_copy(argv + 2, &err);
		if (err.message[0])
			fprintf(stderr, "error: %s\n%s%s%s", err.message, err.fix[0] ? "fix: " : "", err.fix, err.fix[0] ? "\n" : "");
		return rc;
	}
	const char *near = text_nearest(argv[1], names, VERBS + 1);
	fprintf(stderr, "error: %s: no such verb%s%s\nfix: mlctl-runner --help\n", argv[1], near ? "; did you mean " : "", near ? near : "");
	return 2;
}
