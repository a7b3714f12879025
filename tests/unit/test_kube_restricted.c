/* The Pod Security Standard "restricted": every control, by name and field; tests/cluster/light_schema.sh asks a namespace that enforces
 * it. */
#include "kube/schema.h"
#include "unit/told.h"

static void test_restricted(void **state) {
	(void) state;
	assert_true(told_folder("restricted", kube_restricted_check_object, false) >= 5);
}

static void test_unrestricted(void **state) {
	(void) state;
	assert_true(told_folder("unrestricted", kube_restricted_check_object, true) >= 30);
}

static size_t count_errors(const char *text, const char *version, struct kube_problem items[TOLD_MAX]) {
	AUTO_DOCUMENT struct document *document = told_yaml(text);
	struct err err = {0};
	struct kube_problems problems = {.items = items, .max = TOLD_MAX};
	int rc = kube_restricted_check_object(document->root, version, &problems, &err);
	assert_int_equal(rc, problems.errors ? -1 : 0);
	return problems.errors;
}

#define POD(more, context)                                                                                                                 \
	"{" more " containers: [{name: c, image: i, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, "      \
	"seccompProfile: {type: "                                                                                                          \
	"RuntimeDefault}" context "}}]}"

/* What is judged otherwise by another version of the policy. */
static void test_versions(void **state) {
	(void) state;
	static const struct {
		const char *pod, *last_refused, *first_allowed;
	} cases[] = {
		{"{kind: Pod, spec: " POD("securityContext: {sysctls: [{name: net.ipv4.tcp_rmem}]},", ", runAsNonRoot: true") "}", "1.31",
			"1.32"},
		{"{kind: Pod, spec: " POD("securityContext: {sysctls: [{name: net.ipv4.tcp_notsent_lowat}]},", ", runAsNonRoot: true") "}",
			"1.36", "1.37"},
		{"{kind: Pod, spec: " POD("securityContext: {seLinuxOptions: {type: container_engine_t}},", ", runAsNonRoot: true") "}",
			"1.30", "1.31"},
		{"{kind: Pod, spec: " POD("hostUsers: false,", "") "}", "1.34", "1.35"},
		{"{kind: Pod, spec: " POD("hostUsers: false, securityContext: {runAsUser: 0},", ", runAsNonRoot: false") "}", "1.34",
			"1.35"},
	};
	struct kube_problem items[TOLD_MAX];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_not_equal(count_errors(cases[i].pod, cases[i].last_refused, items), 0);
		assert_int_equal(count_errors(cases[i].pod, cases[i].first_allowed, items), 0);
	}
	static const char probe[] =
		"{kind: Pod, spec: {containers: [{name: c, image: i, readinessProbe: {tcpSocket: {host: h, port: 1}}, securityContext: "
		"{runAsNonRoot: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, seccompProfile: {type: "
		"RuntimeDefault}}}]}}";
	assert_int_equal(count_errors(probe, "1.33", items), 0);
	assert_int_equal(count_errors(probe, "1.34", items), 1);
	assert_string_equal(items[0].path, "spec.containers[0].readinessProbe.tcpSocket.host");
}

/* Where the pod of each kind stands; what has none passes. */
static void test_owners(void **state) {
	(void) state;
	struct kube_problem items[TOLD_MAX];
	assert_int_equal(count_errors("{kind: Deployment, spec: {template: {spec: {hostPID: true, containers: []}}}}", NULL, items), 1);
	assert_string_equal(items[0].path, "spec.template.spec.hostPID");
	assert_int_equal(count_errors("{kind: CronJob, spec: {jobTemplate: {spec: {template: {spec: {hostPID: true, containers: []}}}}}}",
				 NULL, items),
		1);
	assert_string_equal(items[0].path, "spec.jobTemplate.spec.template.spec.hostPID");
	assert_int_equal(count_errors("{kind: Service, spec: {ports: []}}", NULL, items), 0);
	assert_int_equal(count_errors("{kind: Pod}", NULL, items), 0);
	assert_int_equal(count_errors("{kind: Pod, spec: [], metadata: 1}", NULL, items), 0);
	assert_int_equal(count_errors("{kind: Deployment, spec: {template: {spec: {containers: {a: b}, volumes: 1, securityContext: []}}}}",
				 NULL, items),
		4);

	AUTO_DOCUMENT struct document *document =
		told_yaml("{kind: Deployment, metadata: {name: m}, spec: {template: {spec: {hostIPC: true, containers: []}}}}");
	struct err err = {0};
	struct kube_problems problems = {.items = items, .max = TOLD_MAX};
	assert_int_equal(kube_restricted_check_object(document->root, NULL, &problems, &err), -1);
	assert_string_equal(err.message, "Deployment m: spec.template.spec.hostIPC: Host Namespaces: is true");
	assert_string_equal(err.fix, "false, or leave it out");
	err_clear(&err);
	assert_int_equal(kube_restricted_check_object(document->root, "latest", &problems, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restricted),
		cmocka_unit_test(test_unrestricted),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_owners),
	};
	return cmocka_run_group_tests_name("kube_restricted", tests, NULL, NULL);
}
