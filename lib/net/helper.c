#include "net/helper.h"

char *helper_path(const struct env *env, struct str name) {
	struct str rest = str_of(env_get(env, "MLCTL_CREDENTIAL_HELPERS"));
	bool is_path = name.len && memchr(name.ptr, '/', name.len);
	while (rest.len) {
		struct str path = str_cut(rest, ':', &rest), file;
		str_cut_last(path, '/', &file);
		if (path.len && path.ptr[0] == '/' && file.ptr && file.len && str_equal(is_path ? path : file, name))
			return str_dup(path);
	}
	return NULL;
}

size_t helper_env(const struct env *env, const char *out[HELPER_ENV_MAX + 1]) {
	static const char *const names[] = {"HOME=", "PATH=", "USER=", "LOGNAME=", "LANG=", "XDG_RUNTIME_DIR=", "XDG_CONFIG_HOME=",
		"XDG_CACHE_HOME=", "DBUS_SESSION_BUS_ADDRESS=", "GNUPGHOME=", "PASSWORD_STORE_DIR=", "AWS_", "AZURE_", "AAD_", "GOOGLE_",
		"CLOUDSDK_",
		"KUBECONFIG=", "https_proxy=", "HTTPS_PROXY=", "http_proxy=", "no_proxy=", "NO_PROXY=", "SSL_CERT_FILE=", "SSL_CERT_DIR="};
	size_t n = 0;
	for (char **item = env->items; item && *item && n < HELPER_ENV_MAX; item++)
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (str_starts(str_of(*item), names[i])) {
				out[n++] = *item;
				break;
			}
	out[n] = NULL;
	return n;
}
