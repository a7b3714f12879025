#include "build/plan.h"

#include "data/tar.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#define BLOCK_BYTES ((size_t) 256 * 1024)
#define RUNNER_NAME "mlctl-runner"
#define NO_FILE ((size_t) -1)
#define RUNNER_FILE ((size_t) -2)

struct entry {
	char *name;  /* folders end in "/" */
	size_t file; /* index in the context, NO_FILE: a folder, RUNNER_FILE */
	int64_t size;
	int64_t at;	 /* of its header in the stream */
	int64_t content; /* of its first byte */
};

struct layer_plan {
	const struct plan *plan;
	struct entry *entries;
	size_t count;
	int64_t size;
	struct digest digest;
	char *title;
	bool is_known; /* the digest, from the cache */
	bool may_remember;
	struct cache_key key;
	size_t open_file; /* whose descriptor is `fd` */
	int fd;
};

struct plan {
	struct plan_options options;
	struct layer_plan *layers;
	size_t count;
	struct digest model;
	bool has_model;
	atomic_llong read_bytes;
	int64_t hash_bytes; /* all that will be hashed, for progress */
};

/* ---- one layer's stream ---- */

static int put_header(const struct entry *entry, struct buf *out, struct err *err) {
	struct tar_entry header = {
		.name = entry->name,
		.type = entry->file == NO_FILE ? TAR_FOLDER : TAR_FILE,
		/* Execute bits of a checkout differ between machines and mean nothing to a model. */
		.mode = entry->file == NO_FILE || entry->file == RUNNER_FILE ? 0755 : 0644,
		.size = entry->size,
	};
	return tar_header(&header, out, err);
}

static void close_file(struct layer_plan *layer) {
	if (layer->fd >= 0)
		close(layer->fd);
	layer->fd = -1;
	layer->open_file = NO_FILE;
}

static int read_content(struct layer_plan *layer, const struct entry *entry, int64_t at, char *out, size_t len, struct err *err) {
	const struct context *context = layer->plan->options.context;
	if (entry->file == RUNNER_FILE) {
		memcpy(out, layer->plan->options.runner.ptr + at, len);
		return 0;
	}
	if (layer->open_file != entry->file) {
		close_file(layer);
		if (context_open(context, entry->file, &layer->fd, err) != 0)
			return -1;
		layer->open_file = entry->file;
	}
	size_t got = 0;
	if (fs_pread(layer->fd, out, len, at, &got, context->files[entry->file].path, err) != 0) {
		struct err changed = {0}; /* what became a folder or a pipe cannot be read: that it changed is the thing to tell */
		if (context_verify(context, entry->file, layer->fd, &changed) != 0)
			*err = changed;
		return -1;
	}
	if (context_verify(context, entry->file, layer->fd, err) != 0)
		return -1;
	if (got < len)
		return err_set(err, ERR_BUILD, "%s: ends %zu bytes early", context->files[entry->file].path, len - got);
	if (at + (int64_t) len == entry->size)
		close_file(layer);
	return 0;
}

static size_t entry_at(const struct layer_plan *layer, int64_t offset) {
	size_t low = 0, high = layer->count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (layer->entries[middle].at <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Fills out with the stretch of one entry (header, content or padding) that begins at `offset`; *n: how much that was. */
static int read_stretch(
	struct layer_plan *layer, const struct entry *entry, int64_t offset, char *out, size_t len, size_t *n, struct err *err) {
	int64_t content_end = entry->content + entry->size;
	if (offset < entry->content) {
		AUTO_BUF struct buf header = BUF(TAR_HEADER_MAX);
		if (put_header(entry, &header, err) != 0)
			return -1;
		size_t skip = (size_t) (offset - entry->at), rest = header.len - skip;
		*n = len < rest ? len : rest;
		memcpy(out, header.ptr + skip, *n);
		return 0;
	}
	if (offset < content_end) {
		int64_t rest = content_end - offset;
		*n = rest > (int64_t) len ? len : (size_t) rest;
		return read_content(layer, entry, offset - entry->content, out, *n, err);
	}
	int64_t rest = content_end + tar_padding(entry->size) - offset;
	*n = rest > (int64_t) len ? len : (size_t) rest;
	memset(out, 0, *n);
	return 0;
}

static int layer_read(void *self, int64_t offset, void *out, size_t len, size_t *got, struct err *err) {
	struct layer_plan *layer = self;
	size_t done = 0, at = entry_at(layer, offset);
	int64_t entries_end = layer->size - TAR_END_BYTES;
	while (done < len && offset < layer->size) {
		char *to = (char *) out + done;
		size_t n = 0;
		if (offset >= entries_end) {
			n = (size_t) (layer->size - offset) < len - done ? (size_t) (layer->size - offset) : len - done;
			memset(to, 0, n);
		} else {
			while (at + 1 < layer->count && layer->entries[at + 1].at <= offset)
				at++;
			if (read_stretch(layer, &layer->entries[at], offset, to, len - done, &n, err) != 0)
				return -1;
		}
		done += n;
		offset += (int64_t) n;
	}
	*got = done;
	return 0;
}

/* ---- laying out ---- */

static void add_entry(struct layer_plan *layer, const char *name, size_t file, int64_t size) {
	if ((layer->count & (layer->count - 1)) == 0)
		layer->entries = mem_resize(layer->entries, layer->count ? layer->count * 2 : 1, sizeof(*layer->entries));
	layer->entries[layer->count++] = (struct entry){.name = mem_text(name), .file = file, .size = size};
}

/* Every folder above the name that the entry before did not already bring: files come sorted by name. */
static void add_folders(struct layer_plan *layer, const char *name) {
	const char *before = layer->count ? layer->entries[layer->count - 1].name : "";
	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t n = (size_t) (slash - name) + 1;
		if (strncmp(before, name, n) == 0)
			continue;
		AUTO_FREE char *folder = mem_text_n(name, n);
		add_entry(layer, folder, NO_FILE, 0);
	}
}

static int lay_out(struct layer_plan *layer, struct err *err) {
	AUTO_BUF struct buf header = BUF(TAR_HEADER_MAX);
	int64_t at = 0;
	for (size_t i = 0; i < layer->count; i++) {
		struct entry *entry = &layer->entries[i];
		buf_reset(&header);
		if (put_header(entry, &header, err) != 0)
			return -1;
		entry->at = at;
		entry->content = at + (int64_t) header.len;
		at = entry->content + entry->size + tar_padding(entry->size);
	}
	layer->size = at + TAR_END_BYTES;
	return 0;
}

/* What the layer's bytes depend on: every name and the identity of every file, or the runner's content. */
static void make_key(struct layer_plan *layer) {
	const struct plan *plan = layer->plan;
	struct str runner = plan->options.runner_digest;
	struct digest_state *state = digest_start();
	bool is_runner = layer->entries[0].file == RUNNER_FILE;
	layer->may_remember = !is_runner || runner.len;
	if (is_runner && runner.len)
		digest_add(state, runner.ptr, runner.len);
	for (size_t i = 0; i < layer->count; i++) {
		const struct entry *entry = &layer->entries[i];
		if (entry->file == NO_FILE || entry->file == RUNNER_FILE)
			continue;
		const struct stat *info = &plan->options.context->files[entry->file].info;
		cache_add_file(state, entry->name, info);
		layer->may_remember = layer->may_remember && cache_is_settled(info, plan->options.clock);
	}
	struct digest digest;
	digest_finish(state, &digest);
	layer->key = cache_key_of_text(CACHE_LAYER, str_of(digest.text));
}

static struct layer_plan *add_layer(struct plan *plan) {
	struct layer_plan *layer = &plan->layers[plan->count++];
	*layer = (struct layer_plan){.plan = plan, .fd = -1, .open_file = NO_FILE};
	return layer;
}

static int compare_sizes(const void *a, const void *b) {
	int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;
	return x < y ? 1 : x > y ? -1 : 0;
}

/* From which size on a file has its own layer: 4 MiB, or more where that would make too many. A function of the sizes alone. */
static int64_t large_from(const struct context *context) {
	AUTO_FREE int64_t *sizes = mem_zero(context->count, sizeof(*sizes));
	size_t count = 0;
	for (size_t i = 0; i < context->count; i++)
		if (context->files[i].size >= PLAN_LARGE_BYTES)
			sizes[count++] = context->files[i].size;
	if (count <= PLAN_LARGE_MAX)
		return PLAN_LARGE_BYTES;
	qsort(sizes, count, sizeof(*sizes), compare_sizes);
	return sizes[PLAN_LARGE_MAX - 1] == sizes[PLAN_LARGE_MAX] ? sizes[PLAN_LARGE_MAX] + 1 : sizes[PLAN_LARGE_MAX - 1];
}

static size_t name_hash(const char *name) { /* FNV-1a */
	uint32_t hash = 2166136261u;
	for (const char *c = name; *c; c++)
		hash = (hash ^ (unsigned char) *c) * 16777619u;
	return hash ^ (hash >> 16);
}

/* How many layers the small files fill: a power of two, so that it seldom changes, and with it which file is in which. */
static size_t shared_layers(const struct context *context, int64_t large) {
	int64_t bytes = 0;
	size_t count = 1;
	for (size_t i = 0; i < context->count; i++)
		if (context->files[i].size < large)
			bytes += TAR_BLOCK + context->files[i].size + tar_padding(context->files[i].size);
	while (count < PLAN_SHARED_MAX && bytes / (int64_t) (count * 2) >= PLAN_LARGE_BYTES)
		count *= 2;
	return count;
}

/* The files that have no layer of their own. By their names, so that a new file changes one layer and not all. */
static void share_layers(struct plan *plan, int64_t large) {
	const struct context *context = plan->options.context;
	size_t layers = shared_layers(context, large);
	for (size_t number = 0; number < layers; number++) {
		struct layer_plan *layer = NULL;
		size_t files = 0;
		for (size_t i = 0; i < context->count; i++) {
			const struct context_file *file = &context->files[i];
			if (file->size >= large || name_hash(file->name) % layers != number)
				continue;
			if (!layer)
				layer = add_layer(plan);
			add_folders(layer, file->name);
			add_entry(layer, file->name, i, file->size);
			if (++files == 1)
				layer->title = mem_text(file->path);
		}
		if (files < 2)
			continue;
		free(layer->title);
		layer->title =
			files == 2 && context->has_golden && layers == 1 ? mem_text("model, golden") : mem_format("%zu files", files);
	}
}

static int make_layers(struct plan *plan, struct err *err) {
	const struct context *context = plan->options.context;
	plan->layers = mem_zero(PLAN_LAYERS_MAX, sizeof(*plan->layers));
	struct layer_plan *runner = add_layer(plan);
	add_entry(runner, RUNNER_NAME, RUNNER_FILE, (int64_t) plan->options.runner.len);
	runner->title = mem_text("runner");
	int64_t large = context && context->count ? large_from(context) : 0;
	for (size_t i = 0; context && i < context->count; i++) {
		const struct context_file *file = &context->files[i];
		if (file->size < large)
			continue;
		struct layer_plan *layer = add_layer(plan);
		add_folders(layer, file->name);
		add_entry(layer, file->name, i, file->size);
		layer->title = mem_text(file->path);
	}
	if (context)
		share_layers(plan, large);
	for (size_t i = 0; i < plan->count; i++)
		if (lay_out(&plan->layers[i], err) != 0)
			return -1;
	return 0;
}

/* ---- hashing ---- */

struct work {
	struct plan *plan;
	size_t *layers; /* to be hashed, largest first */
	size_t count;
	atomic_size_t next;
	atomic_llong done_bytes;
	atomic_bool is_stopped;
	pthread_mutex_t mutex; /* guards err */
	struct err err;
};

static void stop_work(struct work *work, const struct err *err) {
	pthread_mutex_lock(&work->mutex);
	if (work->err.code == ERR_NONE)
		work->err = *err;
	pthread_mutex_unlock(&work->mutex);
	atomic_store(&work->is_stopped, true);
}

static bool is_interrupted(const struct plan *plan) {
	return plan->options.is_interrupted && plan->options.is_interrupted(plan->options.self);
}

/* The layer's digest and, where the model file is in it, the file's own, in one pass. */
static int hash_layer(struct work *work, struct layer_plan *layer, char *block, bool is_main, struct err *err) {
	struct plan *plan = work->plan;
	const struct entry *model = NULL;
	for (size_t i = 0; plan->options.context && i < layer->count; i++)
		if (layer->entries[i].file == plan->options.context->model && !plan->has_model)
			model = &layer->entries[i];
	struct digest_state *state = digest_start(), *raw = model ? digest_start() : NULL;
	int rc = 0;
	for (int64_t at = 0; rc == 0 && at < layer->size;) {
		size_t got = 0;
		if (is_interrupted(plan))
			rc = err_set(err, ERR_INTERRUPTED, "interrupted while hashing %s", layer->title);
		else if (!atomic_load(&work->is_stopped))
			rc = layer_read(layer, at, block, BLOCK_BYTES, &got, err);
		else
			rc = -1; /* the other thread's failure is the one to tell */
		if (rc != 0)
			break;
		digest_add(state, block, got);
		if (model && at < model->content + model->size && at + (int64_t) got > model->content) {
			int64_t from = at > model->content ? at : model->content, end = at + (int64_t) got;
			int64_t to = end < model->content + model->size ? end : model->content + model->size;
			digest_add(raw, block + (from - at), (size_t) (to - from));
		}
		at += (int64_t) got;
		int64_t done = atomic_fetch_add(&work->done_bytes, (long long) got) + (int64_t) got;
		if (is_main && plan->options.progress)
			plan->options.progress(plan->options.self, layer->title, done, plan->hash_bytes);
	}
	close_file(layer);
	if (rc != 0) {
		digest_drop(state);
		digest_drop(raw);
		return -1;
	}
	digest_finish(state, &layer->digest);
	if (raw)
		digest_finish(raw, &plan->model); /* one layer only holds it: no other thread is here */
	if (layer->entries[0].file != RUNNER_FILE)
		atomic_fetch_add(&plan->read_bytes, (long long) layer->size);
	return 0;
}

static void run_work(struct work *work, bool is_main) {
	AUTO_FREE char *block = mem_zero(1, BLOCK_BYTES);
	for (;;) {
		size_t i = atomic_fetch_add(&work->next, 1);
		if (i >= work->count || atomic_load(&work->is_stopped))
			return;
		struct err err = {0};
		if (hash_layer(work, &work->plan->layers[work->layers[i]], block, is_main, &err) != 0) {
			if (err.code != ERR_NONE)
				stop_work(work, &err);
			return;
		}
	}
}

static void *run_thread(void *self) {
	/* Descriptors of its own: opening and closing thousands of files would wait for the other thread's. */
	best_effort(unshare(CLONE_FILES));
	run_work(self, false);
	return NULL;
}

static int hash_layers(struct plan *plan, struct err *err) {
	size_t todo[PLAN_LAYERS_MAX];
	struct work work = {.plan = plan, .layers = todo};
	for (size_t i = 0; i < plan->count; i++)
		if (!plan->layers[i].is_known) {
			size_t at = work.count++;
			for (; at && plan->layers[todo[at - 1]].size < plan->layers[i].size; at--)
				todo[at] = todo[at - 1];
			todo[at] = i;
			plan->hash_bytes += plan->layers[i].size;
		}
	if (!work.count)
		return 0;
	pthread_mutex_init(&work.mutex, NULL);
	/* A second thread only where there is something for it; the runner's layer alone is a few milliseconds. */
	pthread_t thread;
	bool has_thread = work.count > 1 && plan->layers[todo[1]].size >= PLAN_LARGE_BYTES && sysconf(_SC_NPROCESSORS_ONLN) > 1 &&
			  pthread_create(&thread, NULL, run_thread, &work) == 0;
	run_work(&work, true);
	if (has_thread)
		pthread_join(thread, NULL);
	pthread_mutex_destroy(&work.mutex);
	if (work.err.code != ERR_NONE) {
		*err = work.err;
		return -1;
	}
	return 0;
}

/* The layer was known and the model's own digest was not, or the other way round. */
static int find_model(struct plan *plan, struct err *err) {
	const struct context *context = plan->options.context;
	if (!context || plan->model.text[0])
		return 0;
	AUTO_CLOSE int fd = -1;
	char hex[65];
	int64_t read_bytes = 0;
	const struct context_file *file = &context->files[context->model];
	if (context_open(context, context->model, &fd, err) != 0 || context_verify(context, context->model, fd, err) != 0 ||
		cache_hash_fd(plan->options.cache, plan->options.clock, CACHE_RAW, fd, file->path, &file->info, hex, &read_bytes, err) !=
			0 ||
		context_verify(context, context->model, fd, err) != 0)
		return -1;
	atomic_fetch_add(&plan->read_bytes, (long long) read_bytes);
	snprintf(plan->model.text, sizeof(plan->model.text), "sha256:%s", hex);
	return 0;
}

static int hash_plan(struct plan *plan, struct err *err) {
	const struct context *context = plan->options.context;
	for (size_t i = 0; i < plan->count; i++) {
		struct layer_plan *layer = &plan->layers[i];
		char hex[65];
		make_key(layer);
		layer->is_known = layer->may_remember && cache_get(plan->options.cache, &layer->key, hex) && strlen(hex) == 64;
		if (layer->is_known)
			snprintf(layer->digest.text, sizeof(layer->digest.text), "sha256:%s", hex);
	}
	struct cache_key model = {{0}};
	char hex[65];
	if (context) {
		model = cache_key_of_file(CACHE_RAW, "", &context->files[context->model].info);
		if (cache_get(plan->options.cache, &model, hex) && strlen(hex) == 64) {
			plan->has_model = true;
			snprintf(plan->model.text, sizeof(plan->model.text), "sha256:%s", hex);
		}
	}
	if (hash_layers(plan, err) != 0 || find_model(plan, err) != 0)
		return -1;
	for (size_t i = 0; i < plan->count; i++)
		if (!plan->layers[i].is_known && plan->layers[i].may_remember)
			cache_put(plan->options.cache, &plan->layers[i].key, digest_hex(&plan->layers[i].digest));
	if (context && !plan->has_model && cache_is_settled(&context->files[context->model].info, plan->options.clock))
		cache_put(plan->options.cache, &model, digest_hex(&plan->model));
	return 0;
}

int plan_new(const struct plan_options *options, struct plan **out, struct err *err) {
	AUTO_PLAN struct plan *plan = NEW(struct plan);
	plan->options = *options;
	if (make_layers(plan, err) != 0 || hash_plan(plan, err) != 0)
		return -1;
	*out = take(&plan);
	return 0;
}

void plan_free(struct plan *plan) {
	if (!plan)
		return;
	for (size_t i = 0; i < plan->count; i++) {
		struct layer_plan *layer = &plan->layers[i];
		close_file(layer);
		for (size_t k = 0; k < layer->count; k++)
			free(layer->entries[k].name);
		free(layer->entries);
		free(layer->title);
	}
	free(plan->layers);
	free(plan);
}

/* ---- what others ask ---- */

size_t plan_layers(const struct plan *plan) {
	return plan->count;
}

struct blob plan_blob(const struct plan *plan, size_t layer) {
	struct layer_plan *from = &plan->layers[layer];
	return (struct blob){
		.media_type = MEDIA_LAYER,
		.digest = from->digest,
		.size = from->size,
		.title = from->title,
		.read = layer_read,
		.self = from,
	};
}

const char *plan_history(const struct plan *plan, size_t layer) {
	return plan->layers[layer].title;
}

const struct digest *plan_model(const struct plan *plan) {
	return &plan->model;
}

int64_t plan_read_bytes(const struct plan *plan) {
	return (int64_t) atomic_load(&plan->read_bytes);
}
