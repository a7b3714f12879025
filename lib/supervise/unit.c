#include "supervise/unit.h"

#include "os/proc.h"

#include <errno.h>
#include <stdio.h>

#define SYSTEMCTL "/usr/bin/systemctl"
#define SYSTEMCTL_TIMEOUT_MS 20000
#define OUTPUT_BYTES_MAX ((size_t) 64 * 1024)

static bool is_root(void) {
	return geteuid() == 0;
}

bool unit_is_possible(const struct env *env) {
	const char *runtime = env_get(env, "XDG_RUNTIME_DIR");
	if (access(SYSTEMCTL, X_OK) != 0)
		return false;
	if (is_root() && !env_get(env, "MLCTL_USER_UNIT"))
		return fs_exists("/run/systemd/system");
	AUTO_FREE char *bus = runtime ? fs_join(runtime, "systemd/private") : NULL;
	return bus && fs_exists(bus);
}

static bool is_user_unit(const struct env *env) {
	return !is_root() || env_get(env, "MLCTL_USER_UNIT");
}

static int unit_path(const char *service, const char *environment, const struct env *env, char **out, struct err *err) {
	AUTO_FREE char *home = NULL;
	if (is_user_unit(env) && fs_home(env, FS_CONFIG, &home, err) != 0)
		return -1;
	*out = mem_format("%s/mlctl-%s-%s.service", is_user_unit(env) ? "" : "/etc/systemd/system", service, environment);
	if (home) {
		free(*out);
		*out = mem_format("%s/systemd/user/mlctl-%s-%s.service", home, service, environment);
	}
	return 0;
}

static int systemctl(const struct env *env, const char *verb, const char *unit, struct err *err) {
	const char *argv[6] = {"systemctl"};
	size_t n = 1;
	if (is_user_unit(env))
		argv[n++] = "--user";
	argv[n++] = verb;
	if (unit) {
		argv[n++] = "--now";
		argv[n++] = unit;
	}
	const char *runtime = env_get(env, "XDG_RUNTIME_DIR"), *home = env_get(env, "HOME"), *config = env_get(env, "XDG_CONFIG_HOME");
	AUTO_FREE char *runtime_item = mem_format("XDG_RUNTIME_DIR=%s", runtime ? runtime : "");
	AUTO_FREE char *home_item = mem_format("HOME=%s", home ? home : "/");
	AUTO_FREE char *config_item = mem_format("XDG_CONFIG_HOME=%s", config ? config : "");
	const char *child_env[] = {"PATH=/usr/bin:/bin", "SYSTEMD_PAGER=", home_item, runtime ? runtime_item : NULL, runtime && config ? config_item : NULL, NULL};
	struct proc_spec spec = {.exec_fd = -1, .path = SYSTEMCTL, .argv = argv, .env = child_env, .in_fd = -1, .out_fd = -1, .err_fd = -1};
	struct proc_result result = {0};
	if (proc_run(&spec, (struct str) {0}, OUTPUT_BYTES_MAX, SYSTEMCTL_TIMEOUT_MS, &result, err) != 0)
		return err_wrap(err, "systemctl %s", verb);
	int rc = result.status == 0 ? 0 : err_set(err, ERR_FAILED, "systemctl %s %s: exit %d: %.300s", verb, unit ? unit : "", result.status, result.err_text ? result.err_text : "");
	proc_result_clear(&result);
	return rc;
}

/* systemd.syntax(7): "%" is a specifier, quotes and backslashes are C-like. */
static void quoted(struct buf *out, const char *text) {
	buf_char(out, '"');
	for (const char *c = text; *c; c++) {
		if (*c == '%')
			buf_char(out, '%');
		if (*c == '"' || *c == '\\')
			buf_char(out, '\\');
		buf_char(out, *c);
	}
	buf_char(out, '"');
}

int unit_start(const char *service, const char *environment, const char *folder, const char *program, const struct env *env, struct err *err) {
	AUTO_FREE char *path = NULL;
	AUTO_BUF struct buf text = BUF(OUTPUT_BYTES_MAX);
	if (unit_path(service, environment, env, &path, err) != 0)
		return -1;
	buf_format(&text, "[Unit]\nDescription=mlctl service %s (%s)\nAfter=network.target\n\n[Service]\nExecStart=", service, environment);
	quoted(&text, program);
	buf_text(&text, " supervise ");
	quoted(&text, folder);
	/* The replicas are drained by the supervisor; systemd kills what is left only after that. */
	buf_format(&text, "\nRestart=on-failure\nRestartSec=1\nKillMode=mixed\nTimeoutStopSec=40\nLimitCORE=0\n\n[Install]\nWantedBy=%s\n",
		is_user_unit(env) ? "default.target" : "multi-user.target");
	AUTO_FREE char *dir = str_dup(str_cut_last(str_of(path), '/', &(struct str) {0}));
	const char *name = strrchr(path, '/') + 1;
	if (buf_check(&text, "unit", err) != 0 || fs_make_dirs(dir, 0755, err) != 0 || fs_replace(path, text.ptr, text.len, 0644, err) != 0)
		return -1;
	if (systemctl(env, "daemon-reload", NULL, err) == 0 && systemctl(env, "enable", name, err) == 0)
		return 0;
	best_effort(unlink(path)); /* a systemd that looks elsewhere, or has no room for it */
	return -1;
}

int unit_remove(const char *service, const char *environment, const struct env *env, struct err *err) {
	AUTO_FREE char *path = NULL;
	if (unit_path(service, environment, env, &path, err) != 0)
		return -1;
	if (!fs_exists(path))
		return 0;
	/* One that systemd does not know, or that does not stop, must not keep its file. */
	struct err disabling = {0};
	best_effort(systemctl(env, "disable", strrchr(path, '/') + 1, &disabling));
	if (unlink(path) != 0 && errno != ENOENT)
		return err_sys(err, "removing %s", path);
	return systemctl(env, "daemon-reload", NULL, err);
}
