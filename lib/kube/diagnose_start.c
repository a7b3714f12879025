/* Why a container can't be made or started: a reference to a Secret or ConfigMap that leads nowhere, and what the container runtime says of
 * its command, its user and its mounts. A container's image and command don't change, so most of it is hopeless the first time. */
#include "kube/diagnose_case.h"

#include <stdio.h>

/* Below it not even the runtime's own init runs. */
#define MEMORY_BYTES_LEAST ((int64_t) 4 * 1024 * 1024)

struct reference {
	const char *kind; /* "Secret" */
	struct str name, key;
};

/* The texts of kubelet's pkg/kubelet/kubelet_pods.go and of the volume plugins. */
static bool read_reference(struct str message, struct reference *out) {
	*out = (struct reference){.kind = diagnose_has(message, "secret") && !diagnose_has(message, "configmap") ? "Secret" : "ConfigMap"};
	out->key = diagnose_between(message, "couldn't find key ", " in ");
	if (out->key.len) {
		struct str place = diagnose_between(message, " in ", "");
		out->kind = str_starts(place, "Secret") ? "Secret" : "ConfigMap";
		struct str name = diagnose_between(place, "/", ""), rest;
		name = str_cut(name, ' ', &rest);
		out->name = str_cut(name, ',', &rest);
		return out->name.len > 0;
	}
	out->key = diagnose_between(message, "non-existent secret key: ", "");
	if (out->key.len)
		out->kind = "Secret";
	else
		out->key = diagnose_between(message, "non-existent config key: ", "");
	if (out->key.len)
		return true;
	out->name = diagnose_between(message, "secret \"", "\"");
	if (out->name.len) {
		out->kind = "Secret";
		return diagnose_has(message, "not found");
	}
	out->kind = "ConfigMap";
	out->name = diagnose_between(message, "configmap \"", "\"");
	return out->name.len && diagnose_has(message, "not found");
}

static bool selects(const struct value *source, const struct reference *reference) {
	struct str name = diagnose_str(source, "name");
	if (!name.len)
		name = diagnose_str(source, "secretName"); /* a volume of a Secret */
	bool has_key = !reference->key.len || str_equal(diagnose_str(source, "key"), reference->key);
	value_each(item, value_get(source, "items")) has_key = has_key || str_equal(diagnose_str(item, "key"), reference->key);
	return name.len && (!reference->name.len || str_equal(name, reference->name)) && has_key;
}

/* Who refers to it: "env MODEL_KEY", "envFrom", "volume config". */
static void referrer(const struct value *pod, const struct value *spec, struct reference *reference, char *out, size_t size) {
	bool is_secret = strcmp(reference->kind, "Secret") == 0;
	*out = '\0';
	value_each(env, value_get(spec, "env")) {
		const struct value *source = value_find(env, is_secret ? "valueFrom.secretKeyRef" : "valueFrom.configMapKeyRef");
		if (selects(source, reference)) {
			struct str name = diagnose_quote(diagnose_str(env, "name"), 64);
			snprintf(out, size, " (env %.*s)", STR_ARGS(name));
			if (!reference->key.len)
				reference->key = diagnose_str(source, "key");
			return;
		}
	}
	value_each(from, value_get(spec, "envFrom")) if (selects(value_get(from, is_secret ? "secretRef" : "configMapRef"), reference)) {
		snprintf(out, size, " (envFrom)");
		return;
	}
	value_each(volume, value_find(pod, "spec.volumes")) {
		const struct value *source = value_get(volume, is_secret ? "secret" : "configMap");
		bool is_it = selects(source, reference);
		value_each(part, value_find(volume, "projected.sources")) {
			const struct value *inner = value_get(part, is_secret ? "secret" : "configMap");
			if (!is_it && selects(inner, reference)) {
				is_it = true;
				source = inner;
			}
		}
		if (is_it) {
			struct str name = diagnose_quote(diagnose_str(volume, "name"), 64);
			snprintf(out, size, " (volume %.*s)", STR_ARGS(name));
			if (!reference->name.len)
				reference->name =
					diagnose_str(source, is_secret && value_get(source, "secretName") ? "secretName" : "name");
			return;
		}
	}
}

void diagnose_reference(struct diagnose_case *c, struct str message, struct str container, int64_t first_s) {
	struct reference reference;
	char by[96];
	if (!read_reference(message, &reference))
		return;
	const struct value *spec = diagnose_named(value_find(c->object, "spec.containers"), container);
	if (!spec)
		spec = diagnose_named(value_find(c->object, "spec.initContainers"), container);
	referrer(c->object, spec, &reference, by, sizeof(by));
	bool is_secret = strcmp(reference.kind, "Secret") == 0;
	const struct value *known = is_secret ? c->world->secrets_known : c->world->config_maps_known;
	bool is_there = diagnose_lists(known, reference.name);
	bool has_key_missing = diagnose_has(message, "find key|non-existent");
	/* A key is missing from an object that is there, and nobody adds keys by accident; what the node says may still be a moment old. */
	int64_t grace = has_key_missing || (known && !is_there) ? DIAGNOSIS_MISSING_GRACE_S : DIAGNOSIS_SECRET_GRACE_S;
	enum diagnosis_state state = diagnose_age(c, first_s) >= grace ? DIAGNOSIS_STUCK : DIAGNOSIS_WAITING;
	struct str key = diagnose_quote(reference.key, 64), name = diagnose_quote(reference.name, 100);
	struct str rest, line = str_cut(key, '\n', &rest);
	const char *make = is_secret ? "secret generic" : "configmap";
	bool is_said;
	if (has_key_missing)
		is_said = diagnose_say(c, state, is_secret ? "secret_key_missing" : "config_map_key_missing",
			"%s%.*s%s%s %.*s has no key %.*s%s", container.len ? "container " : "", STR_ARGS(container),
			container.len ? ": " : "", reference.kind, STR_ARGS(name), STR_ARGS(line), by);
	else
		is_said = diagnose_say(c, state, is_secret ? "secret_missing" : "config_map_missing",
			"%s%.*s%s%s %.*s %s in namespace %.*s%s", container.len ? "container " : "", STR_ARGS(container),
			container.len ? ": " : "", reference.kind, STR_ARGS(name),
			is_there ? "came late and is not seen by the node yet: it is" : "is not", STR_ARGS(c->space), by);
	if (!is_said)
		return;
	if (has_key_missing)
		diagnose_fix(c, "kubectl -n %.*s edit %s %.*s   (add the key %.*s), or correct the key in %s", STR_ARGS(c->space),
			is_secret ? "secret" : "configmap", STR_ARGS(name), STR_ARGS(line), diagnose_settings(c));
	else
		diagnose_fix(c, "kubectl -n %.*s create %s %.*s --from-literal=%.*s=VALUE", STR_ARGS(c->space), make, STR_ARGS(name),
			STR_ARGS(line.len ? line : STR("KEY")));
}

bool diagnose_memory_is_tiny(struct diagnose_case *c, const struct value *spec) {
	struct str limit = diagnose_str(spec, "resources.limits.memory"), container = diagnose_str(spec, "name");
	int64_t number;
	if (!limit.len)
		return false;
	bool is_milli = limit.ptr[limit.len - 1] == 'm';
	struct str digits = {limit.ptr, limit.len - (is_milli ? 1 : 0)};
	if (is_milli ? num_int(digits, 0, INT64_MAX, &number) != 0 : num_bytes(limit, &number) != 0 || number >= MEMORY_BYTES_LEAST)
		return false;
	if (is_milli && number / 1000 >= MEMORY_BYTES_LEAST)
		return false;
	if (!diagnose_say(c, DIAGNOSIS_STUCK, "memory_unit",
		    "container %.*s: memory limit %.*s is %s: no process fits in it, and no volume", STR_ARGS(container), STR_ARGS(limit),
		    is_milli ? "a count of thousandths of a byte; Mi was meant" : "next to nothing"))
		return true;
	char enough[32];
	bool is_number = num_int(digits, 4, INT32_MAX, &number) == 0;
	snprintf(enough, sizeof(enough), "%lldMi", is_number ? (long long) number : 256LL);
	diagnose_fix_resource(c, container, "memory", enough, "");
	return true;
}

/* What the runtimes say (runc, crun, containerd, CRI-O) when a container's process can't be made. */
static const struct start {
	const char *cause, *words, *says, *fix;
	bool is_passing;
} starts[] = {
	{"wrong_architecture", "exec format error", "its program is for another architecture (exec format error)",
		"build the image for the node's architecture (kubectl get nodes -L kubernetes.io/arch)", false},
	{"out_of_memory", "oom-killed|memory limit too low|cannot allocate memory", "the memory limit is too low to start", "resources",
		false},
	{"run_as_root", "image will run as root|run as root|breaks non-root policy", "runAsNonRoot is set, and it would run as root", "user", false},
	{"run_as_root", "non-numeric user",
		"runAsNonRoot is set, and the image's user is a name, which can't be checked: it must be a number", "user", false},
	{"user_unknown",
		"unable to find user|no matching entries in passwd|unable to find group|no users found|no matching entries in "
		"group|/etc/passwd|/etc/group",
		"the image does not know its user", "user", false},
	{"no_command", "no command specified|no command or entrypoint", "neither the image nor the pod says which command to run",
		"command", false},
	{"working_dir", "chdir to cwd|mkdir /proc/self/cwd|setting up cwd|failed to make working", "its working directory can't be entered",
		"command", false},
	{"read_only_file_system", "read-only file system", "it wants to make a file or a mount point on a read-only file system", "volume",
		false},
	{"mount_mismatch", "not a directory|is a directory|mount a directory onto a file",
		"a mount does not fit: a directory over a file, or a file over a directory", "volume", false},
	{"subpath", "subpath", "a subPath of a volume can't be prepared", "volume", false},
	{"security_profile", "seccomp|apparmor|selinux|capabilit", "a security profile that it asks for can't be had on the node",
		"profile", false},
	{"hook_failed", "poststart|post start|lifecycle hook", "its postStart hook failed", "hook", true},
	{"node_disk_full", "no space left on device", "the node has no room", "disk", true},
	{"command_not_found", "executable file not found|no such file or directory|not found in $path", "its command is not in the image",
		"command", false},
	{"not_executable", "permission denied|operation not permitted", "its command may not be executed", "mode", false},
	{"device", "device|cdi", "a device that it asks for can't be given", "disk", true},
};

static void fix_start(struct diagnose_case *c, const struct start *start, const struct value *spec) {
	if (strcmp(start->fix, "resources") == 0)
		diagnose_fix_resource(c, diagnose_str(spec, "name"), "memory", "256Mi", "");
	else if (strcmp(start->fix, "user") == 0)
		diagnose_fix(
			c, "USER 65534:65534 in the Dockerfile, or securityContext.runAsUser: 65534 in .mlctl/templates/kubernetes/deployment.yaml");
	else if (strcmp(start->fix, "command") == 0 || strcmp(start->fix, "mode") == 0) {
		const struct value *first = value_at(value_get(spec, "command"), 0);
		struct str command = first && first->kind == VALUE_STRING ? diagnose_quote(first->text, 80) : STR("");
		if (strcmp(start->fix, "mode") == 0)
			diagnose_fix(c, "RUN chmod 755 %.*s in the Dockerfile", STR_ARGS(command.len ? command : STR("COMMAND")));
		else
			diagnose_fix(c, "correct the command%s%.*s%s, or the image's ENTRYPOINT", command.len ? " \"" : "",
				STR_ARGS(command), command.len ? "\"" : "");
	} else if (strcmp(start->fix, "volume") == 0)
		diagnose_fix(c, "correct the volumeMounts of container %.*s: a folder that the image has, or an emptyDir where it writes",
			STR_ARGS(diagnose_str(spec, "name")));
	else if (strcmp(start->fix, "profile") == 0)
		diagnose_fix(c, "seccompProfile: {type: RuntimeDefault} instead of a profile that the node lacks");
	else if (strcmp(start->fix, "hook") == 0)
		diagnose_fix(c, "correct lifecycle.postStart of container %.*s", STR_ARGS(diagnose_str(spec, "name")));
	else if (strcmp(start->fix, "disk") == 0)
		diagnose_fix(c, "kubectl describe node %.*s", STR_ARGS(diagnose_str(c->object, "spec.nodeName")));
	else
		diagnose_fix(c, "%s", start->fix);
}

/* runc's chain ends in what matters: "... unable to start container process: exec: \"x\": executable file not found in $PATH". */
static struct str runtime_detail(struct str message) {
	struct str detail = diagnose_between(message, "unable to start container process: ", "");
	if (!detail.len)
		detail = diagnose_between(message, "OCI runtime create failed: ", "");
	if (!detail.len)
		detail = diagnose_between(message, "desc = ", "");
	return diagnose_quote(detail.len ? detail : message, DIAGNOSE_QUOTE);
}

void diagnose_start(struct diagnose_case *c, const struct value *spec, const struct value *status, struct str message) {
	struct str container = diagnose_str(spec, "name"), detail = runtime_detail(message),
		   reason = diagnose_str(status, "state.waiting.reason");
	if (diagnose_memory_is_tiny(c, spec))
		return;
	if (!container.len)
		container = diagnose_str(status, "name");
	int64_t failures = diagnose_int(status, "restartCount", 0) - c->world->restarts_before + 1;
	struct str folder = diagnose_str(spec, "workingDir");
	bool is_about_folder =
		folder.len && memmem(message.ptr, message.len, folder.ptr, folder.len) && diagnose_has(message, "mkdir|chdir|cwd");
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		const struct start *start = &starts[i];
		if (!diagnose_has(message, start->words) && !(strcmp(start->cause, "working_dir") == 0 && is_about_folder))
			continue;
		if (strcmp(start->cause, "run_as_root") == 0) /* said; but for the user's name */
			detail = diagnose_between(message, "non-numeric user (", ")");
		struct str limit = strcmp(start->cause, "out_of_memory") == 0 ? diagnose_str(spec, "resources.limits.memory") : STR("");
		enum diagnosis_state state = !start->is_passing || failures >= DIAGNOSIS_REPEATS ? DIAGNOSIS_STUCK : DIAGNOSIS_FAILING;
		if (diagnose_say(c, state, start->cause, "container %.*s: can't start: %s%s%.*s%s%.*s", STR_ARGS(container), start->says,
			    limit.len ? ", limit " : "", STR_ARGS(limit), detail.len ? ": " : "", STR_ARGS(detail)))
			fix_start(c, start, spec);
		return;
	}
	/* Said by a node that is busy or just coming up; kubelet tries again. */
	bool is_passing = diagnose_has(message, "timed out|deadline exceeded|reserve container name|have not yet been read|host ip "
						"unknown|sync secret cache|sync configmap "
						"cache|not registered|context canceled");
	struct diagnose_event event;
	const struct diagnose_wanted failed = {.reasons = "Failed|FailedCreatePodContainer", .container = container};
	/* What is worked out of the pod's own spec comes out the same each time. */
	bool is_of_spec = str_is(reason, "CreateContainerConfigError");
	int64_t patience_s = is_of_spec ? DIAGNOSIS_MISSING_GRACE_S : DIAGNOSIS_SECRET_GRACE_S;
	bool is_lasting = diagnose_event_find(c, &failed, &event) && event.count >= (is_of_spec ? 2 : DIAGNOSIS_REPEATS) &&
			  diagnose_age(c, event.first_s) >= patience_s;
	enum diagnosis_state state = is_passing					   ? DIAGNOSIS_WAITING
				     : is_lasting || failures >= DIAGNOSIS_REPEATS ? DIAGNOSIS_STUCK
										   : DIAGNOSIS_FAILING;
	if (diagnose_say(c, state, is_passing ? "node_busy" : "container_start", "container %.*s: can't start (%.*s): %.*s",
		    STR_ARGS(container), STR_ARGS(reason), STR_ARGS(detail)))
		diagnose_fix(c, "kubectl -n %.*s describe pod %.*s", STR_ARGS(c->space), STR_ARGS(c->name));
}
