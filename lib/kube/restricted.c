#include "kube/schema_check.h"

/* https://kubernetes.io/docs/concepts/security/pod-security-standards/: the controls of "baseline" and "restricted" in that page's order,
 * each by its name there. Where "restricted" is the stricter of two, only it is asked. From 1.35 on a pod in a user namespace of its own
 * may run as root. */

static bool is_true(const struct value *object, const char *key) {
	const struct value *value = schema_get(object, key);
	return value && value->kind == VALUE_BOOL && value->boolean;
}

static bool is_false(const struct value *object, const char *key) {
	const struct value *value = schema_get(object, key);
	return value && value->kind == VALUE_BOOL && !value->boolean;
}

static bool is_windows(const struct value *spec) {
	return str_is(schema_text(schema_get(spec, "os"), "name"), "windows");
}

/* May be root there: it is not root outside. */
static bool is_user_namespace(const struct schema_check *check, const struct value *spec) {
	return check->minor >= 35 && is_false(spec, "hostUsers");
}

static void check_host_namespaces(struct schema_check *check, const struct value *spec) {
	static const char *const names[] = {"hostNetwork", "hostPID", "hostIPC"};
	for (size_t i = 0; i < 3; i++)
		if (is_true(spec, names[i]))
			schema_refuse(check, value_get(spec, names[i]), names[i], "false, or leave it out", "Host Namespaces: is true");
}

static void check_volumes(struct schema_check *check, const struct value *spec) {
	static const char *const allowed[] = {
		"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"};
	size_t index = 0;
	value_each(volume, schema_get(spec, "volumes")) {
		bool is_allowed = false;
		const struct value *source = volume;
		for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
			is_allowed |= schema_get(volume, allowed[i]) != NULL;
		value_each(member, volume) if (member->kind == VALUE_OBJECT) source = member;
		size_t path_len = schema_push(check, STR("volumes"));
		schema_push_index(check, index++);
		if (!is_allowed)
			schema_refuse(check, source, NULL,
				"configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected or secret",
				"%s: %.*s is not allowed", schema_get(volume, "hostPath") ? "HostPath Volumes" : "Volume Types",
				source == volume ? 14 : (int) source->key.len, source == volume ? "without source" : source->key.ptr);
		schema_pop(check, path_len);
	}
}

static void check_sysctls(struct schema_check *check, const struct value *spec) {
	static const struct {
		const char *name;
		int since;
	} safe[] = {{"kernel.shm_rmid_forced", 0}, {"net.ipv4.ip_local_port_range", 0}, {"net.ipv4.tcp_syncookies", 0},
		{"net.ipv4.ping_group_range", 0}, {"net.ipv4.ip_unprivileged_port_start", 0}, {"net.ipv4.ip_local_reserved_ports", 27},
		{"net.ipv4.tcp_keepalive_time", 29}, {"net.ipv4.tcp_fin_timeout", 29}, {"net.ipv4.tcp_keepalive_intvl", 29},
		{"net.ipv4.tcp_keepalive_probes", 29}, {"net.ipv4.tcp_rmem", 32}, {"net.ipv4.tcp_wmem", 32},
		{"net.ipv4.tcp_slow_start_after_idle", 37}, {"net.ipv4.tcp_notsent_lowat", 37}};
	size_t index = 0;
	value_each(sysctl, schema_get(schema_get(spec, "securityContext"), "sysctls")) {
		struct str name = schema_text(sysctl, "name");
		bool is_safe = false;
		for (size_t i = 0; i < sizeof(safe) / sizeof(safe[0]); i++)
			is_safe |= str_is(name, safe[i].name) && check->minor >= safe[i].since;
		size_t path_len = schema_push(check, STR("securityContext"));
		schema_push(check, STR("sysctls"));
		schema_push_index(check, index++);
		if (!is_safe)
			schema_refuse(check, sysctl, "name", "leave it out", "Sysctls: %.*s is not among the safe ones", STR_ARGS(name));
		schema_pop(check, path_len);
	}
}

/* What a pod's and a container's securityContext have in common; the path is at its owner. */
static void check_context(struct schema_check *check, const struct value *spec, const struct value *context) {
	if (!context || context->kind != VALUE_OBJECT)
		return;
	size_t path_len = schema_push(check, STR("securityContext"));
	const struct value *windows = schema_get(context, "windowsOptions"), *selinux = schema_get(context, "seLinuxOptions");
	if (is_true(windows, "hostProcess"))
		schema_refuse(check, value_get(windows, "hostProcess"), "windowsOptions.hostProcess", "false, or leave it out",
			"HostProcess: is true");
	struct str armor = schema_text(schema_get(context, "appArmorProfile"), "type"), type = schema_text(selinux, "type");
	if (schema_get(context, "appArmorProfile") && !str_is(armor, "RuntimeDefault") && !str_is(armor, "Localhost"))
		schema_refuse(check, value_get(context, "appArmorProfile"), "appArmorProfile.type", "RuntimeDefault or Localhost",
			"AppArmor: is \"%.*s\"", STR_ARGS(armor));
	if (type.len && !str_is(type, "container_t") && !str_is(type, "container_init_t") && !str_is(type, "container_kvm_t") &&
		!(check->minor >= 31 && str_is(type, "container_engine_t")))
		schema_refuse(check, selinux, "seLinuxOptions.type", "container_t, container_init_t or container_kvm_t",
			"SELinux: is \"%.*s\"", STR_ARGS(type));
	static const char *const unset[] = {"user", "role"};
	for (size_t i = 0; i < 2; i++)
		if (schema_text(selinux, unset[i]).len) {
			size_t inner = schema_push(check, STR("seLinuxOptions"));
			schema_refuse(check, selinux, unset[i], "leave it out", "SELinux: may not be set");
			schema_pop(check, inner);
		}
	struct str seccomp = schema_text(schema_get(context, "seccompProfile"), "type");
	if (schema_get(context, "seccompProfile") && !str_is(seccomp, "RuntimeDefault") && !str_is(seccomp, "Localhost") &&
		!is_windows(spec))
		schema_refuse(check, value_get(context, "seccompProfile"), "seccompProfile.type", "RuntimeDefault or Localhost",
			"Seccomp: is \"%.*s\"", STR_ARGS(seccomp));
	int64_t user;
	const struct value *run_as = schema_get(context, "runAsUser");
	if (schema_int(run_as, &user) && user == 0 && !is_user_namespace(check, spec))
		schema_refuse(check, run_as, "runAsUser", "another user, such as 65532", "Running as Non-root user: 0 is root");
	if (is_false(context, "runAsNonRoot") && !is_user_namespace(check, spec))
		schema_refuse(check, value_get(context, "runAsNonRoot"), "runAsNonRoot", "true", "Running as Non-root: is false");
	schema_pop(check, path_len);
}

static void check_capabilities(struct schema_check *check, const struct value *container, const struct value *context) {
	const struct value *capabilities = schema_get(context, "capabilities"), *add = schema_get(capabilities, "add");
	bool is_dropped = false;
	value_each(capability, schema_get(capabilities, "drop")) is_dropped |=
		capability->kind == VALUE_STRING && str_is(capability->text, "ALL");
	if (!is_dropped)
		schema_refuse(check, capabilities ? capabilities : container, "securityContext.capabilities.drop", "[ALL]",
			"Capabilities: does not hold ALL");
	size_t index = 0;
	value_each(capability, add) {
		size_t path_len = schema_push(check, STR("securityContext"));
		schema_push(check, STR("capabilities"));
		schema_push(check, STR("add"));
		schema_push_index(check, index++);
		char shown[SCHEMA_SHOWN_MAX];
		if (capability->kind != VALUE_STRING || !str_is(capability->text, "NET_BIND_SERVICE"))
			schema_refuse(check, capability, NULL, "NET_BIND_SERVICE at most", "Capabilities: %s may not be added",
				schema_shown(check, capability, shown));
		schema_pop(check, path_len);
	}
}

static void check_handler_host(struct schema_check *check, const struct value *container, const char *group, const char *handler) {
	static const char *const actions[] = {"httpGet", "tcpSocket"};
	const struct value *owner = group ? schema_get(container, group) : container;
	for (size_t i = 0; i < 2; i++) {
		const struct value *action = schema_get(schema_get(owner, handler), actions[i]);
		if (!schema_text(action, "host").len)
			continue;
		size_t path_len = check->path_len;
		if (group)
			schema_push(check, str_of(group));
		schema_push(check, str_of(handler));
		schema_push(check, str_of(actions[i]));
		schema_refuse(check, value_get(action, "host"), "host", "leave it out", "Host Probes / Lifecycle Hooks: may not be set");
		schema_pop(check, path_len);
	}
}

static void check_ports(struct schema_check *check, const struct value *container) {
	size_t index = 0;
	value_each(port, schema_get(container, "ports")) {
		size_t path_len = schema_push(check, STR("ports"));
		schema_push_index(check, index++);
		int64_t number;
		if (schema_int(schema_get(port, "hostPort"), &number) && number)
			schema_refuse(check, value_get(port, "hostPort"), "hostPort", "leave it out", "Host Ports: %lld may not be used",
				(long long) number);
		schema_pop(check, path_len);
	}
}

static void check_container(struct schema_check *check, const struct value *spec, const struct value *container) {
	const struct value *context = schema_get(container, "securityContext"), *pod = schema_get(spec, "securityContext");
	const struct value *at = context ? context : container;
	struct str mount = schema_text(context, "procMount");
	if (is_true(context, "privileged"))
		schema_refuse(check, value_get(context, "privileged"), "securityContext.privileged", "false, or leave it out",
			"Privileged Containers: is true");
	check_context(check, spec, context);
	check_ports(check, container);
	if (mount.len && !str_is(mount, "Default"))
		schema_refuse(check, value_get(context, "procMount"), "securityContext.procMount", "Default, or leave it out",
			"/proc Mount Type: is %.*s", STR_ARGS(mount));
	if (check->minor >= 34) {
		check_handler_host(check, container, NULL, "startupProbe");
		check_handler_host(check, container, NULL, "readinessProbe");
		check_handler_host(check, container, NULL, "livenessProbe");
		check_handler_host(check, container, "lifecycle", "postStart");
		check_handler_host(check, container, "lifecycle", "preStop");
	}
	if (!schema_get(pod, "runAsNonRoot") && !schema_get(context, "runAsNonRoot") && !is_user_namespace(check, spec))
		schema_refuse(check, at, "securityContext.runAsNonRoot", "true, here or for the pod", "Running as Non-root: is missing");
	if (is_windows(spec))
		return;
	if (!is_false(context, "allowPrivilegeEscalation"))
		schema_refuse(check, at, "securityContext.allowPrivilegeEscalation", "false", "Privilege Escalation: is not false");
	check_capabilities(check, container, context);
	if (!schema_get(pod, "seccompProfile") && !schema_get(context, "seccompProfile"))
		schema_refuse(
			check, at, "securityContext.seccompProfile.type", "RuntimeDefault, here or for the pod", "Seccomp: is missing");
}

/* What was said by annotations before there were fields. */
static void check_annotations(struct schema_check *check, const struct value *metadata) {
	value_each(annotation,
		schema_get(metadata, "annotations")) if (str_starts(annotation->key, "container.apparmor.security.beta.kubernetes.io/") &&
							 annotation->kind == VALUE_STRING && annotation->text.len &&
							 !str_is(annotation->text, "runtime/default") &&
							 !str_starts(annotation->text, "localhost/")) {
		size_t path_len = schema_push(check, STR("metadata"));
		schema_push(check, STR("annotations"));
		schema_push(check, annotation->key);
		schema_refuse(check, annotation, NULL, "runtime/default or localhost/PROFILE", "AppArmor: is \"%.*s\"",
			STR_ARGS(annotation->text));
		schema_pop(check, path_len);
	}
}

int kube_restricted_check(const struct value *metadata, const struct value *spec, const char *path, const char *version,
	struct kube_problems *problems, struct err *err) {
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
	struct schema_check check;
	if (schema_begin(&check, spec, version, problems, err) != 0)
		return -1;
	for (struct str rest = str_of(path); rest.ptr && rest.len;)
		schema_push(&check, str_cut(rest, '.', &rest));
	check_annotations(&check, metadata);
	schema_push(&check, STR("spec"));
	check_host_namespaces(&check, spec);
	check_volumes(&check, spec);
	check_sysctls(&check, spec);
	check_context(&check, spec, schema_get(spec, "securityContext"));
	for (size_t i = 0; i < 3; i++) {
		size_t index = 0;
		value_each(container, schema_get(spec, lists[i])) {
			size_t path_len = schema_push(&check, str_of(lists[i]));
			schema_push_index(&check, index++);
			check_container(&check, spec, container);
			schema_pop(&check, path_len);
		}
	}
	return schema_verdict(&check, err);
}

int kube_restricted_check_object(const struct value *object, const char *version, struct kube_problems *problems, struct err *err) {
	struct str kind = schema_text(object, "kind");
	const char *path = str_is(kind, "Pod")		 ? ""
			   : str_is(kind, "CronJob")	 ? "spec.jobTemplate.spec.template"
			   : str_is(kind, "PodTemplate") ? "template"
							 : "spec.template";
	const struct value *template = *path ? value_find(object, path) : object, *spec = schema_get(template, "spec");
	if (!spec || spec->kind != VALUE_OBJECT || !value_get(spec, "containers"))
		return 0;
	int rc = kube_restricted_check(schema_get(template, "metadata"), spec, path, version, problems, err);
	if (rc != 0 && err->code == ERR_INVALID)
		err_wrap(err, "%.*s %.*s", STR_ARGS(kind), STR_ARGS(schema_text(schema_get(object, "metadata"), "name")));
	return rc;
}
