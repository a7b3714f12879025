#include "oci/credentials.h"

#include "scratch.h"

static struct credentials find(char *const env[], const char *host, const char *repository, struct err *err) {
	const struct env list = {.items = (char **) env};
	struct credentials found = {.is_identity_token = true};
	if (credentials_find(&list, host, repository, NULL, &found, err) != 0)
		assert_true(found.is_identity_token && !found.username); /* untouched */
	return found;
}

/* The one that the environment leads to: "user/password"; "-" for nobody. */
static void leads_to(char *const env[], const char *host, const char *repository, const char *expected) {
	struct err err = {0};
	struct credentials found = find(env, host, repository, &err);
	if (err.code)
		fail_msg("%s: %s", host, err.message);
	AUTO_FREE char *got =
		found.username ? mem_format("%s/%s%s", found.username, found.password.text, found.is_identity_token ? " (token)" : "")
			       : mem_text("-");
	if (strcmp(got, expected) != 0)
		fail_msg("%s/%s: %s, not %s", host, repository, got, expected);
	if (found.username)
		assert_true(found.source[0] != '\0');
	credentials_clear(&found);
}

static void from_the_environment(void **state) {
	(void) state;
	char user[] = "MLCTL_REGISTRY_USERNAME=u", password[] = "MLCTL_REGISTRY_PASSWORD=p", host[] = "MLCTL_REGISTRY_HOST=a.example";
	leads_to((char *const[]){user, password, NULL}, "a.example", "x", "u/p");
	leads_to((char *const[]){user, password, host, NULL}, "a.example", "x", "u/p");
	leads_to((char *const[]){user, password, host, NULL}, "b.example", "x", "-");
	leads_to((char *const[]){NULL}, "a.example", "x", "-");
	struct err err = {0};
	find((char *const[]){user, NULL}, "a.example", "x", &err);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.message, "MLCTL_REGISTRY_PASSWORD is not"));
}

/* dTpw is u:p, YTpi a:b, Yzpk c:d, ZTo= e: and so on. */
#define DOCKER                                                                                                                             \
	"{\"auths\": {"                                                                                                                    \
	"\"a.example\": {\"auth\": \"dTpw\"},"                                                                                             \
	"\"a.example/team\": {\"auth\": \"YTpi\"},"                                                                                        \
	"\"a.example/team/deep\": {\"auth\": \"Yzpk\"},"                                                                                   \
	"\"https://b.example/v2/\": {\"auth\": \"dTpwOng=\"},"                                                                             \
	"\"b.example:5000\": {\"username\": \"n\", \"password\": \"s\"},"                                                                  \
	"\"https://index.docker.io/v1/\": {\"auth\": \"YTpi\"},"                                                                           \
	"\"c.example\": {\"auth\": \"dTpw\", \"identitytoken\": \"refresh\"},"                                                             \
	"\"d.example\": {},"                                                                                                               \
	"\"e.example\": {\"auth\": \"%%%\"},"                                                                                              \
	"\"f.example\": {\"auth\": \"dXA=\"},"                                                                                             \
	"\"g.example\": {\"auth\": 7}"                                                                                                     \
	"}, \"HttpHeaders\": {\"User-Agent\": \"x\"}}"

static void from_dockers_file(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	AUTO_FREE char *file = fs_join(folder, "config.json"), *docker = mem_format("DOCKER_CONFIG=%s", folder);
	struct err err = {0};
	assert_int_equal(fs_replace(file, DOCKER, strlen(DOCKER), 0600, &err), 0);
	char *const env[] = {docker, NULL};
	static const char *const cases[][3] = {
		{"a.example", "x", "u/p"},
		{"a.example", "team", "a/b"},
		{"a.example", "team/x", "a/b"},
		{"a.example", "teams/x", "u/p"},
		{"a.example", "team/deep/er", "c/d"},
		{"a.example:5000", "x", "-"},
		{"b.example", "x", "u/p:x"},
		{"b.example:5000", "x", "n/s"},
		{"docker.io", "library/x", "a/b"},
		{"registry-1.docker.io", "x", "a/b"},
		{"c.example", "x", "<token>/refresh (token)"},
		{"d.example", "x", "-"},
		{"example", "x", "-"},
		{"xa.example", "x", "-"},
		{"a.example.evil", "x", "-"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		leads_to(env, cases[i][0], cases[i][1], cases[i][2]);
	static const char *const broken[] = {"e.example", "f.example", "g.example"};
	for (size_t i = 0; i < 3; i++) {
		struct err failure = {0};
		find(env, broken[i], "x", &failure);
		assert_non_null(strstr(failure.message, broken[i]));
		assert_non_null(strstr(failure.message, "config.json"));
		assert_null(strstr(failure.message, "dXA="));
	}
}

static void which_file(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	scratch_sh(folder,
		"mkdir -p containers .docker; one() { printf '{\"auths\":{\"h\":{\"auth\":\"%s\"}}}' $1; }\n"
		"one dTpw > named; one YTpi > containers/auth.json; one Yzpk > .docker/config.json; echo '{' > broken; echo '[]' > list");
	AUTO_FREE char *home = mem_format("HOME=%s", folder), *runtime = mem_format("XDG_RUNTIME_DIR=%s", folder),
		       *named = mem_format("REGISTRY_AUTH_FILE=%s/named", folder);
	AUTO_FREE char *missing = mem_format("REGISTRY_AUTH_FILE=%s/missing", folder),
		       *broken = mem_format("REGISTRY_AUTH_FILE=%s/broken", folder);
	AUTO_FREE char *list = mem_format("REGISTRY_AUTH_FILE=%s/list", folder);
	leads_to((char *const[]){home, runtime, named, NULL}, "h", "x", "u/p");
	leads_to((char *const[]){home, runtime, NULL}, "h", "x", "a/b");
	leads_to((char *const[]){home, NULL}, "h", "x", "c/d");
	leads_to((char *const[]){home, runtime, missing, NULL}, "h", "x", "c/d");
	struct err err = {0};
	find((char *const[]){home, broken, NULL}, "h", "x", &err);
	assert_true(err.code != ERR_NONE);
	err_clear(&err);
	find((char *const[]){home, list, NULL}, "h", "x", &err);
	assert_int_equal(err.code, ERR_CONFIG);
}

static void helpers(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	scratch_sh(folder, "cat > docker-credential-ok <<'E'\n#!/bin/sh\nread key\n[ \"$1\" = get ] && [ -z \"$OUR_SECRET\" ] && [ -n "
			   "\"$HOME\" ] || exit 9\n"
			   "case $key in h) echo '{\"ServerURL\":\"h\",\"Username\":\"u\",\"Secret\":\"p\"}';; t) echo "
			   "'{\"Username\":\"<token>\",\"Secret\":\"r\"}';;"
			   " bad) echo nonsense;; no) echo 'credentials not found in native keychain'; exit 1;; *) echo \"boom $key\"; "
			   "exit 2;; esac\nE\n"
			   "chmod +x docker-credential-ok\n"
			   "echo "
			   "'{\"auths\":{\"s\":{},\"u\":{\"auth\":\"YTpi\"}},\"credHelpers\":{\"h\":\"ok\",\"t\":\"ok\",\"bad\":\"ok\","
			   "\"no\":\"ok\",\"die\":\"ok\",\"x\":\"other\","
			   "\"evil\":\"../../bin/sh\"},\"credsStore\":\"desktop\"}' > config.json");
	AUTO_FREE char *docker = mem_format("DOCKER_CONFIG=%s", folder), *home = mem_format("HOME=%s", folder),
		       *relative = mem_text("MLCTL_CREDENTIAL_HELPERS=docker-credential-ok");
	AUTO_FREE char *allowed = mem_format("MLCTL_CREDENTIAL_HELPERS=/nowhere/docker-credential-none:%s/docker-credential-ok", folder);
	char ours[] = "OUR_SECRET=1";
	char *const env[] = {docker, home, ours, allowed, NULL};
	leads_to(env, "h", "x", "u/p");
	leads_to(env, "t", "x", "<token>/r (token)");
	leads_to(env, "no", "x", "-");
	leads_to(env, "u", "x", "a/b");	   /* the file itself knows: the store is not asked */
	leads_to(env, "public", "x", "-"); /* never logged in there: the store that may not run is no obstacle */
	static const struct {
		const char *host, *words;
	} cases[] = {{"bad", "its answer is not"}, {"die", "exit 2: boom die"}, {"x", "\"other\""}, {"s", "\"desktop\""},
		{"evil", "not allowed"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {0};
		find(env, cases[i].host, "x", &err);
		assert_int_equal(err.code, ERR_AUTH);
		if (!strstr(err.message, cases[i].words))
			fail_msg("%s", err.message);
	}
	struct err err = {0};
	find((char *const[]){docker, home, relative, NULL}, "h", "x", &err);
	assert_int_equal(err.code, ERR_AUTH);
	assert_string_equal(err.fix, "export MLCTL_CREDENTIAL_HELPERS=/usr/bin/docker-credential-ok");
}

static void saves_and_removes(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	AUTO_FREE char *home = mem_format("HOME=%s", folder), *expected = fs_join(folder, ".docker/config.json"), *file = NULL,
		       *again = NULL, *gone = NULL;
	char *items[] = {home, NULL};
	const struct env env = {.items = items};
	struct secret password = {0};
	struct err err = {0};
	secret_set(&password, STR("p:w"), NULL);
	assert_int_equal(credentials_save(&env, "h.example:5000", "me", &password, &file, &err), 0);
	assert_string_equal(file, expected);
	struct stat info;
	assert_int_equal(stat(file, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
	leads_to(items, "h.example:5000", "x", "me/p:w");
	scratch_sh(folder, "chmod 644 .docker/config.json; printf '%s' "
			   "'{\"credHelpers\":{\"q\":\"ok\"},\"auths\":{\"other\":{\"auth\":\"dTpw\",\"email\":\"e\"},\"h.example:5000\":{"
			   "\"auth\":\"YTpi\"},"
			   "\"h.example:5000/team\":{\"auth\":\"YTpi\"}},\"big\":12345678901234567890}' > .docker/config.json");
	assert_int_equal(credentials_save(&env, "h.example:5000", "me", &password, &again, &err), 0);
	leads_to(items, "h.example:5000", "x", "me/p:w");
	leads_to(items, "h.example:5000", "team/x", "a/b");
	leads_to(items, "other", "x", "u/p");
	scratch_sh(folder, "grep -q 12345678901234567890 .docker/config.json; grep -q '\"email\"' .docker/config.json; grep -q credHelpers "
			   ".docker/config.json; ! ls .docker | grep tmp");
	assert_int_equal(stat(file, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
	bool was_there = false;
	assert_int_equal(credentials_remove(&env, "h.example:5000", &was_there, &gone, &err), 0);
	assert_true(was_there);
	leads_to(items, "h.example:5000", "x", "-");
	leads_to(items, "h.example:5000", "team/x", "a/b");
	free(take(&gone));
	assert_int_equal(credentials_remove(&env, "h.example:5000", &was_there, &gone, &err), 0);
	assert_false(was_there);
	secret_clear(&password);
}

static void what_is_not_saved(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	AUTO_FREE char *home = mem_format("HOME=%s", folder);
	char *items[] = {home, NULL};
	const struct env env = {.items = items}, none = {0};
	struct secret password = {0};
	secret_set(&password, STR("secret"), NULL);
	char *file = NULL;
	struct err err = {0};
	assert_int_equal(credentials_save(&env, "h", "a:b", &password, &file, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
	err_clear(&err);
	assert_int_equal(credentials_save(&none, "h", "a", &password, &file, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	err_clear(&err);
	scratch_sh(folder,
		"mkdir .docker; echo '{\"auths\":' > .docker/config.json"); /* somebody's file that we cannot read is not overwritten */
	assert_int_equal(credentials_save(&env, "h", "a", &password, &file, &err), -1);
	scratch_sh(folder,
		"grep -q auths .docker/config.json; mv .docker/config.json real; echo '{}' > real; ln -s ../real .docker/config.json");
	err_clear(&err);
	assert_int_equal(credentials_save(&env, "h", "a", &password, &file, &err), 0);
	scratch_sh(folder, "test -L .docker/config.json; grep -q auths real");
	assert_null(err.message[0] ? err.message : NULL);
	free(file);
	secret_clear(&password);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_the_environment),
		cmocka_unit_test(from_dockers_file),
		cmocka_unit_test(which_file),
		cmocka_unit_test(helpers),
		cmocka_unit_test(saves_and_removes),
		cmocka_unit_test(what_is_not_saved),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
