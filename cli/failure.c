#include "failure.h"

#include "out.h"

static void take_text(const struct value *root, const char *key, char *out, size_t size) {
	const struct value *found = value_get(root, key);
	if (found && found->kind == VALUE_ARRAY)
		found = found->first;
	if (found && found->kind == VALUE_STRING)
		snprintf(out, size, "%.*s", STR_ARGS(found->text));
}

void failure_read(struct session *s, const struct release_head *head, struct failure *out) {
	AUTO_DOCUMENT struct document *evidence = NULL;
	struct err gone = {0};
	*out = (struct failure) {0};
	if (!head->failed || release_evidence_read(&s->release, head->failed, &evidence, &gone) != 0)
		return;
	out->n = head->failed;
	snprintf(out->state, sizeof(out->state), "%s", head->failed_state);
	take_text(evidence->root, "cause", out->cause, sizeof(out->cause));
	take_text(evidence->root, "cause_word", out->word, sizeof(out->word));
	take_text(evidence->root, "fix", out->fix, sizeof(out->fix));
}

void failure_show(struct cli *cli, const struct failure *failure) {
	if (!failure->n)
		return;
	out_fact(cli, "last", "r%lld %s: %s", (long long) failure->n, failure->state, failure->cause);
	if (failure->fix[0])
		out_fact(cli, "", "fix: %s", failure->fix);
	out_fact(cli, "", "mlctl history r%lld --evidence", (long long) failure->n);
}

void failure_json(struct document *document, struct value *root, const struct failure *failure) {
	value_add_int(document, root, "failed", failure->n);
	value_add_text(document, root, "failed_cause", failure->cause[0] ? failure->cause : NULL);
	value_add_text(document, root, "failed_cause_word", failure->word[0] ? failure->word : NULL);
	value_add_text(document, root, "failed_fix", failure->fix[0] ? failure->fix : NULL);
}

void failure_json_replicas(struct document *document, struct value *root, const struct observed *seen) {
	static const char *const states[] = {"starting", "ready", "failing", "stuck", "gone"};
	struct value *list = value_add_array(document, root, "trouble");
	for (size_t i = 0; i < seen->count; i++) {
		const struct replica *replica = &seen->replicas[i];
		if (replica->state == REPLICA_READY && !replica->restarts)
			continue;
		struct value *one = value_add_object(document, list, NULL);
		value_add_text(document, one, "replica", replica->name);
		value_add_text(document, one, "state", states[replica->state]);
		value_add_int(document, one, "restarts", replica->restarts);
		value_add_text(document, one, "reason", replica->reason[0] ? replica->reason : NULL);
		value_add_text(document, one, "cause_word", replica->cause[0] ? replica->cause : NULL);
		value_add_text(document, one, "fix", replica->fix[0] ? replica->fix : NULL);
	}
}
