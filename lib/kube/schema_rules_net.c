#include "kube/schema_check.h"

static bool has(const struct value *object, const char *key) {
	const struct value *value = schema_get(object, key);
	return value && !(value->kind == VALUE_ARRAY && !value->count);
}

static struct str or_else(const struct value *object, const char *key, const char *fallback) {
	struct str text = schema_text(object, key);
	return text.len ? text : str_of(fallback);
}

static void check_service_ports(struct schema_check *check, const struct value *spec, struct str type) {
	const struct value *ports = schema_get(spec, "ports");
	if (!ports || ports->kind != VALUE_ARRAY)
		return;
	size_t index = 0;
	value_each(port, ports) {
		size_t path_len = schema_push(check, STR("ports"));
		schema_push_index(check, index++);
		struct str name = schema_text(port, "name");
		if (ports->count > 1 && !name.len)
			schema_refuse(check, port, "name", NULL, "is needed where there are several ports");
		int64_t node_port, other_port;
		bool has_node_port = schema_int(schema_get(port, "nodePort"), &node_port) && node_port;
		if (has_node_port && str_is(type, "ClusterIP"))
			schema_refuse(check, value_get(port, "nodePort"), "nodePort", "type: NodePort, or leave it out",
				"is not for the type ClusterIP");
		size_t compared = 0;
		for (const struct value *other = ports->first; other != port && compared < 1000; other = other->next, compared++) {
			if (name.len && str_equal(schema_text(other, "name"), name))
				schema_refuse(check, value_get(port, "name"), "name", NULL, "\"%.*s\" is there twice", STR_ARGS(name));
			if (has_node_port && schema_int(schema_get(other, "nodePort"), &other_port) && other_port == node_port &&
				str_equal(or_else(port, "protocol", "TCP"), or_else(other, "protocol", "TCP")))
				schema_refuse(
					check, value_get(port, "nodePort"), "nodePort", NULL, "%lld is there twice", (long long) node_port);
		}
		schema_pop(check, path_len);
	}
}

/* Fields that belong to some types of Service only. */
static void check_service_type(struct schema_check *check, const struct value *spec, struct str type) {
	bool is_balanced = str_is(type, "LoadBalancer"), is_open = is_balanced || str_is(type, "NodePort");
	static const char *const balanced[] = {"loadBalancerSourceRanges", "allocateLoadBalancerNodePorts", "loadBalancerClass"};
	for (size_t i = 0; i < 3; i++)
		if (!is_balanced && has(spec, balanced[i]))
			schema_refuse(check, value_get(spec, balanced[i]), balanced[i], "type: LoadBalancer, or leave it out",
				"is only for the type LoadBalancer");
	if (!is_open && schema_text(spec, "externalTrafficPolicy").len && !has(spec, "externalIPs"))
		schema_refuse(check, value_get(spec, "externalTrafficPolicy"), "externalTrafficPolicy", "leave it out",
			"is only for the types NodePort and LoadBalancer");
	int64_t health = 0;
	if (schema_int(schema_get(spec, "healthCheckNodePort"), &health) && health &&
		!(is_balanced && str_is(schema_text(spec, "externalTrafficPolicy"), "Local")))
		schema_refuse(check, value_get(spec, "healthCheckNodePort"), "healthCheckNodePort", NULL,
			"is only for the type LoadBalancer with externalTrafficPolicy: Local");
	bool is_headless = str_is(schema_text(spec, "clusterIP"), "None");
	if (is_open && is_headless)
		schema_refuse(check, value_get(spec, "clusterIP"), "clusterIP", NULL, "None is not for the type %.*s", STR_ARGS(type));
	if (str_is(type, "ExternalName")) {
		if (!schema_text(spec, "externalName").len)
			schema_refuse(check, spec, "externalName", NULL, "is needed for the type ExternalName");
		if (schema_text(spec, "clusterIP").len)
			schema_refuse(check, value_get(spec, "clusterIP"), "clusterIP", "leave it out", "is not for the type ExternalName");
	} else if (!has(spec, "ports") && !is_headless) {
		schema_refuse(check, spec, "ports", NULL, "is missing");
	}
}

void schema_rule_service_spec(struct schema_check *check, const struct value *object) {
	struct str type = or_else(object, "type", "ClusterIP");
	check_service_ports(check, object, type);
	check_service_type(check, object, type);
	if (has(object, "sessionAffinityConfig") && !str_is(schema_text(object, "sessionAffinity"), "ClientIP"))
		schema_warn(check, value_get(object, "sessionAffinityConfig"), "sessionAffinityConfig", "sessionAffinity: ClientIP",
			"is only for sessionAffinity: ClientIP, and ignored");
}

void schema_rule_hpa_spec(struct schema_check *check, const struct value *object) {
	int64_t least = 1, most = 0;
	const struct value *low = schema_get(object, "minReplicas"), *high = schema_get(object, "maxReplicas");
	bool has_least = schema_int(low, &least);
	if (schema_int(high, &most) && most >= 1 && least > most)
		schema_refuse(check, high, "maxReplicas", "minReplicas or more", "%lld is below minReplicas, %lld", (long long) most,
			(long long) least);
	if (!has_least || least != 0)
		return;
	bool is_waking = false;
	value_each(metric, schema_get(object, "metrics")) {
		struct str type = schema_text(metric, "type");
		is_waking |= str_is(type, "Object") || str_is(type, "External");
	}
	if (!is_waking)
		schema_refuse(check, low, "minReplicas", "1 or more", "0 needs an Object or External metric that can wake it");
	else if (check->minor < 37)
		schema_warn(check, low, "minReplicas", NULL, "0 needs the feature gate HPAScaleToZero");
}

void schema_rule_hpa_metric(struct schema_check *check, const struct value *object) {
	static const struct {
		const char *type, *member;
	} sources[] = {{"Resource", "resource"}, {"ContainerResource", "containerResource"}, {"Pods", "pods"}, {"Object", "object"},
		{"External", "external"}};
	struct str type = schema_text(object, "type");
	bool is_known = false;
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		is_known |= str_is(type, sources[i].type);
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]) && is_known; i++) {
		bool is_it = str_is(type, sources[i].type);
		const struct value *source = schema_get(object, sources[i].member);
		if (is_it && !source)
			schema_refuse(check, object, sources[i].member, NULL, "is needed for the type %s", sources[i].type);
		if (!is_it && source)
			schema_refuse(check, source, sources[i].member, "the member that the type names",
				"does not belong to the type %.*s", STR_ARGS(type));
		const struct value *target = is_it ? schema_get(source, "target") : NULL;
		if (!target || target->kind != VALUE_OBJECT)
			continue;
		bool is_resource = i < 2, has_average = has(target, "averageValue"), has_share = has(target, "averageUtilization"),
		     has_value = has(target, "value");
		size_t path_len = schema_push(check, str_of(sources[i].member));
		schema_push(check, STR("target"));
		if (is_resource ? !has_share && !has_average : i == 2 ? !has_average : !has_value && !has_average)
			schema_refuse(check, target, is_resource ? "averageUtilization" : "averageValue", NULL,
				is_resource ? "or averageValue is needed" : "is missing");
		if ((is_resource && has_share && has_average) || (i == 4 && has_value && has_average))
			schema_refuse(check, target, "averageValue", "one of them", "and %s are both there",
				is_resource ? "averageUtilization" : "value");
		schema_pop(check, path_len);
	}
}

void schema_rule_hpa_target(struct schema_check *check, const struct value *object) {
	static const char *const amounts[] = {"value", "averageValue"};
	for (size_t i = 0; i < 2; i++) {
		struct schema_quantity quantity;
		if (schema_quantity_of(schema_get(object, amounts[i]), &quantity) == 0 && quantity.nano <= 0)
			schema_refuse(check, value_get(object, amounts[i]), amounts[i], "more than 0", "is not above 0");
	}
	static const struct {
		const char *type, *member;
	} pairs[] = {{"Utilization", "averageUtilization"}, {"AverageValue", "averageValue"}, {"Value", "value"}};
	struct str type = schema_text(object, "type");
	for (size_t i = 0; i < 3; i++)
		if (str_is(type, pairs[i].type) && !has(object, pairs[i].member) && object->count > 1)
			schema_warn(check, object, pairs[i].member, NULL, "is what the type %s is about, and it is missing", pairs[i].type);
}

void schema_rule_hpa_scaling(struct schema_check *check, const struct value *object) {
	const struct value *policies = schema_get(object, "policies");
	if (policies && !policies->count)
		schema_refuse(check, policies, "policies", "one policy or more, or leave it out", "is empty");
	struct schema_quantity tolerance;
	if (schema_quantity_of(schema_get(object, "tolerance"), &tolerance) == 0 && tolerance.nano < 0)
		schema_refuse(check, value_get(object, "tolerance"), "tolerance", "0 or more", "is below 0");
}

void schema_rule_pdb_spec(struct schema_check *check, const struct value *object) {
	const struct value *available = schema_get(object, "minAvailable"), *unavailable = schema_get(object, "maxUnavailable");
	if (available && unavailable)
		schema_refuse(check, unavailable, "maxUnavailable", "one of them", "and minAvailable are both there");
	if (!available && !unavailable)
		schema_warn(check, object, NULL, "minAvailable or maxUnavailable", "says nothing: minAvailable is 1 then");
	int64_t number;
	bool is_share;
	if (unavailable && schema_share_of(unavailable, &number, &is_share) == 0 && number == 0)
		schema_warn(check, unavailable, "maxUnavailable", "1 or more", "0 lets no node be drained");
	if (available && schema_share_of(available, &number, &is_share) == 0 && is_share && number == 100)
		schema_warn(check, available, "minAvailable", "less than 100%", "100%% lets no node be drained");
	if (!has(object, "selector"))
		schema_warn(check, object, "selector", NULL, "is missing: it selects no pod");
}

void schema_rule_policy_port(struct schema_check *check, const struct value *object) {
	int64_t first, last;
	const struct value *end = schema_get(object, "endPort"), *port = schema_get(object, "port");
	if (!schema_int(end, &last))
		return;
	if (!port || port->kind != VALUE_NUMBER)
		schema_refuse(check, end, "endPort", NULL, "needs a port that is a number");
	else if (schema_int(port, &first) && last < first)
		schema_refuse(check, end, "endPort", "port or more", "%lld is below port, %lld", (long long) last, (long long) first);
}

void schema_rule_policy_peer(struct schema_check *check, const struct value *object) {
	bool has_block = has(object, "ipBlock"), has_selector = has(object, "podSelector") || has(object, "namespaceSelector");
	if (!has_block && !has_selector)
		schema_refuse(check, object, NULL, "podSelector, namespaceSelector or ipBlock; leave the whole list out for anybody",
			"names nobody");
	if (has_block && has_selector)
		schema_refuse(check, value_get(object, "ipBlock"), "ipBlock", "a peer of its own",
			"stands alone: no podSelector or namespaceSelector beside it");
}

void schema_rule_ip_block(struct schema_check *check, const struct value *object) {
	struct str outer = schema_text(object, "cidr");
	size_t index = 0;
	value_each(except, schema_get(object, "except")) {
		size_t path_len = schema_push(check, STR("except"));
		schema_push_index(check, index++);
		if (outer.len && except->kind == VALUE_STRING && !schema_format_wrong(FORMAT_CIDR, outer, 0) &&
			!schema_format_wrong(FORMAT_CIDR, except->text, 0) && !schema_cidr_holds(outer, except->text))
			schema_refuse(
				check, except, NULL, NULL, "\"%.*s\" is no strict part of %.*s", STR_ARGS(except->text), STR_ARGS(outer));
		schema_pop(check, path_len);
	}
}

void schema_rule_ingress_spec(struct schema_check *check, const struct value *object) {
	if (!has(object, "rules") && !has(object, "defaultBackend"))
		schema_refuse(check, object, NULL, NULL, "needs rules or a defaultBackend");
	struct str class = schema_text(object, "ingressClassName");
	value_each(annotation, value_find(check->root,
				       "metadata.annotations")) if (str_is(annotation->key, "kubernetes.io/ingress.class") && class.len &&
								    annotation->kind == VALUE_STRING && !str_equal(annotation->text, class))
		schema_refuse(check, value_get(object, "ingressClassName"), "ingressClassName", "leave the annotation out",
			"is not what the annotation kubernetes.io/ingress.class says");
}

/* What is not allowed in a path that is compared as text. */
static const char *path_wrong(struct str path) {
	static const char *const inside[] = {"//", "/./", "/../", "%2f", "%2F"};
	static const char *const last[] = {"/..", "/."};
	char text[1030];
	if (!path.len || path.ptr[0] != '/')
		return "begin it with '/'";
	if (path.len >= sizeof(text))
		return NULL;
	memcpy(text, path.ptr, path.len);
	text[path.len] = '\0';
	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
		if (strstr(text, inside[i]))
			return "without '//', '/./', '/../' and '%2f'";
	for (size_t i = 0; i < 2; i++)
		if (str_ends(path, last[i]))
			return "without '/.' or '/..' at its end";
	return NULL;
}

void schema_rule_ingress_path(struct schema_check *check, const struct value *object) {
	struct str type = schema_text(object, "pathType"), path = schema_text(object, "path");
	bool is_own = str_is(type, "ImplementationSpecific");
	if (!type.len)
		return;
	const char *wrong = is_own ? (path.len && path.ptr[0] != '/' ? "begin it with '/'" : NULL) : path_wrong(path);
	const struct value *at = value_get(object, "path");
	if (wrong)
		schema_refuse(check, at ? at : object, "path", wrong, at ? "\"%.*s\" does not fit" : "is missing%.*s", STR_ARGS(path));
}

void schema_rule_ingress_backend(struct schema_check *check, const struct value *object) {
	const struct value *service = schema_get(object, "service"), *resource = schema_get(object, "resource");
	if (service && resource)
		schema_refuse(check, resource, "resource", "one of them", "and service are both there");
	if (!service && !resource) {
		bool is_old = value_get(object, "serviceName") || value_get(object, "servicePort");
		schema_refuse(check, object, "service", is_old ? "service: {name: ..., port: {number: ...}}" : NULL, "is missing");
	}
	if (!service || service->kind != VALUE_OBJECT)
		return;
	const struct value *port = schema_get(service, "port");
	int64_t number = 0;
	bool has_number = schema_int(schema_get(port, "number"), &number) && number, has_name = schema_text(port, "name").len > 0;
	if (has_number && has_name)
		schema_refuse(check, port, "service.port", "one of them", "has a name and a number");
	if (!has_number && !has_name && (!port || port->kind == VALUE_OBJECT))
		schema_refuse(check, port ? port : service, "service.port", "number or name", port ? "names no port" : "is missing");
}

static bool is_service_ref(const struct value *ref) {
	return !schema_text(ref, "group").len && str_is(or_else(ref, "kind", "Service"), "Service");
}

void schema_rule_route_backend(struct schema_check *check, const struct value *object) {
	if (is_service_ref(object) && !has(object, "port"))
		schema_refuse(check, object, "port", NULL, "is needed for a Service");
}

static const struct value *filter_of(const struct value *filters, const char *type) {
	value_each(filter, filters) if (str_is(schema_text(filter, "type"), type)) return filter;
	return NULL;
}

static size_t prefix_matches(const struct value *rule) {
	size_t prefixes = 0;
	value_each(match, schema_get(rule, "matches")) prefixes +=
		str_is(or_else(schema_get(match, "path"), "type", "PathPrefix"), "PathPrefix");
	return prefixes;
}

static void check_filters(struct schema_check *check, const struct value *filters, bool is_one_prefix) {
	static const char *const once[] = {"CORS", "RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite"};
	if (!filters || filters->kind != VALUE_ARRAY)
		return;
	if (filter_of(filters, "RequestRedirect") && filter_of(filters, "URLRewrite"))
		schema_refuse(check, filters, "filters", "one of them", "has a RequestRedirect and a URLRewrite");
	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
		size_t count = 0;
		value_each(filter, filters) count += str_is(schema_text(filter, "type"), once[i]);
		if (count > 1)
			schema_refuse(check, filters, "filters", NULL, "has %zu of the type %s, at most one", count, once[i]);
	}
	bool is_replaced = false;
	value_each(filter, filters) {
		is_replaced |= str_is(schema_text(value_find(filter, "urlRewrite.path"), "type"), "ReplacePrefixMatch") ||
			       str_is(schema_text(value_find(filter, "requestRedirect.path"), "type"), "ReplacePrefixMatch");
	}
	if (is_replaced && !is_one_prefix)
		schema_refuse(check, filters, "filters", NULL, "replaces a prefix: exactly one PathPrefix match is needed");
}

void schema_rule_route_rule(struct schema_check *check, const struct value *object) {
	const struct value *filters = schema_get(object, "filters"), *backends = schema_get(object, "backendRefs"),
			   *matches = schema_get(object, "matches");
	bool is_one_prefix = !matches || (matches->count == 1 && prefix_matches(object) == 1); /* without matches: every path */
	size_t index = 0;
	if (filter_of(filters, "RequestRedirect") && has(object, "backendRefs"))
		schema_refuse(check, backends, "backendRefs", "leave it out", "has no meaning beside a RequestRedirect");
	check_filters(check, filters, is_one_prefix);
	value_each(backend, backends) {
		size_t path_len = schema_push(check, STR("backendRefs"));
		schema_push_index(check, index++);
		check_filters(check, schema_get(backend, "filters"), is_one_prefix);
		schema_pop(check, path_len);
	}
	int64_t whole, one;
	struct str request = schema_text(schema_get(object, "timeouts"), "request"),
		   single = schema_text(schema_get(object, "timeouts"), "backendRequest");
	if (schema_duration_ms(request, &whole) == 0 && schema_duration_ms(single, &one) == 0 && whole && one > whole)
		schema_refuse(check, value_find(object, "timeouts.backendRequest"), "timeouts.backendRequest", "at most timeouts.request",
			"%.*s is longer than timeouts.request, %.*s", STR_ARGS(single), STR_ARGS(request));
}

void schema_rule_route_path(struct schema_check *check, const struct value *object) {
	struct str path = or_else(object, "value", "/");
	const char *wrong = str_is(schema_text(object, "type"), "RegularExpression") ? NULL : path_wrong(path);
	for (size_t i = 0; i < path.len && !wrong; i++) {
		char c = path.ptr[i];
		if (!str_is(schema_text(object, "type"), "RegularExpression") &&
			(c <= ' ' || (unsigned char) c >= 0x7f || strchr("#?\"<>\\^`{|}[]", c)))
			wrong = "letters, digits and -/._~!$&'()*+,;=:@, or %XX";
	}
	if (wrong)
		schema_refuse(check, value_get(object, "value"), "value", wrong, "\"%.*s\" does not fit", STR_ARGS(path));
}

void schema_rule_route_filter(struct schema_check *check, const struct value *object) {
	static const struct {
		const char *type, *member;
	} filters[] = {{"RequestHeaderModifier", "requestHeaderModifier"}, {"ResponseHeaderModifier", "responseHeaderModifier"},
		{"RequestMirror", "requestMirror"}, {"RequestRedirect", "requestRedirect"}, {"URLRewrite", "urlRewrite"},
		{"ExtensionRef", "extensionRef"}, {"CORS", "cors"}};
	struct str type = schema_text(object, "type");
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		bool is_it = str_is(type, filters[i].type);
		const struct value *member = schema_get(object, filters[i].member);
		if (is_it && !member)
			schema_refuse(check, object, filters[i].member, NULL, "is needed for the type %s", filters[i].type);
		if (!is_it && member)
			schema_refuse(check, member, filters[i].member, "the member that the type names",
				"does not belong to the type %.*s", STR_ARGS(type));
	}
}

void schema_rule_route_rewrite(struct schema_check *check, const struct value *object) {
	static const struct {
		const char *type, *member;
	} ways[] = {{"ReplaceFullPath", "replaceFullPath"}, {"ReplacePrefixMatch", "replacePrefixMatch"}};
	struct str type = schema_text(object, "type");
	for (size_t i = 0; i < 2; i++) {
		bool is_it = str_is(type, ways[i].type);
		if (is_it != has(object, ways[i].member))
			schema_refuse(check, object, ways[i].member, NULL,
				is_it ? "is needed for the type %.*s" : "does not belong to the type %.*s", STR_ARGS(type));
	}
}

/* One Gateway as two references name it; NULL stands for what is not said. */
static bool is_same_parent(const struct value *a, const struct value *b) {
	static const char *const said[][2] = {{"group", "gateway.networking.k8s.io"}, {"kind", "Gateway"}, {"name", ""}, {"namespace", ""}};
	for (size_t i = 0; i < 4; i++)
		if (!str_equal(or_else(a, said[i][0], said[i][1]), or_else(b, said[i][0], said[i][1])))
			return false;
	return true;
}

static void check_parents(struct schema_check *check, const struct value *parents) {
	size_t index = 0;
	if (!parents || parents->kind != VALUE_ARRAY || parents->count > 64)
		return;
	value_each(parent, parents) {
		for (const struct value *other = parents->first; other != parent; other = other->next) {
			struct str mine = schema_text(parent, "sectionName"), theirs = schema_text(other, "sectionName");
			const struct value *port = schema_get(parent, "port"), *their_port = schema_get(other, "port");
			bool is_port_apart = port && their_port && !value_equal(port, their_port),
			     is_half = (mine.len > 0) != (theirs.len > 0) || !port != !their_port;
			if (!is_same_parent(parent, other) || (!is_half && (is_port_apart || !str_equal(mine, theirs))))
				continue;
			size_t path_len = schema_push(check, STR("parentRefs"));
			schema_push_index(check, index);
			schema_refuse(check, parent, NULL, "a sectionName of its own for each",
				is_half ? "names the same parent as one before it, and only one of them a section"
					: "is the same as one before it");
			schema_pop(check, path_len);
			break;
		}
		index++;
	}
}

void schema_rule_route_spec(struct schema_check *check, const struct value *object) {
	check_parents(check, schema_get(object, "parentRefs"));
	size_t matches = 0;
	value_each(rule, schema_get(object, "rules")) matches += schema_get(rule, "matches") ? schema_get(rule, "matches")->count : 0;
	if (matches > 128)
		schema_refuse(check, value_get(object, "rules"), "rules", NULL, "have %zu matches together, at most 128", matches);
}

void schema_rule_prometheus_rule(struct schema_check *check, const struct value *object) {
	bool is_alert = schema_text(object, "alert").len > 0, is_record = schema_text(object, "record").len > 0;
	if (is_alert == is_record)
		schema_warn(check, object, is_alert ? "record" : "alert", "one of alert and record",
			is_alert ? "and alert are both there" : "or record is missing");
}
