#include "project/overlay.h"

#include "embed/embed.h"
#include "os/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define PAYLOAD "payload"

static const struct overlay_file *find(const struct overlay *overlay, const char *path) {
	for (size_t i = 0; i < overlay->count; i++)
		if (strcmp(overlay->items[i].path, path) == 0)
			return &overlay->items[i];
	return NULL;
}

const struct overlay_file *overlay_find(const struct overlay *overlay, const char *path) {
	return find(overlay, path);
}

static struct overlay_file *add(struct overlay *overlay, const char *path) {
	struct overlay_file *there = (struct overlay_file *) find(overlay, path);
	if (there)
		return there;
	overlay->items = mem_resize(overlay->items, overlay->count + 1, sizeof(*overlay->items));
	overlay->items[overlay->count] = (struct overlay_file) {.path = mem_text(path)};
	return &overlay->items[overlay->count++];
}

static void add_own(struct overlay *overlay, const char *folder) {
	struct str text;
	const char *path;
	for (size_t i = 0; (path = embed_template_at(i, &text)) != NULL; i++) {
		if (strncmp(path, folder, strlen(folder)) != 0 || path[strlen(folder)] != '/')
			continue;
		struct overlay_file *file = add(overlay, path);
		file->shown = mem_format("templates/%s", path);
		file->text = text;
	}
}

static int read_one(struct overlay *overlay, int dir, const char *folder, const char *name, struct err *err) {
	AUTO_FREE char *path = mem_format("%s/%s", folder, name), *shown = mem_format(OVERLAY_FOLDER "/%s", path);
	if (!str_ends(str_of(name), ".yaml")) {
		err_set(err, ERR_CONFIG, "%s: only files with names that end in .yaml are templates: rename or remove it", shown);
		return err_at(err, "%s", shown);
	}
	if (overlay->count >= OVERLAY_FILES_MAX)
		return err_set(err, ERR_CONFIG, "%s/%s: more than %d templates", OVERLAY_FOLDER, folder, OVERLAY_FILES_MAX);
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	if (fs_read_at(dir, name, OVERLAY_FILE_BYTES_MAX, &text, &len, err) != 0) {
		err->code = ERR_CONFIG;
		return err_at(err, "%s", shown);
	}
	struct overlay_file *file = add(overlay, path);
	free(file->shown);
	free(file->owned);
	file->shown = take(&shown);
	file->owned = take(&text);
	file->text = (struct str) {file->owned, len};
	return 0;
}

/* What is there when the folder is not there: nothing. */
static int add_project(struct overlay *overlay, const char *project_folder, const char *folder, struct err *err) {
	AUTO_FREE char *path = mem_format("%s/" OVERLAY_FOLDER "/%s", project_folder, folder);
	DIR *entries = opendir(path);
	if (!entries)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(err, "%s", path);
	int rc = 0;
	for (struct dirent *entry; rc == 0 && (entry = readdir(entries)) != NULL;)
		if (entry->d_name[0] != '.')
			rc = read_one(overlay, dirfd(entries), folder, entry->d_name, err);
	closedir(entries);
	return rc;
}

static int compare(const void *a, const void *b) {
	return strcmp(((const struct overlay_file *) a)->path, ((const struct overlay_file *) b)->path);
}

int overlay_load(const char *project_folder, const char *target, struct overlay *out, struct err *err) {
	struct overlay overlay AUTO_OVERLAY = {0};
	const char *const folders[] = {target, PAYLOAD};
	for (size_t i = 0; i < 2; i++) {
		add_own(&overlay, folders[i]);
		if (project_folder && add_project(&overlay, project_folder, folders[i], err) != 0)
			return -1;
	}
	if (overlay.count)
		qsort(overlay.items, overlay.count, sizeof(*overlay.items), compare);
	*out = overlay;
	overlay = (struct overlay) {0};
	return 0;
}

void overlay_clear(struct overlay *overlay) {
	for (size_t i = 0; i < overlay->count; i++) {
		free(overlay->items[i].path);
		free(overlay->items[i].shown);
		free(overlay->items[i].owned);
	}
	free(overlay->items);
	*overlay = (struct overlay) {0};
}

void overlay_digest(const struct overlay *overlay, bool *has_any, struct digest *out) {
	AUTO_BUF struct buf text = BUF(OVERLAY_FILES_MAX * 512);
	for (size_t i = 0; i < overlay->count; i++) {
		struct digest one;
		if (!overlay->items[i].owned)
			continue;
		digest_of(overlay->items[i].text, &one);
		buf_format(&text, "%s %s\n", one.text, overlay->items[i].path);
	}
	*has_any = text.len > 0;
	if (text.len)
		digest_of(buf_view(&text), out);
}
