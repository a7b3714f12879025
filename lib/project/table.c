#include "project/table.h"

#include "project/names.h"
#include "project/project.h"

#include <stddef.h>

#define HOUR_MS 3600000
#define DAY_MS (24 * (int64_t) HOUR_MS)

static const struct field model[] = {
	{"path", FIELD_AT_TEXT(struct settings, model.path), .is_needed = true, .check = names_check_path, .example = "model.onnx",
		.help = "The model: an .onnx file, or a folder that holds one, relative to this file"},
	{"golden", FIELD_AT_TEXT(struct settings, model.golden), .check = names_check_path, .example = "golden.jsonl",
		.help = "Example requests with the answers expected; each build and each rollout must answer them"},
	{"name", FIELD_AT_TEXT(struct settings, model.name), .check = names_check_model, .pattern = NAMES_MODEL_PATTERN, .example = "fraud",
		.is_deployed = true, .help = "The model's name in requests; without it the file's name"},
	{0},
};
static const struct field_table model_table = {.fields = model};

static const struct field serve[] = {
	{"port", FIELD_AT_INT(struct settings, serve.port), .fallback = "8080", .min = 1, .max = 65535, .is_deployed = true,
		.help = "The port that answers requests"},
	{"timeout", FIELD_AT_DURATION(struct settings, serve.timeout_ms), .fallback = "10s", .min = 1, .max = HOUR_MS, .is_deployed = true,
		.help = "The longest that one request may take"},
	{"auth", .kind = FIELD_LATER, .help = "Who may ask: an API key or a JWT"},
	{"rateLimit", .kind = FIELD_LATER, .help = "How often one client may ask"},
	{0},
};
static const struct field_table serve_table = {.fields = serve};

static const struct field resources[] = {
	{"cpu", FIELD_AT_CPU(struct settings, resources.cpu_millicores), .is_deployed = true, .example = "500m",
		.help = "Processor time of one replica; without it no limit"},
	{"memory", FIELD_AT_MEMORY(struct settings, resources.memory_bytes), .is_deployed = true, .example = "256Mi",
		.help = "Memory of one replica; without it no limit"},
	{0},
};
static const struct field_table resources_table = {.fields = resources};

static const struct field scale[] = {
	{"min", FIELD_AT_INT(struct settings, scale.min), .fallback = "1", .min = 1, .max = 1000, .is_deployed = true,
		.help = "Replicas at least"},
	{"max", FIELD_AT_INT(struct settings, scale.max), .min = 1, .max = 1000, .is_deployed = true,
		.help = "Replicas at most; without it as many as min"},
	{"cpu", FIELD_AT_SHARE(struct settings, scale.cpu), .fallback = "70%", .min = 1, .max = 100, .is_deployed = true,
		.help = "The processor load that scaling between min and max aims at"},
	{0},
};
static const struct field_table scale_table = {.fields = scale};

static const struct field canary[] = {
	{"weight", FIELD_AT_SHARE(struct settings, rollout.canary.weight), .fallback = "10%", .min = 1, .max = 99,
		.help = "The share of requests that a new version gets while it is watched"},
	{"for", FIELD_AT_DURATION(struct settings, rollout.canary.for_ms), .fallback = "5m", .min = 1000, .max = DAY_MS,
		.help = "How long it is watched at least; in environment local 10s unless set"},
	{"minRequests", FIELD_AT_INT(struct settings, rollout.canary.requests_min), .fallback = "100", .min = 1, .max = 1000000,
		.help = "How many answers it must have given before it passes"},
	{"max", FIELD_AT_DURATION(struct settings, rollout.canary.max_ms), .fallback = "30m", .min = 1000, .max = 7 * DAY_MS,
		.help = "Undecided until then, it is undone"},
	{0},
};
static const struct field_table canary_table = {.fields = canary};

static const struct field rollback[] = {
	{"errorRate", FIELD_AT_SHARE(struct settings, rollout.rollback.error_rate), .fallback = "5%", .min = 0, .max = 100,
		.help = "More errors than this undo it"},
	{"latencyP99", FIELD_AT_DURATION(struct settings, rollout.rollback.latency_p99_ms), .fallback = "2s", .min = 1, .max = HOUR_MS,
		.help = "More than one request in a hundred slower than this undoes it"},
	{"healthFailures", FIELD_AT_INT(struct settings, rollout.rollback.health_failures), .fallback = "3", .min = 0, .max = 1000,
		.help = "More failed health checks than this undo it"},
	{0},
};
static const struct field_table rollback_table = {.fields = rollback};

static const struct field rollout[] = {
	{"canary", .kind = FIELD_STRUCT, .table = &canary_table, .offset_on = FIELD_AT(bool, struct settings, rollout.canary.is_on),
		.help = "A new version first gets a share of the requests and is watched; none: it gets all at once"},
	{"rollback", .kind = FIELD_STRUCT, .table = &rollback_table, .help = "When a new version is undone"},
	{0},
};
static const struct field_table rollout_table = {.fields = rollout};

static const struct field registry[] = {
	{"insecure", FIELD_AT_BOOL(struct settings, registry.is_insecure), .fallback = "false",
		.help = "Plain http, or a certificate that nobody vouches for, is accepted"},
	{"caFile", FIELD_AT_TEXT(struct settings, registry.ca_file), .example = "ca.pem",
		.help = "Certificates that vouch for the registry, in PEM"},
	{0},
};
static const struct field_table registry_table = {.fields = registry};

static const struct field top[] = {
	{"name", FIELD_AT_TEXT(struct settings, name), .is_needed = true, .is_deployed = true, .check = names_check_service,
		.pattern = NAMES_LABEL_PATTERN, .example = "fraud", .help = "The service's name"},
	{"image", FIELD_AT_TEXT(struct settings, image), .check = names_check_image, .example = "registry.example.com/team/fraud",
		.help = "The repository images are pushed to; without it a folder on this machine stands in for a registry"},
	{"model", .kind = FIELD_STRUCT, .table = &model_table, .is_deployed = true, .help = "What is served"},
	{"serve", .kind = FIELD_STRUCT, .table = &serve_table, .is_deployed = true, .help = "How requests are answered"},
	{"resources", .kind = FIELD_STRUCT, .table = &resources_table, .is_deployed = true, .help = "What one replica may use"},
	{"scale", .kind = FIELD_STRUCT, .table = &scale_table, .is_deployed = true, .help = "How many replicas there are"},
	{"rollout", .kind = FIELD_STRUCT, .table = &rollout_table, .help = "How a new version takes over"},
	{"registry", .kind = FIELD_STRUCT, .table = &registry_table, .help = "How the registry is reached"},
	{"base", FIELD_AT_TEXT(struct settings, base), .fallback = "scratch", .check = names_check_base, .example = "scratch",
		.help = "The image below the runner: scratch, or one by its digest"},
	{"target", FIELD_AT_TEXT(struct settings, target), .is_deployed = true, .pattern = "^local$", .example = "local",
		.help = "Where it runs"},
	{0},
};
const struct field_table table_settings = {.fields = top, .size = sizeof(struct settings)};
