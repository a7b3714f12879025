/* Records and evidence: where they lie, that they chain, that a rollback finds them in the registry or without it, that no secret is in
 * them. */
#include "fakes/release_scene.h"

#include "unit/scratch.h"

struct place_ {
	struct fake_world world;
	struct fake_client client;
	struct document *objects;
	struct redactor *redact;
	struct store *store;
	char *folder;
};

static int set_up(void **state) {
	struct place_ *p = NEW(struct place_);
	struct err err = {0};
	p->folder = scratch_new();
	AUTO_FREE char *name = mem_format("oci:%s/registry", p->folder);
	if (store_open(name, &(struct store_options){0}, &p->store, &err) != 0)
		return -1;
	fake_world_init(&p->world);
	p->world.rps = 100;
	fake_client_init(&p->client, &p->world, 0);
	p->redact = redactor_new();
	redactor_add(p->redact, STR("hunter2hunter2"));
	p->client.context.redact = p->redact;
	p->client.context.store = p->store;
	p->objects = document_new("objects");
	value_add_int(p->objects, value_root_object(p->objects), "replicas", 2);
	*state = p;
	return 0;
}

static int tear_down(void **state) {
	struct place_ *p = *state;
	int rc = p->world.violation_count ? -1 : 0;
	store_close(p->store);
	scratch_free(p->folder);
	fake_world_clear(&p->world);
	document_free(p->objects);
	redactor_free(p->redact);
	free(p);
	return rc;
}

/* An image of one letter in the store; its manifest's digest. */
static struct digest put_image(struct place_ *p, char letter) {
	struct err err = {0};
	struct blob config = {0}, manifest = {0};
	blob_of_text(&config, MEDIA_CONFIG, "config", mem_format("{\"letter\":\"%c\"}", letter));
	AUTO_DOCUMENT struct document *document = document_new("manifest");
	struct value *root = value_root_object(document);
	value_add_int(document, root, "schemaVersion", 2);
	value_add_text(document, root, "mediaType", MEDIA_MANIFEST);
	blob_describe(document, value_add_object(document, root, "config"), &config);
	value_add_array(document, root, "layers");
	char *text;
	assert_int_equal(json_write(root, JSON_COMPACT, &text, &err), 0);
	blob_of_text(&manifest, MEDIA_MANIFEST, "manifest", text);
	struct digest digest = manifest.digest;
	if (store_put_blob(p->store, &config, &err) != 0 || store_put_manifest(p->store, &manifest, NULL, &err) != 0)
		fail_msg("%s", err.message);
	free(config.owned);
	free(manifest.owned);
	return digest;
}

static struct release_result deploy(struct place_ *p, struct digest image) {
	struct release_result result;
	struct err err = {0};
	struct deploy_request request = {.objects = p->objects->root,
		.reason = "because hunter2hunter2",
		.canary = {.weight = 10,
			.for_ms = 2000,
			.max_ms = 4000,
			.interval_ms = 500,
			.requests_min = 10,
			.error_rate_max = 0.3,
			.latency_p99_ms = 2000,
			.health_failures_max = 3}};
	request.revision.image = image;
	request.revision.settings = fake_digest('_');
	if (release_deploy(&p->client.context, &request, &result, &err) != 0)
		fail_msg("%s", err.message);
	return result;
}

static void forget_kept(struct place_ *p) {
	for (size_t i = 0; i < FAKE_KEPT_MAX; i++) {
		free(p->world.kept[i].text);
		p->world.kept[i].text = NULL;
	}
}

static size_t listed(struct place_ *p, const char *tag, struct digest *digest) {
	struct manifest manifest = {0};
	struct document *document = NULL;
	struct err err = {0};
	if (store_get_manifest(p->store, tag, &manifest, &err) != 0)
		fail_msg("%s", err.message);
	assert_int_equal(json_read(tag, (struct str){manifest.bytes, manifest.len}, VALUE_LIMITS_WIRE, &document, &err), 0);
	size_t count = value_get(document->root, "manifests")->count;
	*digest = manifest.digest;
	document_free(document);
	manifest_clear(&manifest);
	return count;
}

static void test_chain(void **state) {
	struct place_ *p = *state;
	struct digest a = put_image(p, 'A'), b = put_image(p, 'B'), first, second;
	struct err err = {0};
	struct document *record = NULL;
	struct str text;
	assert_int_equal(deploy(p, a).outcome, OUTCOME_DONE);
	assert_int_equal(deploy(p, b).outcome, OUTCOME_DONE);
	assert_int_equal(listed(p, "mlctl.test.r1", &first), 2);
	assert_int_equal(listed(p, "mlctl.test.r2", &second), 2);
	struct head head = scene_head(&p->world);
	assert_string_equal(head.good.release.text, second.text);
	forget_kept(p); /* so that it comes from the registry */
	assert_int_equal(release_record_read(&p->client.context, 2, &record, &err), 0);
	assert_int_equal(value_need_str(record->root, "previous.release", &text, &err), 0);
	assert_true(str_is(text, first.text));
	assert_int_equal(value_need_str(record->root, "reason", &text, &err), 0);
	assert_true(str_is(text, "because ***"));
	document_free(record);
	assert_int_equal(release_evidence_read(&p->client.context, 2, &record, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	err_clear(&err);
	assert_int_equal(release_record_read(&p->client.context, 9, &record, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void test_not_pushed(void **state) {
	struct place_ *p = *state;
	struct release_result result;
	struct err err = {0};
	struct deploy_request request = {.objects = p->objects->root};
	request.revision.image = fake_digest('A');
	request.revision.settings = fake_digest('_');
	assert_int_equal(release_deploy(&p->client.context, &request, &result, &err), -1);
	assert_int_equal(err.code, ERR_REGISTRY);
	assert_non_null(strstr(err.fix, "mlctl push"));
	assert_int_equal(p->world.writes, 0);
}

static void test_cold_and_hot(void **state) {
	struct place_ *p = *state;
	struct digest a = put_image(p, 'A'), b = put_image(p, 'B'), c = put_image(p, 'C'), found;
	struct release_result result;
	struct err err = {0};
	bool has = true;
	deploy(p, a);
	deploy(p, b);
	forget_kept(p);
	assert_int_equal(release_rollback(&p->client.context, &(struct rollback_request){0}, &result, &err), 0);
	assert_int_equal(result.outcome, OUTCOME_DONE);
	assert_string_equal(fake_serving(&p->world).text, a.text);
	assert_int_equal(listed(p, "mlctl.test.r3", &found), 2);
	/* The registry is away: from what the target kept; the record follows later. */
	deploy(p, c);
	p->client.context.store = NULL;
	assert_int_equal(release_rollback(&p->client.context, &(struct rollback_request){0}, &result, &err), 0);
	assert_int_equal(result.outcome, OUTCOME_DONE);
	assert_int_equal(result.release, 5);
	assert_string_equal(fake_serving(&p->world).text, a.text);
	assert_int_equal(scene_head(&p->world).unpushed_count, 1);
	p->client.context.store = p->store;
	assert_int_equal(store_has_manifest(p->store, "mlctl.test.r5", &found, &has, &err), 0);
	assert_false(has);
	deploy(p, b);
	assert_int_equal(scene_head(&p->world).unpushed_count, 0);
	assert_int_equal(listed(p, "mlctl.test.r5", &found), 2);
	/* Neither there nor in the registry: said before anything is touched. */
	forget_kept(p);
	p->client.context.store = NULL;
	int64_t writes = p->world.writes;
	assert_int_equal(release_rollback(&p->client.context, &(struct rollback_request){.to = 1}, &result, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(p->world.writes, writes);
}

static void test_evidence(void **state) {
	struct place_ *p = *state;
	struct digest a = put_image(p, 'A'), x = put_image(p, 'X'), found;
	struct document *evidence = NULL;
	struct err err = {0};
	p->world.models[p->world.model_count++] = (struct fake_model){.image = x, .error_rate = 0.9, .ready_ms = 50};
	deploy(p, a);
	assert_int_equal(deploy(p, x).outcome, OUTCOME_ROLLED_BACK);
	assert_int_equal(listed(p, "mlctl.test.r2", &found), 3);
	forget_kept(p);
	if (release_evidence_read(&p->client.context, 2, &evidence, &err) != 0)
		fail_msg("%s", err.message);
	AUTO_FREE char *text = NULL;
	assert_int_equal(json_write(evidence->root, JSON_COMPACT, &text, &err), 0);
	assert_null(strstr(text, "hunter2"));
	assert_non_null(strstr(text, "a line of its log"));
	assert_non_null(value_find(evidence->root, "gate.canary.requests"));
	document_free(evidence);
	struct release_list list;
	assert_int_equal(release_list_read(&p->client.context, &list, &err), 0);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.items[0].n, 2);
	assert_string_equal(list.items[0].state, "rolled-back");
	assert_string_equal(list.items[1].state, "live");
}

static void test_numbers_after_destroy(void **state) {
	struct place_ *p = *state;
	struct digest a = put_image(p, 'A'), b = put_image(p, 'B');
	struct release_result result;
	struct err err = {0};
	deploy(p, a);
	deploy(p, b);
	assert_int_equal(release_destroy(&p->client.context, false, &result, &err), 0);
	result = deploy(p, a);
	assert_int_equal(result.outcome, OUTCOME_DONE);
	assert_int_equal(result.release, 3); /* r1 and r2 are still in the registry */
	assert_int_equal(deploy(p, b).release, 4);
}

static void test_tags(void **state) {
	(void) state;
	assert_int_equal(record_tag_number("mlctl.prod.r41", "prod"), 41);
	assert_int_equal(record_tag_number("mlctl.prod.r41", "pro"), 0);
	assert_int_equal(record_tag_number("mlctl.prod.r0", "prod"), 0);
	assert_int_equal(record_tag_number("mlctl.prod.r-1", "prod"), 0);
	assert_int_equal(record_tag_number("mlctl.prod.r1x", "prod"), 0);
	assert_int_equal(record_tag_number("git-4f2c1aa", "prod"), 0);
}

/* What goes back to r1 when the kept objects are gone: nothing while the registry is away, and it says so; all of it from the registry. */
static void test_cold_after_a_roll(void **state) {
	struct place_ *p = *state;
	struct digest a = put_image(p, 'A'), b = put_image(p, 'B');
	struct release_result result;
	struct err err = {0};
	p->world.is_rolling = true;
	p->client.context.target = &fake_rolling_target;
	assert_int_equal(deploy(p, a).outcome, OUTCOME_DONE);
	fake_model_add(&p->world, 'B')->ready_max = 1;
	p->world.models[p->world.model_count - 1].image = b;
	forget_kept(p);
	p->client.context.store = NULL;
	result = deploy(p, b); /* the canary is well; of its two pods one is never ready */
	assert_int_equal(result.outcome, OUTCOME_ROLLBACK_FAILED);
	assert_int_equal(result.release, 1);
	assert_non_null(strstr(result.cause, "1/2 replicas ready"));
	assert_non_null(strstr(result.cause, "going back failed"));
	assert_non_null(strstr(result.cause, "the record of r1"));
	assert_true(fake_serves_only(&p->world, (struct digest[]){a, b}, 2));
	assert_int_equal(scene_head(&p->world).candidate.phase, PHASE_ROLLBACK);
	/* Again, still without it: the same words, and nothing lost. */
	assert_int_equal(release_rollback(&p->client.context, &(struct rollback_request){0}, &result, &err), 0);
	assert_int_equal(result.outcome, OUTCOME_ROLLBACK_FAILED);
	assert_non_null(strstr(result.cause, "the record of r1"));
	assert_true(fake_serves_only(&p->world, (struct digest[]){a, b}, 2));
	p->client.context.store = p->store;
	assert_int_equal(release_rollback(&p->client.context, &(struct rollback_request){0}, &result, &err), 0);
	assert_int_equal(result.outcome, OUTCOME_DONE);
	assert_string_equal(result.serving, a.text);
	assert_string_equal(fake_serving(&p->world).text, a.text);
	assert_null(scene_unsettled(&p->world));
}

/* Somebody with the same repository moved the tag: what is not what the head names is not rolled out. */
static void test_moved_tag(void **state) {
	struct place_ *p = *state;
	struct digest a = put_image(p, 'A'), b = put_image(p, 'B'), c = put_image(p, 'C');
	struct manifest manifest = {0};
	struct release_result result;
	struct err err = {0};
	deploy(p, a);
	deploy(p, b);
	deploy(p, c);
	forget_kept(p);
	assert_int_equal(store_get_manifest(p->store, "mlctl.test.r1", &manifest, &err), 0);
	struct blob blob = {0};
	blob_of_text(&blob, MEDIA_INDEX, "release", mem_text_n(manifest.bytes, manifest.len));
	assert_int_equal(store_put_manifest(p->store, &blob, "mlctl.test.r2", &err), 0);
	free(blob.owned);
	manifest_clear(&manifest);
	int64_t writes = p->world.writes;
	assert_int_equal(release_rollback(&p->client.context, &(struct rollback_request){0}, &result, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_non_null(strstr(err.message, "what is kept as r2 of fraud test is r1 of fraud test"));
	assert_int_equal(p->world.writes, writes);
	assert_string_equal(fake_serving(&p->world).text, c.text);
	err_clear(&err);
	assert_int_equal(release_rollback(&p->client.context, &(struct rollback_request){.to = 1}, &result, &err), 0);
	assert_int_equal(result.outcome, OUTCOME_DONE);
	assert_string_equal(fake_serving(&p->world).text, a.text);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(test_chain),
		CASE(test_not_pushed),
		CASE(test_cold_and_hot),
		CASE(test_cold_after_a_roll),
		CASE(test_moved_tag),
		CASE(test_evidence),
		CASE(test_numbers_after_destroy),
		cmocka_unit_test(test_tags),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
