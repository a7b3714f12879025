/* The grammars of what mlctl.yaml names. Each returns 0, or -1 and in `why` what would be right, so that it reads on after "it must be". */
#pragma once

#include "data/field.h"
#include "project/project.h"

/* RFC 1035 label, as Kubernetes wants it for a Service. The regular expression is for the schema. */
#define NAMES_LABEL_PATTERN "^[a-z]([-a-z0-9]*[a-z0-9])?$"
int names_check_service(const char *text, char why[FIELD_WHY_MAX]);
int names_check_environment(const char *text, char why[FIELD_WHY_MAX]);
/* A repository of the OCI distribution specification, with or without a registry's host; no tag, no digest. */
int names_check_image(const char *text, char why[FIELD_WHY_MAX]);
/* "scratch", or a repository with "@sha256:" and 64 hex digits. */
int names_check_base(const char *text, char why[FIELD_WHY_MAX]);
/* Relative, and not out of the project's folder. */
int names_check_path(const char *text, char why[FIELD_WHY_MAX]);
/* Stands in the URLs of the inference protocol. */
#define NAMES_MODEL_PATTERN "^[A-Za-z0-9][A-Za-z0-9._-]*$"
int names_check_model(const char *text, char why[FIELD_WHY_MAX]);

/* What Kubernetes wants of names: an object's (RFC 1123 subdomain), a namespace's (RFC 1123 label), of labels and annotations and of a label's value, of
 * a host (with or without "*." before it). */
int names_check_object(const char *text, char why[FIELD_WHY_MAX]);
int names_check_namespace(const char *text, char why[FIELD_WHY_MAX]);
int names_check_label(const char *text, char why[FIELD_WHY_MAX]);
int names_check_label_value(const char *text, char why[FIELD_WHY_MAX]);
int names_check_host(const char *text, char why[FIELD_WHY_MAX]);
/* An environment variable's name, none of ours; where its value is: SECRET/KEY. */
int names_check_variable(const char *text, char why[FIELD_WHY_MAX]);
int names_check_secret_key(const char *text, char why[FIELD_WHY_MAX]);
/* "/v2/health/ready"; "http://prometheus.monitoring:9090"; an image with its tag or digest. */
int names_check_url_path(const char *text, char why[FIELD_WHY_MAX]);
int names_check_url(const char *text, char why[FIELD_WHY_MAX]);
int names_check_image_reference(const char *text, char why[FIELD_WHY_MAX]);
/* A context of a kubeconfig: any visible text. */
int names_check_context(const char *text, char why[FIELD_WHY_MAX]);
/* What a key of annotations is, ours excluded. */
int names_check_annotation(const char *text, char why[FIELD_WHY_MAX]);

/* A text made into a service's name: lower case, what does not fit becomes '-'. Empty when nothing is left. */
void names_make_service(const char *text, char out[PROJECT_NAME_MAX + 1]);
