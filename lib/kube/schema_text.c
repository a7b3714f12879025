#include "kube/schema_check.h"

#include <arpa/inet.h>

static bool is_label_bytes(struct str text, bool is_upper_allowed) {
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool is_edge = i == 0 || i + 1 == text.len;
		if (!(is_upper_allowed ? ascii_is_alnum(c) : ascii_is_digit(c) || ascii_is_lower(c)) && (is_edge || c != '-'))
			return false;
	}
	return text.len > 0;
}

static bool is_label(struct str text) {
	return text.len <= 63 && is_label_bytes(text, false);
}

static bool is_subdomain(struct str text) {
	if (text.len > 253)
		return false;
	for (struct str rest = text; rest.ptr;) {
		struct str part = str_cut(rest, '.', &rest);
		if (!is_label_bytes(part, false))
			return false;
	}
	return text.len > 0;
}

static bool is_wildcard(struct str text) {
	return str_starts(text, "*.") && is_subdomain((struct str){text.ptr + 2, text.len - 2});
}

static bool is_service(struct str text) {
	return is_label(text) && ascii_is_lower(text.ptr[0]);
}

static bool is_all(struct str text, const char *also) {
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_alnum(text.ptr[i]) && (!text.ptr[i] || !strchr(also, text.ptr[i])))
			return false;
	return true;
}

/* The last part of a label's key, and a label's value. */
static bool is_word(struct str text) {
	return text.len >= 1 && text.len <= 63 && is_all(text, "-_.") && ascii_is_alnum(text.ptr[0]) &&
	       ascii_is_alnum(text.ptr[text.len - 1]);
}

static bool is_label_key(struct str text) {
	struct str name, prefix = str_cut(text, '/', &name);
	return name.ptr ? is_subdomain(prefix) && is_word(name) : is_word(text);
}

static bool is_annotation_key(struct str text) {
	char lower[320];
	if (text.len >= sizeof(lower))
		return false;
	for (size_t i = 0; i < text.len; i++)
		lower[i] = ascii_lower(text.ptr[i]);
	return is_label_key((struct str){lower, text.len});
}

static bool is_segment(struct str text) {
	return text.len && !str_is(text, ".") && !str_is(text, "..") && !memchr(text.ptr, '/', text.len) &&
	       !memchr(text.ptr, '%', text.len);
}

/* RFC 6335: 1 to 15, a letter among them, no hyphen at an edge or beside another. */
static bool is_port_name(struct str text) {
	bool has_letter = false;
	if (text.len > 15 || !is_label_bytes(text, false))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		has_letter |= ascii_is_lower(text.ptr[i]);
		if (i && text.ptr[i] == '-' && text.ptr[i - 1] == '-')
			return false;
	}
	return has_letter;
}

/* From 1.32 on any printable ASCII but '=' may be in it. */
static bool is_env_name(struct str text, int minor) {
	if (!text.len)
		return false;
	if (minor < 32)
		return is_all(text, "-_.") && !ascii_is_digit(text.ptr[0]) && !str_is(text, ".") && !str_is(text, "..");
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e || text.ptr[i] == '=')
			return false;
	return true;
}

static bool is_config_key(struct str text) {
	return text.len >= 1 && text.len <= 253 && is_all(text, "-_.") && !str_is(text, ".") && !str_starts(text, "..");
}

static bool has_dots(struct str text) {
	for (struct str rest = text; rest.ptr;)
		if (str_is(str_cut(rest, '/', &rest), ".."))
			return true;
	return false;
}

static bool is_path_inside(struct str text) {
	return text.len == 0 || (text.ptr[0] != '/' && !has_dots(text));
}

static bool is_header_name(struct str text) {
	return text.len >= 1 && is_all(text, "-");
}

static int address(struct str text, unsigned char out[16]) {
	char copy[64];
	if (text.len >= sizeof(copy) || memchr(text.ptr, 0, text.len))
		return 0;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	return inet_pton(AF_INET, copy, out) == 1 ? 32 : inet_pton(AF_INET6, copy, out) == 1 ? 128 : 0;
}

static bool is_ip(struct str text) {
	unsigned char bytes[16];
	return text.len && address(text, bytes);
}

static int cidr(struct str text, unsigned char out[16], int64_t *bits) {
	struct str mask, head = str_cut(text, '/', &mask);
	int size = mask.ptr && head.len ? address(head, out) : 0;
	return size && mask.len && mask.len <= 3 && num_int(mask, 0, size, bits) == 0 && (mask.len == 1 || mask.ptr[0] != '0') ? size : 0;
}

static bool is_cidr(struct str text) {
	unsigned char bytes[16];
	int64_t bits;
	return cidr(str_trim(text), bytes, &bits) != 0;
}

bool schema_cidr_holds(struct str outer, struct str inner) {
	unsigned char a[16] = {0}, b[16] = {0};
	int64_t outer_bits = 0, inner_bits = 0;
	if (cidr(outer, a, &outer_bits) != cidr(inner, b, &inner_bits) || inner_bits <= outer_bits)
		return false;
	for (int64_t i = 0; i < outer_bits; i++)
		if (((a[i / 8] ^ b[i / 8]) >> (7 - i % 8)) & 1)
			return false;
	return true;
}

static bool is_base64(struct str text) {
	size_t letters = 0, pads = 0;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == '\n' || c == '\r')
			continue;
		if (c == '=')
			pads++;
		else if (pads || !(ascii_is_alnum(c) || c == '+' || c == '/'))
			return false;
		letters++;
	}
	return letters % 4 == 0 && pads <= 2;
}

void schema_base64_decode(struct str text, struct buf *out) {
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	int count = 0;
	for (size_t i = 0; i < text.len; i++) {
		const char *at = text.ptr[i] ? strchr(alphabet, text.ptr[i]) : NULL;
		if (!at)
			continue;
		bits = bits << 6 | (uint32_t) (at - alphabet);
		count += 6;
		if (count < 8)
			continue;
		count -= 8;
		buf_char(out, (char) (bits >> count & 0xff));
	}
}

/* RFC 3339, with a fraction or an offset if wanted. */
static bool is_time(struct str text) {
	static const char shape[] = "dddd-dd-ddTdd:dd:dd";
	size_t i = 0;
	for (; shape[i]; i++)
		if (i >= text.len || (shape[i] == 'd' ? !ascii_is_digit(text.ptr[i]) : text.ptr[i] != shape[i]))
			return false;
	if (i < text.len && text.ptr[i] == '.')
		for (i++; i < text.len && ascii_is_digit(text.ptr[i]);)
			i++;
	struct str zone = {text.ptr + i, text.len - i};
	return str_is(zone, "Z") || (zone.len == 6 && (zone.ptr[0] == '+' || zone.ptr[0] == '-') && zone.ptr[3] == ':');
}

static bool is_host(struct str text) {
	return is_subdomain(str_ends(text, ".") ? (struct str){text.ptr, text.len - 1} : text);
}

static bool is_image(struct str text) {
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] == 0x7f)
			return false;
	return text.len > 0;
}

static bool is_resource_field(struct str text) {
	struct str name, list = str_cut(text, '.', &name);
	return (str_is(list, "limits") || str_is(list, "requests")) && name.ptr &&
	       (str_is(name, "cpu") || str_is(name, "memory") || str_is(name, "ephemeral-storage") || str_starts(name, "hugepages-"));
}

/* What the downward API knows of a pod. */
static bool is_field_path(struct str text) {
	static const char *const paths[] = {"metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels",
		"metadata.annotations", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP",
		"status.podIPs"};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (str_is(text, paths[i]))
			return true;
	return (str_starts(text, "metadata.labels['") || str_starts(text, "metadata.annotations['")) && str_ends(text, "']");
}

/* Five fields, or a word such as @daily; what stands in a field is the server's to read. */
static bool is_schedule(struct str text) {
	size_t fields = 0;
	for (size_t i = 0; i < text.len; i++)
		fields += text.ptr[i] != ' ' && (i == 0 || text.ptr[i - 1] == ' ');
	return (text.len && text.ptr[0] == '@') || (fields == 5 && is_all(text, " */,-?"));
}

static const char label_right[] = "lower-case letters, digits and '-', at most 63, a letter or digit at both ends (RFC 1123 label)";
static const char subdomain_right[] =
	"lower-case letters, digits, '-' and '.', at most 253, a letter or digit at both ends of each part (RFC 1123)";
static const char key_right[] = "[DNS-prefix/]name: letters, digits, '-', '_' and '.', at most 63, a letter or digit at both ends";
static const char port_right[] = "lower-case letters, digits and single '-', at most 15, with a letter (RFC 6335)";
static const char config_right[] = "letters, digits, '-', '_' and '.', at most 253";
static const char path_right[] = "a relative path without '..'";

const char *schema_format_wrong(enum schema_format format, struct str text, int minor) {
	switch (format) {
	case FORMAT_LABEL_OR_EMPTY:
		return text.len == 0 || is_label(text) ? NULL : label_right;
	case FORMAT_LABEL:
		return is_label(text) ? NULL : label_right;
	case FORMAT_SUBDOMAIN_OR_EMPTY:
		return text.len == 0 || is_subdomain(text) ? NULL : subdomain_right;
	case FORMAT_SUBDOMAIN:
		return is_subdomain(text) ? NULL : subdomain_right;
	case FORMAT_SERVICE:
		return is_service(text) ? NULL
					: "lower-case letters, digits and '-', at most 63, a letter first, no '-' last (RFC 1035 label)";
	case FORMAT_SEGMENT:
		return is_segment(text) ? NULL : "a name without '/' and '%'";
	case FORMAT_PREFIX:
		return text.len == 0 ||
				       is_label_bytes(
					       (struct str){text.ptr, text.len - (text.len > 1 && text.ptr[text.len - 1] == '-')}, false) ||
				       is_subdomain(text)
			       ? NULL
			       : "lower-case letters, digits, '-' and '.'";
	case FORMAT_PORT_NAME_OR_EMPTY:
	case FORMAT_PORT_NAME:
		return text.len == 0 || is_port_name(text) ? NULL : port_right;
	case FORMAT_LABEL_KEY_OR_EMPTY:
		return text.len == 0 || is_label_key(text) ? NULL : key_right;
	case FORMAT_LABEL_KEY:
		return is_label_key(text) ? NULL : key_right;
	case FORMAT_LABEL_VALUE:
		return text.len == 0 || is_word(text)
			       ? NULL
			       : "letters, digits, '-', '_' and '.', at most 63, a letter or digit at both ends, or nothing";
	case FORMAT_ANNOTATION_KEY:
		return is_annotation_key(text) ? NULL : key_right;
	case FORMAT_ENV_NAME:
		return is_env_name(text, minor) ? NULL
		       : minor < 32		? "letters, digits, '-', '_' and '.', no digit first"
						: "printable ASCII without '='";
	case FORMAT_ENV_PREFIX:
		return text.len == 0 || is_env_name(text, minor) ? NULL : "what may begin a variable's name";
	case FORMAT_CONFIG_KEY:
		return is_config_key(text) ? NULL : config_right;
	case FORMAT_RESOURCE:
		return is_label_key(text) ? NULL : "cpu, memory, ephemeral-storage, hugepages-SIZE or domain/resource (nvidia.com/gpu)";
	case FORMAT_RESOURCE_FIELD:
		return is_resource_field(text) ? NULL : "limits. or requests., then cpu, memory, ephemeral-storage or hugepages-SIZE";
	case FORMAT_FIELD_PATH:
		return is_field_path(text) ? NULL
					   : "metadata.name, .namespace, .uid, .labels['KEY'], .annotations['KEY'], spec.nodeName, "
					     ".serviceAccountName, status.hostIP or .podIP";
	case FORMAT_SCHEDULE:
		return is_schedule(text) ? NULL : "minute hour day month weekday (\"*/5 * * * *\"), or @daily and the like";
	case FORMAT_IMAGE:
		return is_image(text) ? NULL : "REGISTRY/REPOSITORY[:TAG][@DIGEST], without spaces";
	case FORMAT_PATH_INSIDE:
		return is_path_inside(text) ? NULL : path_right;
	case FORMAT_MOUNT_PATH:
		return text.len ? NULL : "an absolute path inside the container";
	case FORMAT_HEADER_NAME:
		return is_header_name(text) ? NULL : "letters, digits and '-'";
	case FORMAT_IP:
		return is_ip(text) ? NULL : "an IP address (10.9.8.7 or 2001:db8::1)";
	case FORMAT_CIDR:
		return is_cidr(text) ? NULL : "a network (10.0.0.0/16 or 2001:db8::/64)";
	case FORMAT_CLUSTER_IP:
		return text.len == 0 || str_is(text, "None") || is_ip(text) ? NULL : "an IP address, or None";
	case FORMAT_HOST_OR_EMPTY:
		return text.len == 0 || is_host(text) ? NULL : subdomain_right;
	case FORMAT_INGRESS_HOST:
		return is_ip(text)						  ? "a DNS name, not an IP address"
		       : text.len == 0 || is_subdomain(text) || is_wildcard(text) ? NULL
										  : "a DNS name in lower case, or *.example.com";
	case FORMAT_WILDCARD_HOST:
		return is_subdomain(text) || is_wildcard(text) ? NULL : "a DNS name in lower case, or *.example.com";
	case FORMAT_BYTES:
		return is_base64(text) ? NULL : "base64 (or put plain text into stringData)";
	case FORMAT_TIME:
		return is_time(text) ? NULL : "a time such as 2026-11-26T10:00:00Z (RFC 3339)";
	case FORMAT_NONE:
	case FORMAT_PORT_OR_NAME:
	case FORMAT_SHARE:
	case FORMAT_SHARE_AT_MOST:
	case FORMAT_COUNT:
		break;
	}
	return NULL;
}

/* What may stand behind the number: a power of two, or one of ten above the nano. */
static bool read_suffix(struct str suffix, int *twos, int *tens) {
	static const char binary[] = "KMGTPE", decimal[] = "num kMGTPE"; /* the decimal ones are 3 apart, from -9 on */
	*twos = 0;
	*tens = 9;
	if (!suffix.len)
		return true;
	if (suffix.len == 2 && suffix.ptr[1] == 'i') {
		const char *at = memchr(binary, suffix.ptr[0], 6);
		*twos = at ? 10 * (int) (at - binary + 1) : 0;
		return at != NULL;
	}
	if (suffix.len == 1 && suffix.ptr[0] != ' ') {
		const char *at = memchr(decimal, suffix.ptr[0], sizeof(decimal) - 1);
		*tens = at ? 3 * (int) (at - decimal) : 0;
		if (at)
			return true;
	}
	int64_t exponent;
	bool is_signed = suffix.len > 1 && (suffix.ptr[1] == '+' || suffix.ptr[1] == '-');
	struct str digits = {suffix.ptr + 1 + is_signed, suffix.len - 1 - is_signed};
	if (ascii_lower(suffix.ptr[0]) != 'e' || num_int(digits, 0, 1000, &exponent) != 0)
		return false;
	*tens = 9 + (int) (is_signed && suffix.ptr[1] == '-' ? -exponent : exponent);
	return true;
}

#define QUANTITY_MOST ((__int128) 1 << 120)

static void times(__int128 *number, int factor) {
	*number = *number > QUANTITY_MOST / factor ? QUANTITY_MOST : *number * factor;
}

int schema_quantity_read(struct str text, struct schema_quantity *out) {
	size_t i = text.len && (text.ptr[0] == '-' || text.ptr[0] == '+'), digits = 0;
	bool is_negative = i && text.ptr[0] == '-', is_past_dot = false, is_rest = false;
	__int128 number = 0;
	int places = 0, twos, tens;
	for (; i < text.len && (ascii_is_digit(text.ptr[i]) || (text.ptr[i] == '.' && !is_past_dot)); i++) {
		if (text.ptr[i] == '.') {
			is_past_dot = true;
			continue;
		}
		digits++;
		if (is_past_dot && places >= 18) {
			is_rest |= text.ptr[i] != '0';
			continue;
		}
		times(&number, 10);
		number += text.ptr[i] - '0';
		places += is_past_dot;
	}
	if (!digits || text.len > 64 || !read_suffix((struct str){text.ptr + i, text.len - i}, &twos, &tens))
		return -1;
	for (; twos > 0; twos--)
		times(&number, 2);
	for (tens -= places; tens > 0; tens--)
		times(&number, 10);
	for (; tens < 0 && number; tens++) {
		is_rest |= number % 10 != 0;
		number /= 10;
	}
	number += is_rest; /* rounded up, as the server does */
	out->is_fraction = number % 1000000000 != 0;
	out->nano = is_negative ? -number : number;
	return 0;
}

int schema_quantity_of(const struct value *value, struct schema_quantity *out) {
	return value && (value->kind == VALUE_NUMBER || value->kind == VALUE_STRING) ? schema_quantity_read(value->text, out) : -1;
}

int schema_share_of(const struct value *value, int64_t *out, bool *is_share) {
	*is_share = value && value->kind == VALUE_STRING;
	if (!*is_share)
		return value && schema_int(value, out) ? 0 : -1;
	struct str text = value->text;
	return str_ends(text, "%") && num_int((struct str){text.ptr, text.len - 1}, 0, INT32_MAX, out) == 0 ? 0 : -1;
}

int schema_duration_ms(struct str text, int64_t *out) {
	int64_t total = 0;
	for (size_t i = 0; i < text.len;) {
		size_t from = i;
		int64_t number, unit;
		while (i < text.len && ascii_is_digit(text.ptr[i]))
			i++;
		if (num_int((struct str){text.ptr + from, i - from}, 0, INT32_MAX, &number) != 0 || i >= text.len)
			return -1;
		bool is_ms = text.len - i >= 2 && text.ptr[i] == 'm' && text.ptr[i + 1] == 's';
		unit = is_ms ? 1 : text.ptr[i] == 's' ? 1000 : text.ptr[i] == 'm' ? 60000 : text.ptr[i] == 'h' ? 3600000 : 0;
		if (!unit || num_mul(number, unit, &number) || num_add(total, number, &total))
			return -1;
		i += is_ms ? 2 : 1;
	}
	*out = total;
	return text.len ? 0 : -1;
}
