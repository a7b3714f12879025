# shellcheck shell=bash
# What was asked of the API server, from its audit log: $AUDIT_LOG, one JSON line a request, without those of the cluster's own members. Needs jq.
has_audit() { [ -n "${AUDIT_LOG:-}" ]; }
# audit_mark, then audit_since: the lines from then on.
audit_mark() { audit_from=$(wc -l <"$AUDIT_LOG"); }
audit_since() { tail -n +$((audit_from + 1)) "$AUDIT_LOG"; }
# audit_writes: those that wrote: user, verb, resource, name. What only asks (reviews, dry runs) is no write; one that was refused is none either.
audit_writes() {
	audit_since | jq -r 'select((.verb | IN("create", "update", "patch", "delete", "deletecollection")) and (.requestURI | contains("dryRun=All") | not) and
		((.objectRef.apiGroup // "") | IN("authorization.k8s.io", "authentication.k8s.io") | not) and (.responseStatus.code // 200) < 400) |
		"\(.user.username) \(.verb) \(.objectRef.resource // .requestURI)\(if .objectRef.subresource then "/" + .objectRef.subresource else "" end) \(.objectRef.name // "")"'
}
