#include "build/build.h"

#include "build/base.h"
#include "build/describe.h"
#include "build/selftest.h"
#include "embed/embed.h"
#include "oci/archive.h"
#include "project/project.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>

#define EPOCH_MAX 253402300799LL /* 9999-12-31T23:59:59Z */
#define COMMIT_SHORT 12

/* What the image's layers read from; given to the image at the end. */
struct sources {
	struct context context;
	struct plan *plan;
	struct base *base;
};

/* One build while it is made. */
struct making {
	const struct build_options *options;
	struct build *build;
	struct sources *sources;
	struct cache *cache;
	struct str runner, runner_digest;
	char created[CLOCK_TEXT_MAX];
	int64_t git_read_bytes;
	struct document *check; /* the self-test's report; NULL: none */
};

static void sources_free(struct sources *sources) {
	if (!sources)
		return;
	plan_free(sources->plan);
	base_free(sources->base);
	context_clear(&sources->context);
	free(sources);
}

static void close_image(struct image *image) {
	sources_free(image->self);
	image->self = NULL;
}

void build_free(struct build *build) {
	if (!build)
		return;
	image_clear(&build->image);
	char *texts[] = {build->commit, build->commit_short, build->branch, build->remote, build->subject, build->dirty_file,
		build->git_problem, build->tree, build->model_path, build->signature, build->tag};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(texts[i]);
	document_free(build->facts);
	free(build);
}

/* https://reproducible-builds.org/specs/source-date-epoch/ */
static int read_created(struct making *making, struct err *err) {
	const char *text = env_get(making->options->env, "SOURCE_DATE_EPOCH");
	int64_t seconds = 0;
	if (text && num_int(str_of(text), 0, EPOCH_MAX, &seconds) != 0)
		return err_set(err, ERR_CONFIG, "SOURCE_DATE_EPOCH is \"%.40s\": must be seconds since 1970", text);
	clock_text(seconds, making->created);
	return 0;
}

static char *cache_folder(const struct making *making) {
	struct err err = {0};
	AUTO_FREE char *home = NULL;
	return fs_home(making->options->env, FS_CACHE, &home, &err) == 0 ? fs_join(home, "mlctl")
									 : fs_join(making->options->folder, ".mlctl");
}

static int open_base(struct making *making, struct err *err) {
	const struct build_options *options = making->options;
	if (!options->base)
		return 0;
	AUTO_FREE char *folder = cache_folder(making);
	return base_open(options->base, options->settings->base, options->settings->image, "amd64", folder, &making->sources->base, err);
}

static int make_plan(struct making *making, struct err *err) {
	const struct build_options *options = making->options;
	struct sources *sources = making->sources;
	if (context_collect(options->folder, options->settings->model.path, options->settings->model.golden,
		    options->settings->payload.kind != PAYLOAD_NATIVE, &sources->context, err) != 0) {
		char where[SETTINGS_WHERE_MAX];
		if (err->code == ERR_CONFIG && strncmp(err->message, "model.", 6) == 0 &&
			settings_where(
				options->settings, strncmp(err->message, "model.golden", 12) == 0 ? "model.golden" : "model.path", where))
			err_at(err, "%s", where);
		return -1;
	}
	struct plan_options planning = {
		.context = &sources->context,
		.runner = making->runner,
		.runner_digest = making->runner_digest,
		.cache = making->cache,
		.clock = options->clock,
		.is_interrupted = options->is_interrupted,
		.progress = options->progress,
		.self = options->self,
	};
	return plan_new(&planning, &sources->plan, err);
}

/* ---- git ---- */

static int hash_for_git(void *self, const char *file, enum git_hash kind, char out[65], struct err *err) {
	static const enum cache_kind kinds[] = {
		[GIT_HASH_BLOB] = CACHE_GIT_BLOB, [GIT_HASH_SHA256] = CACHE_RAW, [GIT_HASH_MD5] = CACHE_MD5};
	struct making *making = self;
	const struct context *context = &making->sources->context;
	if (kind == GIT_HASH_SHA256 && strcmp(context->files[context->model].path, file) == 0) {
		memcpy(out, digest_hex(plan_model(making->sources->plan)), 65);
		return 0;
	}
	AUTO_FREE char *path = fs_join(context->folder, file);
	AUTO_CLOSE int fd = -1;
	struct stat info;
	if (fs_open(path, O_RDONLY, 0, &fd, err) != 0)
		return -1;
	if (fstat(fd, &info) != 0)
		return err_sys(err, "%s", file);
	return cache_hash_fd(making->cache, making->options->clock, kinds[kind], fd, file, &info, out, &making->git_read_bytes, err);
}

static int ask_git(struct making *making, struct git_facts *facts, struct err *err) {
	if (making->options->is_without_git)
		return 0;
	const struct context *context = &making->sources->context;
	AUTO_FREE const char **files = mem_zero(context->count + 1, sizeof(*files));
	for (size_t i = 0; i < context->count; i++)
		files[i] = context->files[i].path;
	files[context->count] = PROJECT_FILE;
	struct git_question question = {
		.folder = context->folder,
		.path = context->root,
		.files = files,
		.file_count = context->count + 1,
		.hash = hash_for_git,
		.self = making,
	};
	return git_facts_read(&question, facts, err);
}

static void take_git(struct making *making, struct git_facts *facts) {
	struct build *build = making->build;
	build->commit = facts->commit ? mem_text(facts->commit) : NULL;
	build->commit_short = facts->commit ? mem_text_n(facts->commit, COMMIT_SHORT) : NULL;
	build->branch = facts->branch ? mem_text(facts->branch) : NULL;
	build->remote = facts->remote ? mem_text(facts->remote) : NULL;
	build->subject = facts->subject ? mem_text(facts->subject) : NULL;
	build->tree = facts->tree ? mem_text(facts->tree) : NULL;
	build->dirty_file = facts->dirty_file ? mem_text(facts->dirty_file) : NULL;
	build->git_problem = facts->problem ? mem_text(facts->problem) : NULL;
	build->is_dirty = facts->is_dirty;
	if (!build->commit)
		return;
	if (build->is_dirty) /* a tag that begins with git- never moves, and dirty content has no name but its own */
		build->tag = mem_format("git-%s-dirty-%.8s", build->commit_short, digest_hex(&build->image.manifest.digest));
	else
		build->tag = mem_format("git-%s", build->commit_short);
}

/* ---- documents ---- */

static int make_image(struct making *making, struct describe *from, struct err *err) {
	struct sources *sources = making->sources;
	struct image *image = &making->build->image;
	size_t own = plan_layers(sources->plan), base = sources->base ? sources->base->count : 0;
	*from = (struct describe){
		.plan = sources->plan,
		.context = &sources->context,
		.name = making->options->settings->model.name,
		.created = making->created,
		.base = sources->base ? sources->base->config->root : NULL,
		.base_layers = sources->base ? sources->base->layers : NULL,
		.base_layer_count = base,
		.architecture = "amd64",
	};
	image->layers = mem_zero(base + own, sizeof(*image->layers));
	image->layer_count = base + own;
	for (size_t i = 0; i < base; i++)
		image->layers[i] = sources->base->layers[i];
	for (size_t i = 0; i < own; i++)
		image->layers[base + i] = plan_blob(sources->plan, i);
	if (describe_config(from, &image->config, err) != 0)
		return -1;
	return describe_manifest(from, &image->config, &image->manifest, err);
}

/* The self-test is another program at work, and git's facts are read meanwhile. */
struct testing {
	struct selftest selftest;
	struct document *check;
	bool is_cached;
	int rc;
	struct err err;
};

static void *run_test(void *self) {
	struct testing *testing = self;
	testing->rc = selftest_run(&testing->selftest, &testing->check, &testing->is_cached, &testing->err);
	return NULL;
}

static int take_test(struct making *making, struct testing *testing, struct err *err) {
	const struct build_options *options = making->options;
	struct build *build = making->build;
	making->check = testing->check;
	build->is_test_cached = testing->is_cached;
	if (testing->rc != 0) {
		/* The runner got the same signal: its end says nothing about the model. */
		if (options->is_interrupted && options->is_interrupted(options->self))
			return err_set(err, ERR_INTERRUPTED, "interrupted during the self-test");
		*err = testing->err;
		return -1;
	}
	const struct value *check = making->check->root;
	double load_ms = 0, p50_us = 0, p99_us = 0;
	if (value_opt_double(check, "load_ms", 0, &load_ms, err) != 0 ||
		value_opt_int(check, "peak_bytes", 0, &build->peak_bytes, err) != 0 ||
		value_opt_int(check, "golden.passed", 0, &build->golden_passed, err) != 0 ||
		value_opt_int(check, "golden.total", 0, &build->golden_total, err) != 0 ||
		value_opt_double(check, "golden.tolerance", 0, &build->golden_tolerance, err) != 0 ||
		value_opt_double(check, "latency_us.p50", 0, &p50_us, err) != 0 ||
		value_opt_double(check, "latency_us.p99", 0, &p99_us, err) != 0)
		return err_wrap(err, "the runner's report");
	build->has_test = true;
	build->load_ms = (int64_t) (load_ms + 0.5);
	build->p50_us = (int64_t) (p50_us + 0.5);
	build->p99_us = (int64_t) (p99_us + 0.5);
	build->signature = selftest_signature(check);
	return 0;
}

static int test_and_ask_git(struct making *making, struct git_facts *git, struct err *err) {
	if (making->options->is_untested || making->options->settings->payload.kind != PAYLOAD_NATIVE)
		return ask_git(making, git, err);
	struct testing testing = {
		.selftest =
			{
				.folder = making->sources->context.folder,
				.model = making->sources->context.root,
				.golden = making->options->settings->model.golden,
				.name = making->options->settings->model.name,
				.runner = making->runner,
				.digest = &making->build->model,
				.manifest = &making->build->image.manifest.digest,
				.env = making->options->env,
			},
	};
	struct err asking = {0};
	pthread_t thread;
	bool has_thread = pthread_create(&thread, NULL, run_test, &testing) == 0;
	int asked = ask_git(making, git, &asking);
	if (has_thread)
		pthread_join(thread, NULL);
	else
		run_test(&testing);
	if (take_test(making, &testing, err) != 0)
		return -1; /* the model's fault is the one to tell */
	if (asked != 0)
		*err = asking;
	return asked;
}

static void add_git_facts(const struct build *build, const struct git_facts *git, struct document *document, struct value *root) {
	value_add_text(document, root, "commit", build->commit);
	value_add_bool(document, root, "dirty", build->is_dirty);
	value_add_text(document, root, "dirty_file", build->dirty_file);
	value_add_text(document, root, "subject", build->subject);
	value_add_text(document, root, "branch", build->branch);
	value_add_text(document, root, "committed", git->author_time);
	value_add_text(document, root, "source", build->remote);
	value_add_text(document, root, "tree", build->tree);
	value_add_text(document, root, "tag", build->tag);
	if (build->git_problem)
		value_add_text(document, root, "git_problem", build->git_problem);
}

static void add_test_facts(const struct making *making, struct document *document, struct value *root) {
	const struct build *build = making->build;
	if (!making->check) {
		value_add_null(document, root, "test");
		return;
	}
	struct value *test = value_add_object(document, root, "test");
	value_add_int(document, test, "load_ms", build->load_ms);
	value_add_int(document, test, "peak_bytes", build->peak_bytes);
	value_add_bool(document, test, "cached", build->is_test_cached);
	static const char *const members[] = {"golden", "latency_us"};
	for (size_t i = 0; i < 2; i++) {
		const struct value *found = value_get(making->check->root, members[i]);
		if (found)
			value_add_copy(document, test, members[i], found);
		else
			value_add_null(document, test, members[i]);
	}
}

/* When the model came to be what it is: by git, so that a commit of something else changes nothing; what git does not know, by the file. */
static void add_created(const struct making *making, const struct git_facts *git, struct document *document, struct value *model) {
	const struct context *context = &making->sources->context;
	char text[CLOCK_TEXT_MAX] = "";
	struct stat info;
	AUTO_FREE char *path = fs_join(context->folder, context->files[context->model].path);
	bool is_of_file = !git->changed_time && (!git->commit || git->is_path_dirty);
	if (is_of_file && stat(path, &info) == 0)
		clock_text(info.st_mtim.tv_sec, text);
	value_add_text(document, model, "created", git->changed_time ? git->changed_time : text[0] ? text : NULL);
}

static void make_facts(const struct making *making, const struct git_facts *git) {
	struct build *build = making->build;
	const struct context *context = &making->sources->context;
	struct document *document = build->facts = document_new("build");
	struct value *root = value_root_object(document);
	value_add_text(document, root, "manifest", build->image.manifest.digest.text);
	value_add_text(document, root, "index", build->image.index.digest.text);
	add_git_facts(build, git, document, root);
	struct value *model = value_add_object(document, root, "model");
	value_add_text(document, model, "path", build->model_path);
	value_add_text(document, model, "digest", build->model.text);
	value_add_int(document, model, "bytes", build->model_bytes);
	value_add_text(document, model, "name", making->options->settings->model.name);
	value_add_text(document, model, "signature", build->signature);
	add_created(making, git, document, model);
	struct value *runner = value_add_object(document, root, "runner");
	value_add_text(document, runner, "version", MLCTL_VERSION);
	value_add_text(document, runner, "platform", "linux/amd64");
	value_add_text(document, root, "base", making->sources->base ? making->options->settings->base : "scratch");
	add_test_facts(making, document, root);
	struct value *layers = value_add_array(document, root, "layers");
	for (size_t i = 0; i < build->image.layer_count; i++) {
		struct value *layer = value_add_object(document, layers, NULL);
		value_add_text(document, layer, "title", build->image.layers[i].title);
		blob_describe(document, layer, &build->image.layers[i]);
	}
	value_add_int(document, root, "files", build->files);
	value_add_int(document, root, "bytes", context->bytes);
	value_add_int(document, root, "ignored", (int64_t) context->ignored);
	value_add_int(document, root, "read_bytes", build->read_bytes);
}

static int make(struct making *making, struct err *err) {
	struct build *build = making->build;
	struct sources *sources = making->sources;
	struct describe from;
	struct git_facts git = {0};
	if (read_created(making, err) != 0 || open_base(making, err) != 0 || make_plan(making, err) != 0 ||
		make_image(making, &from, err) != 0)
		return -1;
	const struct context_file *model = &sources->context.files[sources->context.model];
	build->model = *plan_model(sources->plan);
	build->model_path = mem_text(model->path);
	build->model_bytes = model->size;
	build->files = (int64_t) sources->context.count;
	/* The hashes were dear and are right whatever comes now. */
	cache_save(making->cache);
	int rc = test_and_ask_git(making, &git, err);
	if (rc == 0) {
		take_git(making, &git);
		build->read_bytes = plan_read_bytes(sources->plan) + making->git_read_bytes;
		rc = describe_index(
			&from, &build->image.manifest, making->options->settings->name, build->tag, &git, &build->image.index, err);
	}
	if (rc == 0)
		make_facts(making, &git);
	git_facts_clear(&git);
	return rc;
}

int build_run(const struct build_options *options, struct build **out, struct err *err) {
	const char *platform = options->platform ? options->platform : "linux/amd64";
	if (strcmp(platform, "linux/amd64") != 0)
		return err_set(err, ERR_USAGE, "platform %s: this mlctl holds a runner for linux/amd64 only", platform);
	AUTO_CACHE struct cache *cache = cache_open(options->env, options->folder);
	struct making making = {.options = options, .build = NEW(struct build), .sources = NEW(struct sources), .cache = cache};
	making.runner = options->runner.ptr ? options->runner : embed_runner();
	making.runner_digest = options->runner.ptr ? STR("") : embed_runner_digest();
	making.build->image.close = close_image;
	making.build->image.self = making.sources;
	int rc = make(&making, err);
	cache_save(cache);
	document_free(making.check);
	if (rc != 0) {
		build_free(making.build);
		return -1;
	}
	*out = making.build;
	return 0;
}

/* ---- other outputs ---- */

static int write_layout(const struct build *build, const char *folder, struct err *err) {
	AUTO_FREE char *absolute = NULL;
	if (fs_make_dirs(folder, 0777, err) != 0)
		return -1;
	absolute = realpath(folder, NULL);
	if (!absolute)
		return err_sys(err, "%s", folder);
	AUTO_FREE char *name = mem_format("oci:%s", absolute);
	struct store_options options = {.clock = &clock_system};
	struct store *store = NULL;
	struct push_result result = {0};
	const char *tags[2] = {"latest", build->tag};
	if (store_open(name, &options, &store, err) != 0)
		return -1;
	int rc = store_push(store, &build->image, tags, build->tag ? 2 : 1, NULL, &result, err);
	store_close(store);
	return rc;
}

static int write_archive(const struct build *build, enum archive_kind kind, const char *file, const char *name, struct err *err) {
	struct ref ref = {0};
	struct err unused = {0};
	/* A service's name alone is no reference: podman and docker call such images localhost/NAME. */
	AUTO_FREE char *local = mem_format("localhost/%s", name);
	if (ref_parse(str_of(name), &ref, &unused) != 0 && ref_parse(str_of(local), &ref, err) != 0)
		return -1;
	if (!ref.tag[0])
		snprintf(ref.tag, sizeof(ref.tag), "%s", build->tag ? build->tag : "latest");
	return archive_write(kind, file, &build->image, &ref, NULL, NULL, err);
}

int build_output(const struct build *build, const char *where, const char *name, struct err *err) {
	struct str rest, kind = str_cut(str_of(where), ':', &rest);
	int rc = -1;
	if (rest.len && str_is(kind, "oci"))
		rc = write_layout(build, rest.ptr, err);
	else if (rest.len && str_is(kind, "oci-archive"))
		rc = write_archive(build, ARCHIVE_OCI, rest.ptr, name, err);
	else if (rest.len && str_is(kind, "docker-archive"))
		rc = write_archive(build, ARCHIVE_DOCKER, rest.ptr, name, err);
	else
		return err_set(err, ERR_USAGE, "output \"%s\": must be oci:FOLDER, oci-archive:FILE or docker-archive:FILE", where);
	return rc;
}
