#include "build/ignore.h"

#include "os/fs.h"

/* Names, matched without case against each part of a path. What holds secrets also stays out when a symlink leads there. */
static const char *const secrets[] = {
	".env",
	".env.*",
	"*.env",
	".envrc",
	"*.pem",
	"*.key",
	"*.p12",
	"*.pfx",
	"*.jks",
	"*.keystore",
	"*.kdbx",
	"*.ppk",
	"id_rsa*",
	"id_dsa*",
	"id_ecdsa*",
	"id_ed25519*",
	".ssh",
	".gnupg",
	".aws",
	".azure",
	".gcloud",
	".kube",
	".docker",
	".netrc",
	"_netrc",
	".npmrc",
	".pypirc",
	".pgpass",
	".htpasswd",
	".git-credentials",
	".vault-token",
	"credentials",
	"credentials.json",
	"credentials.y*ml",
	"*credentials*.json",
	"service-account*.json",
	"service_account*.json",
	"client_secret*.json",
	"application_default_credentials.json",
	"kubeconfig",
	"*.kubeconfig",
	"secrets",
	".secrets",
	"secrets.y*ml",
	"*.tfstate",
	"*.tfstate.*",
	"*.tfvars",
};
static const char *const junk[] = {
	".git",
	".gitignore",
	".gitattributes",
	".gitmodules",
	".github",
	".gitlab-ci.yml",
	".hg",
	".svn",
	".dvc",
	"*.dvc",
	".dvcignore",
	"dvc.lock",
	"dvc.yaml",
	".mlctl",
	IGNORE_FILE,
	"mlctl.yaml",
	"__pycache__",
	"*.pyc",
	".venv",
	"venv",
	".ipynb_checkpoints",
	".pytest_cache",
	".mypy_cache",
	".ruff_cache",
	".vscode",
	".idea",
	"node_modules",
	".DS_Store",
	"Thumbs.db",
	"*.swp",
	"*~",
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct pattern {
	struct str text; /* lent from the ignore's own copy */
	bool is_negated, is_folder_only, is_anchored;
};

struct ignore {
	char *text;
	struct pattern *patterns;
	size_t count;
};

/* One "[...]" at pattern[*at]; false and *at unchanged when it is not closed (then "[" is itself). */
static bool match_class(struct str pattern, size_t *at, char c, bool is_nocase, bool *is_match) {
	size_t i = *at + 1;
	bool is_negated = i < pattern.len && (pattern.ptr[i] == '!' || pattern.ptr[i] == '^'), found = false;
	if (is_negated)
		i++;
	for (size_t first = i; i < pattern.len && (pattern.ptr[i] != ']' || i == first); i++) {
		char low = pattern.ptr[i], high = low;
		if (i + 2 < pattern.len && pattern.ptr[i + 1] == '-' && pattern.ptr[i + 2] != ']') {
			high = pattern.ptr[i + 2];
			i += 2;
		}
		found |= (unsigned char) c >= (unsigned char) low && (unsigned char) c <= (unsigned char) high;
		if (is_nocase)
			found |= ascii_lower(c) >= ascii_lower(low) && ascii_lower(c) <= ascii_lower(high);
	}
	if (i >= pattern.len)
		return false;
	*at = i + 1;
	*is_match = found != is_negated && c != '/';
	return true;
}

static bool match_one(struct str pattern, size_t *at, char c, bool is_nocase) {
	char p = pattern.ptr[*at];
	bool is_match = false;
	if (p == '[' && match_class(pattern, at, c, is_nocase, &is_match))
		return is_match;
	if (p == '?') {
		*at += 1;
		return c != '/';
	}
	if (p == '\\' && *at + 1 < pattern.len)
		p = pattern.ptr[++*at];
	*at += 1;
	return p == c || (is_nocase && ascii_lower(p) == ascii_lower(c));
}

/* Iterative: two places to come back to, the last "*" (stays within a part) and the last "**" (does not); an earlier one never needs
 * another try once a later one of its kind was reached, so the time is bounded by pattern x path x path. */
bool ignore_match(struct str pattern, struct str path, bool is_nocase) {
	const size_t none = (size_t) -1;
	size_t p = 0, s = 0, star = none, star_at = 0, deep = none, deep_at = 0;
	for (;;) {
		if (p < pattern.len && pattern.ptr[p] == '*') {
			if (p + 1 < pattern.len && pattern.ptr[p + 1] == '*') {
				p += 2;
				/* A "**" and its "/" match nothing as well: "a" is in "**" "/a". */
				if (p < pattern.len && pattern.ptr[p] == '/' && (p == 2 || pattern.ptr[p - 3] == '/'))
					p++;
				deep = p;
				deep_at = s;
				star = none;
			} else {
				star = ++p;
				star_at = s;
			}
			continue;
		}
		if (s == path.len && p == pattern.len)
			return true;
		size_t next = p;
		if (s < path.len && p < pattern.len && match_one(pattern, &next, path.ptr[s], is_nocase)) {
			p = next;
			s++;
		} else if (star != none && star_at < path.len && path.ptr[star_at] != '/') {
			p = star;
			s = ++star_at;
		} else if (deep != none && deep_at < path.len) {
			star = none;
			/* After "**" "/" a match begins at a part's begin only. */
			bool at_parts = deep > 0 && pattern.ptr[deep - 1] == '/';
			do
				deep_at++;
			while (at_parts && deep_at < path.len && path.ptr[deep_at - 1] != '/');
			if (at_parts && deep_at == path.len && path.ptr[deep_at - 1] != '/')
				return false;
			p = deep;
			s = deep_at;
		} else
			return false;
	}
}

/* Our own patterns know no wildcard but "*", so their first and last character decide for almost every name. */
static bool may_match(const char *pattern, char first, char last) {
	if (pattern[0] != '*' && ascii_lower(pattern[0]) != first)
		return false;
	char end = pattern[strlen(pattern) - 1];
	return end == '*' || ascii_lower(end) == last;
}

static bool any_matches(const char *const *names, size_t count, struct str name) {
	char first = name.len ? ascii_lower(name.ptr[0]) : '\0', last = name.len ? ascii_lower(name.ptr[name.len - 1]) : '\0';
	for (size_t i = 0; i < count; i++)
		if (may_match(names[i], first, last) && ignore_match(str_of(names[i]), name, true))
			return true;
	return false;
}

static struct str last_part(const char *path) {
	struct str rest, head = str_cut_last(str_of(path), '/', &rest);
	return rest.ptr ? rest : head;
}

bool ignore_is_secret(const char *path) {
	for (struct str rest = str_of(path); rest.ptr;)
		if (any_matches(secrets, COUNT(secrets), str_cut(rest, '/', &rest)))
			return true;
	return false;
}

static bool parse_pattern(struct str line, struct pattern *out) {
	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	while (line.len && line.ptr[line.len - 1] == ' ' && !(line.len > 1 && line.ptr[line.len - 2] == '\\'))
		line.len--;
	if (!line.len || line.ptr[0] == '#')
		return false;
	*out = (struct pattern){.is_negated = line.ptr[0] == '!'};
	if (out->is_negated)
		line = (struct str){line.ptr + 1, line.len - 1};
	if (line.len && line.ptr[line.len - 1] == '/') {
		out->is_folder_only = true;
		line.len--;
	}
	out->is_anchored = line.len && memchr(line.ptr, '/', line.len) != NULL;
	if (line.len && line.ptr[0] == '/')
		line = (struct str){line.ptr + 1, line.len - 1};
	out->text = line;
	return line.len != 0;
}

int ignore_read(struct str text, struct ignore **out, struct err *err) {
	AUTO_IGNORE struct ignore *ignore = NEW(struct ignore);
	ignore->text = mem_text_n(text.len ? text.ptr : "", text.len);
	ignore->patterns = mem_zero(IGNORE_PATTERNS_MAX, sizeof(*ignore->patterns));
	for (struct str rest = {ignore->text, text.len}; rest.ptr;) {
		struct pattern pattern;
		if (!parse_pattern(str_cut(rest, '\n', &rest), &pattern))
			continue;
		if (ignore->count == IGNORE_PATTERNS_MAX)
			return err_set(err, ERR_CONFIG, "%s: more than %d patterns", IGNORE_FILE, IGNORE_PATTERNS_MAX);
		ignore->patterns[ignore->count++] = pattern;
	}
	*out = take(&ignore);
	return 0;
}

int ignore_load(const char *folder, struct ignore **out, struct err *err) {
	AUTO_FREE char *path = fs_join(folder, IGNORE_FILE), *text = NULL;
	size_t len = 0;
	if (fs_read(path, IGNORE_BYTES_MAX, &text, &len, err) != 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
	}
	return ignore_read((struct str){text, len}, out, err);
}

void ignore_free(struct ignore *ignore) {
	if (!ignore)
		return;
	free(ignore->text);
	free(ignore->patterns);
	free(ignore);
}

bool ignore_is_out(const struct ignore *ignore, const char *path, bool is_folder) {
	struct str name = last_part(path);
	bool is_out = any_matches(secrets, COUNT(secrets), name) || any_matches(junk, COUNT(junk), name);
	for (size_t i = 0; i < ignore->count; i++) {
		const struct pattern *pattern = &ignore->patterns[i];
		if (pattern->is_folder_only && !is_folder)
			continue;
		if (ignore_match(pattern->text, pattern->is_anchored ? str_of(path) : name, false))
			is_out = !pattern->is_negated;
	}
	return is_out;
}
