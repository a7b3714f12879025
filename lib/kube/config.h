/* Who we are at which API server: a kubeconfig in all its forms (KUBECONFIG with several files, ~/.kube/config; YAML or JSON), or the cluster that this
 * process runs in. Source: k8s.io/client-go tools/clientcmd/api/v1 (v1.33), "Organizing Cluster Access Using kubeconfig Files".
 *
 * Reads files and runs an allowed exec plugin; never the network. Every problem is ERR_CONFIG (a credential that cannot be had: ERR_AUTH) with the place,
 * the thing, the value and the fix. Secrets are the redactor's as soon as they are read. */
#pragma once

#include "base/log.h"
#include "data/value.h"
#include "net/auth.h"
#include "os/fs.h"

#define KUBE_GROUPS_MAX 16
#define KUBE_EXTRAS_MAX 8

struct kube_exec; /* an exec plugin's settings */

struct kube_config {
	char *context, *namespace_, *server; /* "" in a cluster; "default" when nobody says; without a slash at its end */
	char *cluster, *user;                /* their names; "" in a cluster and for nobody */
	char *source;                        /* the file that names the user, for messages */
	bool is_in_cluster, is_unverified;
	char *ca, *server_name, *proxy;      /* PEM; NULL: none */
	char *certificate;                   /* PEM; NULL: none */
	struct secret key, token, basic;     /* PEM; bearer; base64 of user:password */
	char *token_file;                    /* read anew for each request: it rotates. NULL: none */
	struct kube_exec *exec;
	char *exec_settings;                 /* JSON that the cluster has for an exec plugin; NULL: none */
	char *as, *as_uid;                   /* impersonation */
	struct texts as_groups, as_extra_names, as_extra_values;
};

struct kube_config_options {
	const struct env *env;
	const struct clock *clock;
	struct redactor *redact;
	const struct log *log;
	const char *context, *namespace_;
	const char *in_cluster; /* the folder of the service account; NULL: where the kubelet puts it */
};
int kube_config_load(const struct kube_config_options *options, struct kube_config **out, struct err *err);
void kube_config_free(struct kube_config *config);
CLEANUP_POINTER(kube_config, struct kube_config *, kube_config_free)

/* Tokens that come from a file or a plugin, as they are now: config->token, certificate and key are renewed when they have to be. ERR_AUTH. */
int kube_config_refresh(struct kube_config *config, const struct kube_config_options *options, struct err *err);
/* After a 401: true when asking again with something newer makes sense. */
bool kube_config_refused(struct kube_config *config, const struct clock *clock);
/* What the person can do when the server does not know us. */
void kube_config_fix_login(const struct kube_config *config, struct err *err);

/* The steps of kube_config_load(), pure but for what may_read allows: the files that the settings name. The first document wins. */
int kube_config_parse(const char *file, struct str text, struct document **out, struct err *err);
int kube_config_select(struct document *const *files, size_t count, const struct kube_config_options *options, bool may_read, struct kube_config **out,
	struct err *err);

/* An exec plugin (client.authentication.k8s.io/v1 and v1beta1): its settings, how it is run, what it answered (exec.c). */
struct kube_exec *kube_exec_new(const char *file, const struct value *settings, const char *user, struct err *err);
void kube_exec_free(struct kube_exec *exec);
/* Runs the plugin unless what it gave is still good. */
int kube_exec_refresh(struct kube_exec *exec, struct kube_config *config, const struct kube_config_options *options, struct err *err);
/* What it gave was not taken: the next refresh asks it anew, unless that was just done. */
void kube_exec_refused(struct kube_exec *exec, const struct clock *clock);
/* ERR_AUTH unless it may run; does not run it. */
int kube_exec_check(const struct kube_exec *exec, const struct env *env, struct err *err);
