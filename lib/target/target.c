#include "target/target.h"

#include <stdio.h>

#define TARGET(name) extern const struct target target_##name;
#include "target/targets.def"
#undef TARGET

static const struct target *const targets[] = {
#define TARGET(name) &target_##name,
#include "target/targets.def"
#undef TARGET
	NULL, /* so that a table without a line still compiles */
};
static const char *const names[] = {
#define TARGET(name) #name,
#include "target/targets.def"
#undef TARGET
	NULL,
};

const struct target *target_find(const char *name) {
	for (size_t i = 0; targets[i]; i++)
		if (strcmp(names[i], name) == 0)
			return targets[i];
	return NULL;
}

void revision_name(const struct digest *image, const struct digest *settings, char out[REVISION_NAME_MAX]) {
	AUTO_BUF struct buf text = BUF(2 * DIGEST_TEXT_MAX);
	buf_format(&text, "%s\n%s\n", image->text, settings->text);
	struct digest name;
	digest_of(buf_view(&text), &name);
	snprintf(out, REVISION_NAME_MAX, "v-%.12s", digest_hex(&name));
}

void sample_clear(struct sample *sample) {
	texts_clear(&sample->errors);
	*sample = (struct sample){0};
}

double *sample_handovers(struct sample *sample, struct str result) {
	return str_is(result, "failed") ? &sample->failed_handovers : str_is(result, "unreached") ? &sample->unreached : &sample->handed_on;
}

void sample_drop_handovers(struct sample *sample) {
	sample->handed_on = sample->failed_handovers = sample->unreached = 0;
}

void sample_add_handovers(const struct sample *from, struct sample *samples, size_t *count) {
	size_t len = strlen(from->replica), most = sizeof(from->replica) - sizeof(SAMPLE_HANDOVER);
	struct sample *out = &samples[(*count)++];
	*out = (struct sample){.start_s = from->start_s, .at_ms = from->at_ms, .handed_on = from->handed_on, .failed_handovers = from->failed_handovers, .unreached = from->unreached};
	/* Names of pods differ in their ends. */
	snprintf(out->replica, sizeof(out->replica), SAMPLE_HANDOVER "%s", from->replica + (len > most ? len - most : 0));
}

void target_answer_clear(struct target_answer *answer) {
	free(answer->body);
	*answer = (struct target_answer){0};
}
