#include "project/cluster.h"

/* At the first of the two paths that the file has. */
static int refuse(const struct settings *s, const char *path, const char *or_path, struct err *err) {
	const struct value *value = value_find(s->document->root, path);
	if (!value && or_path)
		value = value_find(s->document->root, or_path);
	if (value)
		return err_at(err, "%s:%d:%d", s->file, value->at.line, value->at.column);
	return err_at(err, "%s", s->file);
}

static int check_image(const struct settings *s, struct err *err) {
	if (s->image)
		return 0;
	err_set(err, ERR_CONFIG, "image: missing, target kubernetes needs a registry that the cluster's nodes can pull from");
	err_fix(err, "image: registry.example.com/team/%s", s->name);
	return refuse(s, "target", NULL, err);
}

/* Open to whoever reaches it: that must be meant. */
static int check_exposed(const struct settings *s, struct err *err) {
	const char *path = s->expose.ingress.is_on ? "expose.ingress" : s->expose.route.is_on ? "expose.route" : NULL;
	if (s->expose.type == EXPOSE_LOAD_BALANCER && !path)
		path = "expose.type";
	if (path && !s->expose.is_unauthenticated) {
		err_set(err, ERR_CONFIG, "%s: anybody who reaches it may ask, and serve.auth is not built yet: say that this is meant", path);
		err_fix(err, "expose.unauthenticated: true");
		return refuse(s, path, NULL, err);
	}
	if (s->expose.node_port && s->expose.type == EXPOSE_CLUSTER_IP) {
		err_set(err, ERR_CONFIG, "expose.nodePort: a Service of type ClusterIP has none");
		err_fix(err, "expose.type: NodePort");
		return refuse(s, "expose.nodePort", NULL, err);
	}
	if (s->expose.ingress.is_on && s->expose.route.is_on) {
		err_set(err, ERR_CONFIG, "expose.route: there is an ingress already, one of the two is enough");
		return refuse(s, "expose.route", NULL, err);
	}
	if (s->expose.route.is_on && !s->expose.route.gateway) {
		err_set(err, ERR_CONFIG, "expose.route.gateway: missing, it must be the name of a Gateway");
		err_fix(err, "expose.route: {gateway: public}");
		return refuse(s, "expose.route", NULL, err);
	}
	if (s->expose.ingress.is_on && s->expose.ingress.tls_secret && !s->expose.ingress.host) {
		err_set(err, ERR_CONFIG, "expose.ingress.host: missing, a certificate is for a host");
		return refuse(s, "expose.ingress.tlsSecret", NULL, err);
	}
	return 0;
}

/* One variable has one value. */
static int check_variables(const struct settings *s, struct err *err) {
	value_each(secret, s->secrets) {
		AUTO_FREE char *name = str_dup(secret->key);
		if (!value_get(s->env, name))
			continue;
		err_set(err, ERR_CONFIG, "secrets.%s: env has %s too, one of the two must go", name, name);
		return err_at(err, "%s:%d:%d", s->file, secret->key_at.line, secret->key_at.column);
	}
	return 0;
}

static int check_tolerations(const struct settings *s, struct err *err) {
	const struct settings_toleration *all = s->scheduling.tolerations.items;
	const struct value *written = value_find(s->document->root, "scheduling.tolerations");
	for (size_t i = 0; i < s->scheduling.tolerations.count; i++) {
		bool is_equal = all[i].operator_ == 0;
		const char *why = is_equal && !all[i].key ? "operator Equal needs a key" : !is_equal && all[i].value ? "operator Exists has no value" : NULL;
		if (!why && all[i].seconds && all[i].effect != 3)
			why = "tolerationSeconds is for effect NoExecute";
		if (!why)
			continue;
		err_set(err, ERR_CONFIG, "scheduling.tolerations[%zu]: %s", i, why);
		const struct value *item = value_at(written, i);
		return item ? err_at(err, "%s:%d:%d", s->file, item->at.line, item->at.column) : err_at(err, "%s", s->file);
	}
	return 0;
}

static int check_payload(const struct settings *s, struct err *err) {
	static const char *const foreign[] = {"payload.image", "payload.port", "payload.health", "payload.ready", "payload.metrics", "payload.args", "payload.guard"};
	bool is_native = s->payload.kind == PAYLOAD_NATIVE;
	for (size_t i = 0; is_native && i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if (value_find(s->document->root, foreign[i])) {
			err_set(err, ERR_CONFIG, "%s: the native runner has its own; it is for another payload.kind", foreign[i]);
			err_fix(err, "payload.kind: http");
			return refuse(s, foreign[i], NULL, err);
		}
	if (is_native)
		return 0;
	if (value_find(s->document->root, "serve.port")) {
		err_set(err, ERR_CONFIG, "serve.port: the runner's; where another server answers is payload.port");
		err_fix(err, "payload.port: %lld", (long long) s->serve.port);
		return refuse(s, "serve.port", NULL, err);
	}
	if (s->payload.image)
		return 0;
	err_set(err, ERR_CONFIG, "payload.image: missing, another server comes in an image of its own");
	err_fix(err, "payload: {image: registry.example.com/team/%s-server:1.0}", s->name);
	return refuse(s, "payload.kind", NULL, err);
}

/* The ports that a server's own template opens beside payload.port: of one pod, and of one Service, they differ. */
static int check_ports(const struct settings *s, struct err *err) {
	int64_t grpc = s->payload.kind == PAYLOAD_TRITON ? 8001 : s->payload.kind == PAYLOAD_TFSERVING ? 8500 : 0;
	int64_t metrics = s->payload.kind == PAYLOAD_TRITON ? 8002 : 0;
	if (s->payload.port && (s->payload.port == grpc || s->payload.port == metrics)) {
		err_set(err, ERR_CONFIG, "payload.port: %lld is where this server %s, HTTP needs another one", (long long) s->payload.port,
			s->payload.port == grpc ? "speaks gRPC" : "shows its numbers");
		err_fix(err, "payload.port: %d", s->payload.kind == PAYLOAD_TRITON ? 8000 : 8501);
		return refuse(s, "payload.port", NULL, err);
	}
	if (!metrics || s->expose.port != metrics)
		return 0;
	err_set(err, ERR_CONFIG, "expose.port: %lld is where the Service shows this server's numbers", (long long) metrics);
	err_fix(err, "expose.port: 80");
	return refuse(s, "expose.port", NULL, err);
}

static int check_account(const struct settings *s, struct err *err) {
	if (!s->service_account.name || !s->service_account.annotations)
		return 0;
	err_set(err, ERR_CONFIG, "serviceAccount.annotations: %s is there already and stays as it is: annotate it there", s->service_account.name);
	return refuse(s, "serviceAccount.annotations", NULL, err);
}

int cluster_check(const struct settings *s, struct err *err) {
	if (value_find(s->document->root, "scale.cpu") && s->scale.max == s->scale.min) {
		err_set(err, ERR_CONFIG, "scale.cpu: without a scale.max above scale.min nothing scales: set max, or leave cpu out");
		err_fix(err, "scale.max: %lld", (long long) s->scale.min * 2);
		return refuse(s, "scale.cpu", NULL, err);
	}
	return check_image(s, err) != 0 || check_exposed(s, err) != 0 || check_variables(s, err) != 0 || check_tolerations(s, err) != 0 ||
			check_payload(s, err) != 0 || check_ports(s, err) != 0 ||
			check_account(s, err) != 0
		? -1
		: 0;
}
