#include "config_seen.h"

#include "findings.h"

/* Does what runs agree with its record, and the record with mlctl.yaml? The first that does not is told. */
static void look_at_config(struct session *s, const struct release_head *head, struct config_seen *seen) {
	struct err err = {0};
	const char *server = s->settings ? s->settings->payload.image : NULL; /* by a tag: what it names would have to be asked */
	if (s->settings && (!server || strchr(server, '@'))) {
		bool is_same = digest_equal(&head->good_revision.settings, &s->settings->settings_digest);
		seen->state = is_same ? "in sync" : "differs";
		snprintf(seen->text, sizeof(seen->text), "%s", is_same ? "in sync" : "mlctl.yaml differs: mlctl deploy applies it");
	}
	if (!s->target->drift || head->candidate) /* what is on its way is no drift */
		return;
	if (release_drift(&s->release, head->live, &seen->drift, &err) != 0) {
		seen->state = "unknown";
		snprintf(seen->text, sizeof(seen->text), "unknown: %.400s%s", err.message,
			err.code == ERR_NOT_FOUND ? ": mlctl deploy --force keeps it again" : "");
	} else if (seen->drift.count) {
		seen->state = "drift";
		snprintf(seen->text, sizeof(seen->text), "drift of %.400s%s: mlctl deploy repairs it", seen->drift.items[0],
			seen->drift.count > 1 ? ", and more" : "");
	} else if (!seen->state) {
		seen->state = "in sync";
		snprintf(seen->text, sizeof(seen->text), "what runs is as r%lld's record says", (long long) head->live);
	}
	AUTO_FREE char *kept = NULL;
	err_clear(&err);
	seen->is_previous_kept = !head->previous || s->target->keep_get(s->target_state, head->previous, &kept, &err) == 0 || err.code != ERR_NOT_FOUND;
}

/* A head that is gone while what it told of is there: nothing is deployed would be a lie. */
static void look_for_lost_head(struct session *s, struct config_seen *seen) {
	AUTO_DOCUMENT struct document *document = document_new("findings");
	struct err err = {0};
	struct value *findings = value_root_array(document);
	if (!s->target->inspect || s->target->inspect(s->target_state, INSPECT_HEAD, document, findings, &err) != 0 || !findings_count(findings, "bad"))
		return;
	const struct value *text = value_get(findings->first, "text"), *fix = value_get(findings->first, "fix");
	seen->is_head_lost = str_is(value_get(findings->first, "check")->text, "head");
	snprintf(seen->text, sizeof(seen->text), "%.*s", STR_ARGS(text->text));
	snprintf(seen->fix, sizeof(seen->fix), "%.*s", STR_ARGS(fix->text));
}

void config_look(struct session *s, const struct release_head *head, struct config_seen *out) {
	*out = (struct config_seen) {.is_previous_kept = true};
	if (!head->exists)
		look_for_lost_head(s, out);
	else if (head->good)
		look_at_config(s, head, out);
}

void config_seen_clear(struct config_seen *seen) {
	texts_clear(&seen->drift);
}
