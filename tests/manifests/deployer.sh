#!/usr/bin/env bash
# The deployer's Role grants exactly what the code says it asks for (the table of lib/target/kubernetes_inspect.c, which `doctor` checks), and the files
# for the cluster name one namespace throughout. That the API server takes them is tests/cluster/light_manifests.sh's.
#   tests/manifests/deployer.sh --table    the table: GROUP (or -) RESOURCE VERB...
. "$(dirname "$0")/lib.sh"

table() {
	sed -nE '/^\} permissions\[\]/,/^\};/s/^\t\{"([^"]*)", "([^"]*)", "([^"]*)", (true|false)\},$/\1 \2 \3/p' "$ROOT/lib/target/kubernetes_inspect.c" | sed 's/^ /- /'
}
if [ "${1:-}" = --table ]; then
	table
	exit
fi
DEPLOYER=$ROOT/manifests/deployer.yaml
# rules KIND: the same of the file's object of this kind.
rules() {
	awk -v kind="kind: $1" '/^---/ {at = 0} $0 == kind {at = 1} at && /^- apiGroups:/ {group = $0; resources = ""} at && /^  resources:/ {resources = $0}
		at && /^  resourceNames:/ {names = $0} at && /^  verbs:/ {print group "|" resources "|" $0}' "$DEPLOYER" |
		sed -E 's/- apiGroups: \[//; s/"?"?\]\|  resources: \[/|/; s/\]\|  verbs: \[/|/; s/\]$//; s/^""//; s/^\|/-|/' |
		awk -F '|' '{n = split($2, one, /, */); gsub(/,/, "", $3); for (i = 1; i <= n; i++) print $1, one[i], $3}'
}
sorted() { awk '{line = $1 " " $2; n = split($0, w, " "); for (i = 3; i <= n; i++) print line, w[i]}' | sort -u; }
same "the table is there" "$(($(table | wc -l) > 10))" 1
same "the Role grants what the code asks for, and no more" "$(rules Role | sorted)" "$(table | grep -v ' nodes ' | sorted)"
same "what no namespace holds is the ClusterRole's" "$(rules ClusterRole | sorted)" "$(printf '%s\n' '- namespaces get' "$(table | grep ' nodes ')" | sorted)"
same "of namespaces only kube-system" "$(grep -A 1 'resources: \[namespaces\]' "$DEPLOYER" | grep -c 'resourceNames: \[kube-system\]')" 1
same "no wildcard" "$(sed '/^ *#/d' "$DEPLOYER" | grep -c '\*')" 0
for file in deployer.yaml default-deny.yaml; do
	same "$file: every namespaced object says where" "$(awk '/^---/ {n++} /^kind:/ {kind[n] = $2} /^  namespace: ml$/ {has[n] = 1} END {for (i in kind) if (kind[i] !~ /^Cluster/ && !has[i]) print kind[i]}' "$ROOT/manifests/$file")" ""
	same "$file: as text with the line of its head comment, nothing of ml is left" "$(sed -e 's/: ml$/: prod/' -e 's/-ml$/-prod/' "$ROOT/manifests/$file" | sed '/^#/d' | grep -cE '(^|[^a-z])ml([^a-z]|$)')" 0
done
finish
