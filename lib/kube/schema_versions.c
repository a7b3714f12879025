#include "kube/schema_check.h"

/* https://kubernetes.io/docs/reference/using-api/deprecation-guide/, in order of removal. */
static const struct schema_gone table[] = {
	{"extensions/v1beta1", "Deployment", 16, "apps/v1", "spec.selector is needed there, and cannot be changed later"},
	{"extensions/v1beta1", "DaemonSet", 16, "apps/v1", "spec.selector is needed there"},
	{"extensions/v1beta1", "ReplicaSet", 16, "apps/v1", "spec.selector is needed there"},
	{"extensions/v1beta1", "NetworkPolicy", 16, "networking.k8s.io/v1", NULL},
	{"extensions/v1beta1", "PodSecurityPolicy", 16, NULL, "Pod Security Admission came in its place (a label of the namespace)"},
	{"extensions/v1beta1", "Ingress", 22, "networking.k8s.io/v1",
		"backend.serviceName and servicePort are backend.service.name and .port there, and pathType is needed"},
	{"apps/v1beta1", "", 16, "apps/v1", "spec.selector is needed there"},
	{"apps/v1beta2", "", 16, "apps/v1", "spec.selector is needed there"},
	{"admissionregistration.k8s.io/v1beta1", "", 22, "admissionregistration.k8s.io/v1", NULL},
	{"apiextensions.k8s.io/v1beta1", "", 22, "apiextensions.k8s.io/v1", "spec.versions with a schema each is needed there"},
	{"apiregistration.k8s.io/v1beta1", "", 22, "apiregistration.k8s.io/v1", NULL},
	{"authentication.k8s.io/v1beta1", "TokenReview", 22, "authentication.k8s.io/v1", NULL},
	{"authorization.k8s.io/v1beta1", "", 22, "authorization.k8s.io/v1", NULL},
	{"certificates.k8s.io/v1beta1", "", 22, "certificates.k8s.io/v1", NULL},
	{"coordination.k8s.io/v1beta1", "Lease", 22, "coordination.k8s.io/v1", NULL},
	{"networking.k8s.io/v1beta1", "Ingress", 22, "networking.k8s.io/v1",
		"backend.serviceName and servicePort are backend.service.name and .port there, and pathType is needed"},
	{"networking.k8s.io/v1beta1", "IngressClass", 22, "networking.k8s.io/v1", NULL},
	{"rbac.authorization.k8s.io/v1beta1", "", 22, "rbac.authorization.k8s.io/v1", NULL},
	{"rbac.authorization.k8s.io/v1alpha1", "", 22, "rbac.authorization.k8s.io/v1", NULL},
	{"scheduling.k8s.io/v1beta1", "", 22, "scheduling.k8s.io/v1", NULL},
	{"storage.k8s.io/v1beta1", "CSIDriver", 22, "storage.k8s.io/v1", NULL},
	{"storage.k8s.io/v1beta1", "CSINode", 22, "storage.k8s.io/v1", NULL},
	{"storage.k8s.io/v1beta1", "StorageClass", 22, "storage.k8s.io/v1", NULL},
	{"storage.k8s.io/v1beta1", "VolumeAttachment", 22, "storage.k8s.io/v1", NULL},
	{"batch/v1beta1", "CronJob", 25, "batch/v1", NULL},
	{"batch/v2alpha1", "CronJob", 21, "batch/v1", NULL},
	{"discovery.k8s.io/v1beta1", "EndpointSlice", 25, "discovery.k8s.io/v1", NULL},
	{"events.k8s.io/v1beta1", "Event", 25, "events.k8s.io/v1", NULL},
	{"autoscaling/v2beta1", "HorizontalPodAutoscaler", 25, "autoscaling/v2",
		"targetAverageUtilization is target.type: Utilization with target.averageUtilization there"},
	{"autoscaling/v2beta2", "HorizontalPodAutoscaler", 26, "autoscaling/v2", NULL},
	{"policy/v1beta1", "PodDisruptionBudget", 25, "policy/v1", "an empty spec.selector selects every pod there"},
	{"policy/v1beta1", "PodSecurityPolicy", 25, NULL, "Pod Security Admission came in its place (a label of the namespace)"},
	{"policy/v1beta1", "Eviction", 25, "policy/v1", NULL},
	{"node.k8s.io/v1beta1", "RuntimeClass", 25, "node.k8s.io/v1", NULL},
	{"node.k8s.io/v1alpha1", "RuntimeClass", 24, "node.k8s.io/v1", NULL},
	{"flowcontrol.apiserver.k8s.io/v1beta1", "", 26, "flowcontrol.apiserver.k8s.io/v1", NULL},
	{"flowcontrol.apiserver.k8s.io/v1beta2", "", 29, "flowcontrol.apiserver.k8s.io/v1", NULL},
	{"flowcontrol.apiserver.k8s.io/v1beta3", "", 32, "flowcontrol.apiserver.k8s.io/v1", NULL},
	{"storage.k8s.io/v1beta1", "CSIStorageCapacity", 27, "storage.k8s.io/v1", NULL},
	{"gateway.networking.k8s.io/v1alpha2", "HTTPRoute", 0, "gateway.networking.k8s.io/v1", NULL},
};

const struct schema_gone *schema_gone_find(struct str api_version, struct str kind) {
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (str_is(api_version, table[i].api_version) && (!table[i].kind[0] || str_is(kind, table[i].kind)))
			return &table[i];
	return NULL;
}
