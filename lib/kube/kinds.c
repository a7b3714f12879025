#include "kube/client.h"

/* Served since Kubernetes 1.23 at the latest (EndpointSlice 1.21, HorizontalPodAutoscaler v2 1.23); the last three come with what installs
 * them. */
const struct kube_kind kube_kinds[] = {
	{"v1", "Namespace", "namespaces", false},
	{"v1", "Node", "nodes", false},
	{"v1", "Pod", "pods", true},
	{"v1", "Event", "events", true},
	{"v1", "Secret", "secrets", true},
	{"v1", "ConfigMap", "configmaps", true},
	{"v1", "Service", "services", true},
	{"v1", "ServiceAccount", "serviceaccounts", true},
	{"v1", "Endpoints", "endpoints", true},
	{"v1", "ResourceQuota", "resourcequotas", true},
	{"v1", "LimitRange", "limitranges", true},
	{"discovery.k8s.io/v1", "EndpointSlice", "endpointslices", true},
	{"apps/v1", "Deployment", "deployments", true},
	{"apps/v1", "ReplicaSet", "replicasets", true},
	{"autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true},
	{"policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", true},
	{"networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true},
	{"networking.k8s.io/v1", "Ingress", "ingresses", true},
	{"coordination.k8s.io/v1", "Lease", "leases", true},
	{"gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes", true},
	{"monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors", true},
	{"monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules", true},
	{0},
};

const struct kube_kind *kube_kind_find(const char *kind) {
	for (const struct kube_kind *one = kube_kinds; one->kind; one++)
		if (strcmp(one->kind, kind) == 0)
			return one;
	return NULL;
}
