#!/usr/bin/env bash
# Every example as it is shipped: its first version is deployed and answers its traffic, its good versions follow behind a canary, its bad ones do not.
. "$(dirname "$0")/../cli/lib.sh"
MLCTL=${MLCTL_SAN:-$MLCTL}

# How many requests of the file are not answered with 200.
refused() {
	local address bad
	address=$("$MLCTL" status --json 2>/dev/null | sed -nE 's/.*"address": "([^"]*)".*/\1/p')
	while IFS= read -r row; do
		curl -s -o /dev/null -w '%{http_code}\n' -H 'Content-Type: application/json' -d "$row" "$address/predict"
	done <traffic.jsonl >"$home/codes"
	bad=$(grep -cv '^200$' "$home/codes")
	echo "$bad of $(wc -l <"$home/codes")"
}

for folder in "$ROOT"/examples/*/; do
	name=$(basename "$folder")
	project "$name" || exit 1
	sed -i 's/^    for: .*/    for: 1s/' mlctl.yaml
	git commit -qam patience
	exits "$name: the first version" 0 "$MLCTL" deploy
	equals "$name: its traffic is answered" "$(refused)" "0 of $(wc -l <traffic.jsonl)"
	for version in versions/*/; do
		kind=$(basename "$version")
		cp "$version"/* . && git add -A && git commit -qm "$kind"
		case $kind in
		*-refused)
			exits "$name: $kind is refused by its golden examples" 4 "$MLCTL" deploy
			says "$name: it says so" "$err" 'golden'
			;;
		*-bad) # its golden examples are answered; what it fails at is in the traffic, which the tour and the demo send
			exits "$name: $kind passes build" 0 "$MLCTL" build
			;;
		*)
			exits "$name: $kind" 0 "$MLCTL" deploy
			equals "$name: $kind answers the traffic" "$(refused)" "0 of $(wc -l <traffic.jsonl)"
			;;
		esac
	done
	exits "$name: rollback" 0 "$MLCTL" rollback
	exits "$name: destroy" 0 "$MLCTL" destroy --yes
done
finish
