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

/* A text made into a service's name: lower case, what does not fit becomes '-'. Empty when nothing is left. */
void names_make_service(const char *text, char out[PROJECT_NAME_MAX + 1]);
