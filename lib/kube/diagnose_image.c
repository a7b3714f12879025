/* Why an image does not come. Kubelet passes on what containerd, CRI-O or docker said of what a registry said, each in its own words; what
 * is told apart is what can't get better by asking again. */
#include "kube/diagnose_case.h"

#include <stdio.h>

#define MESSAGE_BYTES_MAX 4096
#define SLOW_PULL_S 5

/* In this order: a name that can't be resolved is "not found" too, and a refusal may quote a URL. A kind's tries: how many failed pulls
 * make it hopeless; the kubelet waits 10 s, 20 s, 40 s, ... between them. */
enum { HOPELESS_AT_ONCE = 1, HOPELESS_TWICE = 2, HOPELESS_LATER = 5 };
static const struct kind {
	const char *cause, *words, *says, *fix;
	int tries;
} kinds[] = {
	{"wrong_architecture",
		"no match for platform|no matching manifest|no image found in image index for architecture|no image found in manifest "
		"list|cannot be used on this "
		"platform|does not match the specified platform|does not provide the specified platform|exec format error",
		"the image has no variant for the node's architecture", "build", HOPELESS_AT_ONCE},
	{"registry_rate_limited", "toomanyrequests|429 too many|too many requests|rate limit|pull qps exceeded",
		"the registry limits how often it may be asked", "secret", DIAGNOSIS_REPEATS},
	{"registry_timeout", "tls handshake timeout", "the registry does not answer in time", "reach", HOPELESS_LATER},
	{"registry_tls",
		"x509:|certificate|http response to https client|first record does not look like a tls handshake|tls: |ssl_error|remote "
		"error: tls|unknown authority",
		"the node does not trust the registry's TLS", "tls", HOPELESS_AT_ONCE},
	{"pull_secret_invalid", "invalid character|cannot unmarshal|unexpected end of json|illegal base64|dockerconfigjson",
		"a Secret of imagePullSecrets holds no readable .dockerconfigjson", "login", HOPELESS_AT_ONCE},
	{"registry_dns", "no such host|name or service not known|name does not resolve", "the node can't resolve the registry's name",
		"name", HOPELESS_TWICE},
	{"registry_dns", "server misbehaving|temporary failure in name resolution|tcp: lookup ",
		"the node's name server does not answer for the registry's name", "reach", HOPELESS_LATER},
	{"node_disk_full", "no space left on device|disk quota exceeded", "the node has no room for the image", "disk", DIAGNOSIS_REPEATS},
	{"image_denied",
		"401 unauthorized|403 forbidden|unauthorized|denied|authentication required|no basic auth credentials|authorization "
		"failed|insufficient_scope|failed to "
		"authorize|failed to fetch anonymous token|forbidden|incorrect username or password|invalid username/password|invalid "
		"credentials",
		"the registry refuses the pull", "secret", HOPELESS_AT_ONCE},
	{"registry_error",
		"500 internal|502 bad gateway|503 service|504 gateway|status code 5|internal server error|service unavailable|bad "
		"gateway|gateway timeout|received "
		"unexpected http status: 5|unexpected status code 5|unavailable: ",
		"the registry answers with an error of its own", "reach", HOPELESS_LATER},
	{"registry_unreachable", "connection refused", "nothing listens at the registry's address", "reach", DIAGNOSIS_REPEATS},
	{"registry_unreachable", "no route to host|network is unreachable|host is unreachable", "the node has no way to the registry",
		"reach", DIAGNOSIS_REPEATS},
	{"registry_timeout",
		"i/o timeout|deadline exceeded|client.timeout|timed out|connection reset|unexpected eof|broken pipe|proxyconnect|: "
		"eof|timeout exceeded|context canceled",
		"the registry does not answer in time", "reach", HOPELESS_LATER},
	{"image_invalid_name", "invalid reference format|couldn't parse image|failed to parse image|must be lowercase|invalid image name",
		"this is no image's name", "image", HOPELESS_AT_ONCE},
	{"image_not_found",
		"manifest unknown|name unknown|repository name not known|not found| 404|no such image|does not "
		"exist|name_unknown|manifest_unknown",
		"the registry has no such image", "push", HOPELESS_AT_ONCE},
	{"image_broken",
		"unsupported media|media type|size validation|unexpected commit|digest mismatch|mismatched digest|invalid tar|unexpected "
		"digest|failed to extract|error "
		"unpacking|failed to unpack|archive/tar|gzip: |schema 1|schema version|invalid checksum|filesystem layer verification",
		"the image can't be unpacked", "push", DIAGNOSIS_REPEATS},
	{"image_signature", "signature|source image rejected", "the node's policy wants a signature that the image has not", "sign",
		HOPELESS_AT_ONCE},
};

/* The message without whatever is a path, a reference or a URL: a repository may be called "denied/404". */
static struct str without_names(struct str message, struct str image, char *out, size_t size) {
	size_t len = 0;
	for (struct str rest = message; rest.ptr;) {
		struct str word = str_cut(rest, ' ', &rest);
		bool is_name =
			(memchr(word.ptr, '/', word.len) && word.len > 2 && !diagnose_has(word, "archive/tar|username/password|i/o")) ||
			(image.len && word.len >= image.len && diagnose_has(word, "\"") &&
				memmem(word.ptr, word.len, image.ptr, image.len));
		for (size_t i = 0; !is_name && i < word.len && len + 2 < size; i++)
			out[len++] = word.ptr[i];
		if (is_name && word.len && word.ptr[word.len - 1] == ':' && len + 2 < size)
			out[len++] = ':';
		if (len + 2 < size)
			out[len++] = ' ';
	}
	return (struct str){out, len};
}

static const struct kind *classify(struct str message, struct str image) {
	char plain[MESSAGE_BYTES_MAX];
	struct str text = without_names(message, image, plain, sizeof(plain));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (diagnose_has(text, kinds[i].words))
			return &kinds[i];
	return NULL;
}

/* How often it was tried: events count, else the kubelet's own waiting tells by the time that passed (10 s + 20 s + 40 s). */
static int64_t tries(const struct diagnose_case *c, struct str container, int64_t *first_s) {
	struct diagnose_event event;
	const struct diagnose_wanted wanted = {.reasons = "Failed", .words = "pull", .container = container};
	*first_s = diagnose_time(c->object, "status.startTime");
	if (c->world->events && diagnose_event_find(c, &wanted, &event)) {
		struct diagnose_event pulls;
		const struct diagnose_wanted failed = {.reasons = "Failed", .words = "failed to pull", .container = container};
		*first_s = event.first_s;
		return diagnose_event_find(c, &failed, &pulls) ? pulls.count : 1;
	}
	int64_t age = diagnose_age(c, *first_s);
	return age > 160 ? 5 : age > 75 ? 4 : age > 35 ? 3 : age > 13 ? 2 : 1;
}

/* The host of a reference, as the container runtimes read it. */
static struct str registry_of(struct str image) {
	struct str path, host = str_cut(image, '/', &path);
	bool is_host = path.ptr && (memchr(host.ptr, '.', host.len) || memchr(host.ptr, ':', host.len) || str_is(host, "localhost"));
	return is_host ? host : STR("docker.io");
}

static struct str first_pull_secret(const struct diagnose_case *c) {
	return diagnose_str(value_at(value_find(c->object, "spec.imagePullSecrets"), 0), "name");
}

/* Refused. With whose credentials? */
static void denied(struct diagnose_case *c, struct str container, struct str image, struct str detail) {
	const struct value *secrets = value_find(c->object, "spec.imagePullSecrets");
	struct str missing = STR(""), any = first_pull_secret(c), registry = registry_of(image);
	value_each(item, secrets) {
		struct str name = diagnose_str(item, "name");
		if (!missing.len && c->world->secrets_known && !diagnose_lists(c->world->secrets_known, name))
			missing = name;
	}
	struct diagnose_event event;
	const struct diagnose_wanted wanted = {.reasons = "FailedToRetrieveImagePullSecret"};
	bool is_told = diagnose_event_find(c, &wanted, &event);
	if (is_told && !missing.len && !c->world->secrets_known)
		missing = any;
	if (missing.len) {
		int64_t first_s = is_told ? event.first_s : diagnose_time(c->object, "status.startTime");
		int64_t grace = c->world->secrets_known ? DIAGNOSIS_MISSING_GRACE_S : DIAGNOSIS_SECRET_GRACE_S;
		if (diagnose_say(c, diagnose_age(c, first_s) >= grace ? DIAGNOSIS_STUCK : DIAGNOSIS_WAITING, "pull_secret_missing",
			    "container %.*s: pull of %.*s denied, and its imagePullSecrets name Secret %.*s, which is not in namespace "
			    "%.*s",
			    STR_ARGS(container), STR_ARGS(image), STR_ARGS(missing), STR_ARGS(c->space)))
			diagnose_fix(c,
				"kubectl -n %.*s create secret docker-registry %.*s --docker-server=%.*s --docker-username=USER "
				"--docker-password=...",
				STR_ARGS(c->space), STR_ARGS(missing), STR_ARGS(registry));
		return;
	}
	bool is_late = any.len && is_told && diagnose_age(c, event.first_s) < DIAGNOSIS_SECRET_GRACE_S;
	if (any.len) {
		if (diagnose_say(c, is_late ? DIAGNOSIS_WAITING : DIAGNOSIS_STUCK, "image_denied",
			    "container %.*s: registry %.*s denies the pull of %.*s with the credentials of Secret %.*s (wrong, expired, or "
			    "without access): "
			    "%.*s",
			    STR_ARGS(container), STR_ARGS(registry), STR_ARGS(image), STR_ARGS(any), STR_ARGS(detail)))
			diagnose_fix(c, "write credentials that may pull from %.*s into Secret %.*s, or check the image's name",
				STR_ARGS(registry), STR_ARGS(any));
		return;
	}
	if (diagnose_say(c, DIAGNOSIS_STUCK, "image_denied",
		    "container %.*s: registry %.*s denies the pull of %.*s: no pull secret is given (or there is no such repository): %.*s",
		    STR_ARGS(container), STR_ARGS(registry), STR_ARGS(image), STR_ARGS(detail)))
		diagnose_fix(c,
			"%s: imagePullSecrets: [NAME]   (kubectl -n %.*s create secret docker-registry NAME --docker-server=%.*s ...)",
			diagnose_settings(c), STR_ARGS(c->space), STR_ARGS(registry));
}

static void fix(struct diagnose_case *c, const struct kind *kind, struct str image) {
	struct str registry = registry_of(image), secret = first_pull_secret(c);
	if (strcmp(kind->fix, "build") == 0)
		diagnose_fix(c,
			"build the image for the node's architecture (kubectl get nodes -L kubernetes.io/arch), or %s: "
			"scheduling.nodeSelector: "
			"{kubernetes.io/arch: ...}",
			diagnose_settings(c));
	else if (strcmp(kind->fix, "push") == 0)
		diagnose_fix(c, "mlctl push   (or correct `image` in %s: %.*s)", diagnose_settings(c), STR_ARGS(image));
	else if (strcmp(kind->fix, "image") == 0)
		diagnose_fix(c, "%s: image: HOST/NAME in lower case, with one tag or digest", diagnose_settings(c));
	else if (strcmp(kind->fix, "secret") == 0 && !secret.len)
		diagnose_fix(c, "%s: imagePullSecrets: [NAME]   (an account has a higher limit), or a mirror", diagnose_settings(c));
	else if (strcmp(kind->fix, "login") == 0)
		diagnose_fix(c, "kubectl -n %.*s create secret docker-registry %.*s --docker-server=%.*s ...   (after deleting it)",
			STR_ARGS(c->space), STR_ARGS(secret), STR_ARGS(registry));
	else if (strcmp(kind->fix, "disk") == 0)
		diagnose_fix(c, "free the node's disk: kubectl describe node %.*s", STR_ARGS(diagnose_str(c->object, "spec.nodeName")));
	else if (strcmp(kind->fix, "tls") == 0)
		diagnose_fix(c,
			"install the CA of %.*s on the nodes (containerd: certs.d/%.*s/hosts.toml), or serve the registry with a trusted "
			"certificate",
			STR_ARGS(registry), STR_ARGS(registry));
	else if (strcmp(kind->fix, "name") == 0)
		diagnose_fix(c, "%s: image: the registry's right host instead of %.*s", diagnose_settings(c), STR_ARGS(registry));
	else
		diagnose_fix(c, "from the node %.*s: curl -v https://%.*s/v2/", STR_ARGS(diagnose_str(c->object, "spec.nodeName")),
			STR_ARGS(registry));
}

/* The last clause of a chain of causes, without the image's name, which is said already: "... failed to resolve reference ...: REF: not
 * found". */
static struct str last_clause(struct str message, struct str image) {
	message = diagnose_quote_end(message, DIAGNOSE_QUOTE);
	for (size_t i = message.len; i-- > 0;)
		if (i + 2 < message.len && message.ptr[i] == ':' && message.ptr[i + 1] == ' ') {
			struct str clause = {message.ptr + i + 2, message.len - i - 2}, before = {message.ptr, i};
			if (clause.len > 24 || str_ends(before, "\"") ||
				(image.len && before.len >= image.len &&
					memcmp(before.ptr + before.len - image.len, image.ptr, image.len) == 0))
				return clause;
		}
	return message;
}

/* ImagePullBackOff alone says nothing before Kubernetes 1.32: the pull's own words are in the event. */
static struct str words(const struct diagnose_case *c, struct str container, struct str waiting) {
	struct diagnose_event event;
	const struct diagnose_wanted wanted = {.reasons = "Failed|InspectFailed",
		.words = "failed to pull|failed to inspect|failed to apply default",
		.container = container};
	bool is_bare = !waiting.len || (str_starts(waiting, "Back-off pulling image") && !diagnose_has(waiting, "ErrImagePull"));
	return is_bare && diagnose_event_find(c, &wanted, &event) ? event.message : waiting;
}

void diagnose_image(struct diagnose_case *c, const struct value *spec, const struct value *status) {
	struct str container = diagnose_str(status, "name"), image = diagnose_str(spec, "image"),
		   reason = diagnose_str(status, "state.waiting.reason");
	struct str message = words(c, container, diagnose_str(status, "state.waiting.message"));
	if (!image.len)
		image = diagnose_str(status, "image");
	image = diagnose_quote(image, 120);
	if (str_is(reason, "InvalidImageName")) {
		if (diagnose_say(c, DIAGNOSIS_STUCK, "image_invalid_name", "container %.*s: image \"%.*s\" is no image's name: %.*s",
			    STR_ARGS(container), STR_ARGS(image), STR_ARGS(last_clause(message, image))))
			diagnose_fix(c, "%s: image: HOST/NAME in lower case, with one tag or digest", diagnose_settings(c));
		return;
	}
	if (str_is(reason, "ErrImageNeverPull")) {
		struct str node = diagnose_str(c->object, "spec.nodeName");
		if (diagnose_say(c, DIAGNOSIS_STUCK, "image_never_pulled",
			    "container %.*s: image %.*s is not on node %.*s, and imagePullPolicy: Never forbids to pull it",
			    STR_ARGS(container), STR_ARGS(image), STR_ARGS(node)))
			diagnose_fix(c, "imagePullPolicy: IfNotPresent in .mlctl/templates/kubernetes/deployment.yaml, or load the image on node %.*s",
				STR_ARGS(node));
		return;
	}
	const struct kind *kind = classify(message, image);
	struct str detail = last_clause(message, image);
	if (kind && strcmp(kind->cause, "image_denied") == 0) {
		denied(c, container, image, detail);
		return;
	}
	int64_t first_s, n = tries(c, container, &first_s);
	if (!kind) {
		const char *cause = str_is(reason, "SignatureValidationFailed") ? "image_signature"
				    : str_is(reason, "RegistryUnavailable")	? "registry_unreachable"
										: "image_pull";
		bool is_hopeless = str_is(reason, "SignatureValidationFailed") || n >= HOPELESS_LATER;
		diagnose_say(c, is_hopeless ? DIAGNOSIS_STUCK : DIAGNOSIS_FAILING, cause,
			"container %.*s: pull of %.*s fails (%lldx): %.*s", STR_ARGS(container), STR_ARGS(image), (long long) n,
			STR_ARGS(detail.len ? detail : reason));
		return;
	}
	bool is_digest = diagnose_has(image, "@sha256:");
	if (strcmp(kind->cause, "image_not_found") == 0 && str_is(detail, "not found"))
		detail = STR("");
	struct str architecture = strcmp(kind->cause, "wrong_architecture") == 0 ? diagnose_architecture(c) : STR("");
	const char *what = strcmp(kind->cause, "image_not_found") == 0 && is_digest ? "the registry has no such digest" : kind->says;
	if (diagnose_say(c, n >= kind->tries ? DIAGNOSIS_STUCK : DIAGNOSIS_FAILING, kind->cause,
		    "container %.*s: pull of %.*s: %s%s%.*s (%.*s; tried %lldx)%s%.*s", STR_ARGS(container), STR_ARGS(image), what,
		    architecture.len ? " " : "", STR_ARGS(diagnose_quote(architecture, 20)), STR_ARGS(registry_of(image)), (long long) n,
		    detail.len ? ": " : "", STR_ARGS(detail)))
		fix(c, kind, image);
}
