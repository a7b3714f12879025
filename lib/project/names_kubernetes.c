/* Kubernetes' grammars: staging/src/k8s.io/apimachinery/pkg/util/validation of v1.33. */
#include "project/names.h"

#include <stdio.h>

#define LABEL_MAX 63
#define SUBDOMAIN_MAX 253
#define VARIABLE_MAX 256
#define TEXT_MAX 1024

static int say(char why[FIELD_WHY_MAX], const char *text) {
	snprintf(why, FIELD_WHY_MAX, "%s", text);
	return -1;
}

/* [a-z0-9]([-a-z0-9]*[a-z0-9])? */
static bool is_dns_label(struct str text) {
	bool is_good = text.len > 0 && text.len <= LABEL_MAX && text.ptr[0] != '-' && text.ptr[text.len - 1] != '-';
	for (size_t i = 0; is_good && i < text.len; i++)
		is_good = ascii_is_lower(text.ptr[i]) || ascii_is_digit(text.ptr[i]) || text.ptr[i] == '-';
	return is_good;
}

/* Labels with dots between them; a subdomain's part may be as long as the whole. */
static bool is_subdomain(struct str text) {
	if (text.len == 0 || text.len > SUBDOMAIN_MAX)
		return false;
	for (struct str rest = text; rest.ptr;)
		if (!is_dns_label(str_cut(rest, '.', &rest)))
			return false;
	return true;
}

/* ([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9] */
static bool is_qualified(struct str text) {
	bool is_good = text.len > 0 && text.len <= LABEL_MAX && ascii_is_alnum(text.ptr[0]) && ascii_is_alnum(text.ptr[text.len - 1]);
	for (size_t i = 0; is_good && i < text.len; i++)
		is_good = ascii_is_alnum(text.ptr[i]) || memchr("-_.", text.ptr[i], 3);
	return is_good;
}

static bool is_visible(const char *text, size_t max) {
	size_t n = strlen(text);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char) text[i] <= 0x20 || text[i] == 0x7f)
			return false;
	return n > 0 && n <= max;
}

int names_check_object(const char *text, char why[FIELD_WHY_MAX]) {
	return is_subdomain(str_of(text)) ? 0 : say(why, "a Kubernetes name: a-z, 0-9, '-' and '.', beginning and ending with a letter or digit");
}

int names_check_namespace(const char *text, char why[FIELD_WHY_MAX]) {
	return is_dns_label(str_of(text)) ? 0 : say(why, "a namespace's name: a-z, 0-9 and '-', at most 63 characters, as in ml-prod");
}

static int check_key(const char *text, char why[FIELD_WHY_MAX], const char *what) {
	struct str name, prefix = str_cut(str_of(text), '/', &name);
	bool is_ours = str_is(prefix, "mlctl.dev") || (str_is(prefix, "app.kubernetes.io") && (str_is(name, "name") || str_is(name, "instance") ||
		str_is(name, "managed-by")));
	if (name.ptr && is_ours)
		return say(why, "another one: mlctl sets this one itself");
	if (name.ptr ? is_subdomain(prefix) && is_qualified(name) : is_qualified(prefix))
		return 0;
	snprintf(why, FIELD_WHY_MAX, "%s: letters, digits, '-', '_' and '.', at most 63 of them, as in team or example.com/team", what);
	return -1;
}

int names_check_label(const char *text, char why[FIELD_WHY_MAX]) {
	return check_key(text, why, "a label's name");
}

int names_check_annotation(const char *text, char why[FIELD_WHY_MAX]) {
	return check_key(text, why, "an annotation's name");
}

int names_check_label_value(const char *text, char why[FIELD_WHY_MAX]) {
	return !*text || is_qualified(str_of(text)) ? 0 : say(why, "a label's value: letters, digits, '-', '_' and '.', at most 63 of them, as in risk");
}

int names_check_host(const char *text, char why[FIELD_WHY_MAX]) {
	struct str host = str_of(text);
	if (str_starts(host, "*."))
		host = (struct str) {host.ptr + 2, host.len - 2};
	return is_subdomain(host) ? 0 : say(why, "a host's name in lower case, without a port, as in fraud.example.com");
}

int names_check_variable(const char *text, char why[FIELD_WHY_MAX]) {
	size_t n = strlen(text);
	bool is_good = n > 0 && n <= VARIABLE_MAX && !ascii_is_digit(text[0]);
	for (size_t i = 0; i < n; i++)
		is_good &= ascii_is_alnum(text[i]) || text[i] == '_';
	if (is_good && strncmp(text, "MLCTL_", 6) == 0)
		return say(why, "another one: names with MLCTL_ are the runner's own settings, and mlctl sets them");
	return is_good ? 0 : say(why, "an environment variable: letters, digits and '_', as in LOG_LEVEL");
}

int names_check_secret_key(const char *text, char why[FIELD_WHY_MAX]) {
	struct str key, name = str_cut(str_of(text), '/', &key);
	bool is_good = is_subdomain(name) && key.len > 0 && key.len <= SUBDOMAIN_MAX;
	for (size_t i = 0; is_good && i < key.len; i++)
		is_good = ascii_is_alnum(key.ptr[i]) || memchr("-_.", key.ptr[i], 3);
	return is_good ? 0 : say(why, "a Secret's name and a key in it, as in fraud-keys/token");
}

int names_check_url_path(const char *text, char why[FIELD_WHY_MAX]) {
	return text[0] == '/' && is_visible(text, TEXT_MAX) ? 0 : say(why, "a path that begins with '/', as in /healthz");
}

int names_check_url(const char *text, char why[FIELD_WHY_MAX]) {
	struct str url = str_of(text);
	size_t scheme = str_starts(url, "https://") ? 8 : str_starts(url, "http://") ? 7 : 0;
	bool is_good = scheme && url.len > scheme && is_visible(text, TEXT_MAX) && !strchr(text, '@');
	return is_good ? 0 : say(why, "an address without a user in it, as in http://prometheus.monitoring:9090");
}

int names_check_context(const char *text, char why[FIELD_WHY_MAX]) {
	return is_visible(text, TEXT_MAX) ? 0 : say(why, "the name of a context in your kubeconfig: kubectl config get-contexts lists them");
}
