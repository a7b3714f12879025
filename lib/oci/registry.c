#include "oci/backend.h"

int registry_open(const char *name, const struct store_options *options, struct store **out, struct err *err) {
	(void) options;
	(void) out;
	return err_set(err, ERR_REGISTRY, "%s: registries are not reached yet; use oci:FOLDER", name);
}
