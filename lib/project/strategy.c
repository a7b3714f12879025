#include "project/strategy.h"

static const struct strategy rows[STRATEGY_COUNT] = {
	{"low", "simple", "local", "runner", "the model runs as a process on one machine", true},
	{"low", "complex", "docker", "runner", "the model runs in a container on one machine, through the Docker Engine's or Podman's API",
		false},
	{"high", "simple", "kubernetes", "runner", "the model runs on Kubernetes, and the number of replicas follows the load", true},
	{"high", "complex", "kubernetes", "triton or tfserving",
		"a server for large models runs on Kubernetes, and the number of replicas follows the load", true},
};

const struct strategy *strategy_row(size_t index) {
	return index < STRATEGY_COUNT ? &rows[index] : NULL;
}

static int check_word(const char *option, const char *word, const char *a, const char *b, struct err *err) {
	if (strcmp(word, a) == 0 || strcmp(word, b) == 0)
		return 0;
	const char *near = text_nearest(word, (const char *const[]){a, b}, 2);
	err_set(err, ERR_USAGE, "%s: \"%s\" is not right, it must be %s or %s", option, word, a, b);
	return near ? err_fix(err, "%s %s", option, near) : -1;
}

int strategy_pick(const char *traffic, const char *model, const struct strategy **out, struct err *err) {
	traffic = traffic ? traffic : "low";
	model = model ? model : "simple";
	if (check_word("--traffic", traffic, "low", "high", err) != 0 || check_word("--model", model, "simple", "complex", err) != 0)
		return -1;
	for (size_t i = 0; i < STRATEGY_COUNT; i++)
		if (strcmp(rows[i].traffic, traffic) == 0 && strcmp(rows[i].model, model) == 0)
			*out = &rows[i];
	return 0;
}
