#include "data/digest.h"
#include "scratch.h"
#include "vcs/git.h"

#include <fcntl.h>

/* Debian's libgit2 leaks the match data of its regular expressions; opening a repository with extensions matches one for each setting. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
	return "leak:libpcre2\n";
}

struct asked {
	const char *folder;
	int blob, sha256, md5;
};

static int hash(void *self, const char *file, enum git_hash kind, char out[65], struct err *err) {
	static const enum digest_kind kinds[] = {
		[GIT_HASH_BLOB] = DIGEST_SHA1, [GIT_HASH_SHA256] = DIGEST_SHA256, [GIT_HASH_MD5] = DIGEST_MD5};
	struct asked *asked = self;
	AUTO_FREE char *path = fs_join(asked->folder, file);
	AUTO_CLOSE int fd = -1;
	struct stat info;
	if (fs_open(path, O_RDONLY, 0, &fd, err) != 0 || fstat(fd, &info) != 0)
		return -1;
	*(kind == GIT_HASH_BLOB ? &asked->blob : kind == GIT_HASH_SHA256 ? &asked->sha256 : &asked->md5) += 1;
	AUTO_FREE char *head = mem_format("blob %lld", (long long) info.st_size);
	return digest_hex_of_fd(fd, file, kinds[kind], kind == GIT_HASH_BLOB ? (struct str){head, strlen(head) + 1} : STR(""), out, err);
}

static struct git_facts facts_of(const char *folder, struct asked *asked) {
	static const char *const files[] = {"model.onnx", "mlctl.yaml"};
	*asked = (struct asked){.folder = folder};
	struct git_question question = {folder, "model.onnx", files, 2, hash, asked};
	struct git_facts facts = {0};
	struct err err = {0};
	if (git_facts_read(&question, &facts, &err) != 0)
		fail_msg("%s", err.message);
	return facts;
}

#define REPOSITORY                                                                                                                         \
	"git init -q -b main .; echo model >model.onnx; echo name: x >mlctl.yaml; git add .; git commit -q -m 'first line\n\nbody'; "      \
	"touch -d '1 minute ago' model.onnx mlctl.yaml; git update-index --refresh\n"

static void expect(const char *folder, bool is_dirty, const char *file) {
	struct asked asked;
	struct git_facts facts = facts_of(folder, &asked);
	assert_non_null(facts.commit);
	if (facts.problem)
		fail_msg("%s", facts.problem);
	if (facts.is_dirty != is_dirty)
		fail_msg("dirty: %d (%s), not %d", facts.is_dirty, facts.dirty_file ? facts.dirty_file : "", is_dirty);
	if (is_dirty)
		assert_string_equal(facts.dirty_file, file);
	git_facts_clear(&facts);
}

static void facts_of_a_clean_checkout(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	scratch_sh(folder, REPOSITORY "git remote add origin https://me:s3cret@example.com/team/x.git");
	struct asked asked;
	struct git_facts facts = facts_of(folder, &asked);
	assert_int_equal(strlen(facts.commit), 40);
	assert_string_equal(facts.subject, "first line");
	assert_string_equal(facts.author_time, "2023-11-14T22:13:20Z");
	assert_string_equal(facts.branch, "main");
	assert_string_equal(facts.remote, "https://example.com/team/x.git");
	assert_string_equal(facts.tree, "12fae23f5d7540583715d79f44deb044bda2e21c"); /* printf 'model\n' | git hash-object --stdin */
	assert_false(facts.is_dirty);
	assert_false(facts.is_shallow);
	assert_null(facts.problem);
	git_facts_clear(&facts);
}

static void dirty_variants(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	scratch_sh(folder, REPOSITORY);
	expect(folder, false, NULL);
	scratch_sh(folder, "touch model.onnx");
	expect(folder, false, NULL); /* other times, same content */
	scratch_sh(folder, "echo other >model.onnx");
	expect(folder, true, "model.onnx");
	scratch_sh(folder, "git add model.onnx");
	expect(folder, true, "model.onnx"); /* staged */
	scratch_sh(folder, "git commit -q -m second; git rm -q --cached model.onnx; git commit -q -m third");
	expect(folder, true, "model.onnx"); /* there, but git does not know it */
	scratch_sh(folder, "echo model.onnx >.gitignore; git add .gitignore; git commit -q -m ignored");
	expect(folder, true, "model.onnx");
	scratch_sh(folder, "git add -f model.onnx; git commit -q -m back; rm mlctl.yaml");
	expect(folder, true, "mlctl.yaml");
	scratch_sh(folder, "git checkout -q mlctl.yaml; echo x >note.txt");
	expect(folder, false, NULL); /* untracked, and no part of the build */
	scratch_sh(folder, "rm model.onnx; ln -s mlctl.yaml model.onnx");
	expect(folder, true, "model.onnx");
}

static void expect_changed(const char *folder, const char *time, bool is_path_dirty) {
	struct asked asked;
	struct git_facts facts = facts_of(folder, &asked);
	if (facts.problem)
		fail_msg("%s", facts.problem);
	if (strcmp(facts.changed_time ? facts.changed_time : "", time) != 0 || facts.is_path_dirty != is_path_dirty)
		fail_msg("changed %s, dirty %d; not %s, %d", facts.changed_time, facts.is_path_dirty, time, is_path_dirty);
	git_facts_clear(&facts);
}

#define AT(time) "export GIT_AUTHOR_DATE=" time "Z GIT_COMMITTER_DATE=" time "Z; "

static void the_models_own_change(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	scratch_sh(folder, REPOSITORY AT("2024-01-01T00:00:00") "echo r >README; git add README; git commit -q -m readme");
	expect_changed(folder, "2023-11-14T22:13:20Z", false);
	scratch_sh(folder, AT("2024-01-02T00:00:00") "echo m2 >model.onnx; git commit -q -a -m model");
	expect_changed(folder, "2024-01-02T00:00:00Z", false);
	/* Others' branches and a merge change nothing, whichever side the model came from. */
	scratch_sh(folder, AT("2024-01-03T00:00:00") "git checkout -q -b side HEAD~1; echo m3 >model.onnx; git commit -q -a -m 'on a branch'; git checkout -q main; "
		"echo more >README; git commit -q -a -m readme");
	expect_changed(folder, "2024-01-02T00:00:00Z", false);
	scratch_sh(folder, AT("2024-01-04T00:00:00") "git merge -q -s ours -m merge side");
	expect_changed(folder, "2024-01-02T00:00:00Z", false);
	scratch_sh(folder, AT("2024-01-05T00:00:00") "git checkout -q side -- model.onnx; git commit -q -m taken");
	expect_changed(folder, "2024-01-05T00:00:00Z", false);
	scratch_sh(folder, "echo dirty >README; touch -d '1 minute ago' model.onnx");
	expect_changed(folder, "2024-01-05T00:00:00Z", false);
	scratch_sh(folder, "echo other >model.onnx");
	expect_changed(folder, "", true);
	scratch_sh(folder, "git add model.onnx");
	expect_changed(folder, "", true);
	scratch_sh(folder, "git rm -q --cached -f model.onnx; git commit -q -m gone");
	expect_changed(folder, "", true);
}

/* What is not here can't be told, and the edge of a shallow clone is no change. */
static void a_shallow_clone_knows_only_what_it_has(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	AUTO_FREE char *deep = fs_join(folder, "deep"), *cut = fs_join(folder, "cut");
	scratch_sh(folder, "mkdir deep; cd deep; " REPOSITORY AT("2024-01-01T00:00:00") "echo r >README; git add README; git commit -q -m readme; "
		"git clone -q --depth 1 file://$PWD ../cut");
	expect_changed(deep, "2023-11-14T22:13:20Z", false);
	expect_changed(cut, "", false);
	scratch_sh(cut, AT("2024-02-01T00:00:00") "echo m2 >model.onnx; git -c user.name=a -c user.email=a@b commit -q -a -m model");
	expect_changed(cut, "2024-02-01T00:00:00Z", false);
}

static void a_dvc_pointer_stands_for_its_model(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	scratch_sh(folder, "git init -q -b main .; echo model >model.onnx; echo model.onnx >.gitignore; echo name: x >mlctl.yaml; "
		"printf 'outs:\n- md5: %s\n  size: 6\n  path: model.onnx\n' $(md5sum <model.onnx | cut -c-32) >model.onnx.dvc; "
		"git add .; git commit -q -m x; echo r >README; git add README; " AT("2024-01-01T00:00:00") "git commit -q -m readme");
	expect_changed(folder, "2023-11-14T22:13:20Z", false);
}

static void links_count_by_where_they_point(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	scratch_sh(folder, "git init -q -b main .; mkdir d; echo m >d/m; ln -s d/m model.onnx; echo n >mlctl.yaml; git add .; git commit "
			   "-q -m x; touch -h -d '1 hour ago' model.onnx");
	expect(folder, false, NULL);
	scratch_sh(folder, "echo m >d/n; git add d; git commit -q -m y; ln -sf d/n model.onnx");
	expect(folder, true, "model.onnx");
}

static void only_the_folder_counts(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	scratch_sh(folder, "git init -q -b main .; mkdir a ab; echo m >a/model.onnx; echo n >a/mlctl.yaml; echo z >ab/z; echo r >README; "
			   "git add .; git commit -q -m x; "
			   "echo changed >README; echo changed >ab/z");
	AUTO_FREE char *sub = fs_join(folder, "a");
	expect(sub, false, NULL);
	scratch_sh(folder, "git add README ab");
	expect(sub, false, NULL);
	scratch_sh(folder, "echo more >>a/mlctl.yaml");
	expect(sub, true, "mlctl.yaml");
}

static void times_spare_the_reading(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	scratch_sh(folder, "git init -q -b main .; head -c 2000000 /dev/zero >model.onnx; echo n >mlctl.yaml; git add .; git commit -q -m "
			   "x; sleep 0.02; "
			   "git update-index --refresh; echo >>.git/info/exclude");
	struct asked asked;
	struct git_facts facts = facts_of(folder, &asked);
	assert_false(facts.is_dirty);
	git_facts_clear(&facts);
	scratch_sh(folder, "touch model.onnx");
	facts = facts_of(folder, &asked);
	assert_false(facts.is_dirty);
	assert_int_equal(asked.blob, 1); /* through the caller, who has a cache */
	git_facts_clear(&facts);
	scratch_sh(folder, "printf x | dd of=model.onnx bs=1 seek=1000 conv=notrunc status=none");
	facts = facts_of(folder, &asked);
	assert_true(facts.is_dirty);
	git_facts_clear(&facts);
}

static void lfs_files_are_clean_by_their_oid(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	/* A checkout as git-lfs leaves it: the index holds the pointer, the folder the content. */
	scratch_sh(folder,
		"git init -q -b main .; echo n >mlctl.yaml; echo content >model.onnx; oid=$(sha256sum model.onnx | cut -d' ' -f1); "
		"printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\nsize 8\\n' $oid >p; git add mlctl.yaml; "
		"git update-index --add --cacheinfo 100644,$(git hash-object -w p),model.onnx; git commit -q -m x");
	struct asked asked;
	struct git_facts facts = facts_of(folder, &asked);
	assert_false(facts.is_dirty);
	assert_int_equal(asked.sha256, 1);
	git_facts_clear(&facts);
	scratch_sh(folder, "echo CONTENT >model.onnx");
	expect(folder, true, "model.onnx");
}

static void dvc_files_are_clean_by_their_md5(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	scratch_sh(folder, "git init -q -b main .; echo n >mlctl.yaml; echo content >model.onnx; "
			   "printf 'outs:\\n- md5: %s\\n  size: 8\\n  hash: md5\\n  path: model.onnx\\n' $(md5sum model.onnx | cut -d' ' "
			   "-f1) >model.onnx.dvc; "
			   "echo /model.onnx >.gitignore; git add .; git commit -q -m x");
	expect(folder, false, NULL);
	scratch_sh(folder, "echo CONTENT >model.onnx");
	expect(folder, true, "model.onnx");
}

static void filters_of_gitattributes_count(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	scratch_sh(folder, "git init -q -b main .; echo m >model.onnx; echo '*.yaml text eol=crlf' >.gitattributes; printf "
			   "'a\\r\\nb\\r\\n' >mlctl.yaml; git add .; "
			   "git commit -q -m x; touch -d '1 hour ago' mlctl.yaml");
	expect(folder, false, NULL);
	scratch_sh(folder, "printf 'a\\r\\nc\\r\\n' >mlctl.yaml");
	expect(folder, true, "mlctl.yaml");
}

static void unusual_repositories(void **state) {
	(void) state;
	AUTO_SCRATCH char *folder = scratch_new();
	scratch_sh(folder, "mkdir r n u b; cd r\n" REPOSITORY "echo 2 >>mlctl.yaml; git commit -q -a -m second\n"
			   "git worktree add -q ../w -b side; cd ..; git clone -q --depth 1 file://$D/r s; git -C s checkout -q --detach\n"
			   "git -C r config extensions.worktreeConfig true; git -C r config core.repositoryformatversion 1\n"
			   "echo m >n/model.onnx; git -C u init -q; echo 'gitdir: /nowhere/at/all' >b/.git; cp -r w lost; echo 'gitdir: "
			   "../gone' >lost/.git");
	struct asked asked;
	AUTO_FREE char *r = fs_join(folder, "r"), *w = fs_join(folder, "w"), *s = fs_join(folder, "s"), *n = fs_join(folder, "n"),
		       *u = fs_join(folder, "u"), *b = fs_join(folder, "b");
	expect(r, false, NULL);
	struct git_facts facts = facts_of(w, &asked);
	assert_string_equal(facts.branch, "side");
	assert_non_null(facts.tree);
	assert_false(facts.is_dirty);
	git_facts_clear(&facts);
	facts = facts_of(s, &asked);
	assert_true(facts.is_shallow);
	assert_null(facts.branch);
	assert_null(facts.remote); /* a folder of this machine is nobody's business */
	assert_string_equal(facts.subject, "second");
	git_facts_clear(&facts);
	facts = facts_of(n, &asked);
	assert_null(facts.commit);
	assert_null(facts.problem);
	git_facts_clear(&facts);
	facts = facts_of(u, &asked);
	assert_null(facts.commit);
	assert_non_null(facts.problem);
	git_facts_clear(&facts);
	facts = facts_of(b, &asked);
	assert_null(facts.commit);
	assert_non_null(facts.problem);
	git_facts_clear(&facts);
}

static void another_owners_repository(void **state) {
	(void) state;
	if (getuid() != 0) {
		print_message("# only root can give a folder away\n");
		skip();
	}
	AUTO_SCRATCH char *folder = scratch_new();
	scratch_sh(folder, REPOSITORY "chown -R 12345:12345 .");
	expect(folder, false, NULL);
}

static void remotes(void **state) {
	(void) state;
	static const struct {
		const char *url, *want;
	} cases[] = {
		{"https://h/x.git", "https://h/x.git"},
		{"https://tok:en@h:8443/x.git?private_token=1#f", "https://h:8443/x.git"},
		{"https://a@b@h/x", "https://h/x"},
		{"ssh://git@h/x", "ssh://h/x"},
		{"git@h:team/x.git", "ssh://h/team/x.git"},
		{"h:x", "ssh://h/x"},
		{"/srv/x.git", NULL},
		{"../x", NULL},
		{"./a:b", NULL},
		{"file:///srv/x", NULL},
		{"https://tok:en@h", "https://h"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_FREE char *got = git_remote_without_secrets(cases[i].url);
		if (cases[i].want)
			assert_string_equal(got, cases[i].want);
		else
			assert_null(got);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(facts_of_a_clean_checkout),
		cmocka_unit_test(dirty_variants),
		cmocka_unit_test(the_models_own_change),
		cmocka_unit_test(a_shallow_clone_knows_only_what_it_has),
		cmocka_unit_test(a_dvc_pointer_stands_for_its_model),
		cmocka_unit_test(links_count_by_where_they_point),
		cmocka_unit_test(only_the_folder_counts),
		cmocka_unit_test(times_spare_the_reading),
		cmocka_unit_test(lfs_files_are_clean_by_their_oid),
		cmocka_unit_test(dvc_files_are_clean_by_their_md5),
		cmocka_unit_test(filters_of_gitattributes_count),
		cmocka_unit_test(unusual_repositories),
		cmocka_unit_test(another_owners_repository),
		cmocka_unit_test(remotes),
	};
	return cmocka_run_group_tests_name("vcs_git", tests, NULL, NULL);
}
