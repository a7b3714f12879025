#!/usr/bin/env bash
# How long a command takes to say something: 20 in a row, against `kubectl version --client`.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

twenty='for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "$@" >/dev/null || exit; done'
project "$WORK/service" ""
mlctl_in "$WORK/service" deploy --env local >"$WORK/deployed" 2>&1 || tail -3 "$WORK/deployed" >&2
for _ in $(seq "$TIMES"); do
	sample version bash -c "$twenty" - "$MLCTL" version
	sample_in status "$WORK/service" bash -c "$twenty" - "$MLCTL" status --env local
	if [ -x "$PEERS_BIN/kubectl" ]; then sample kubectl bash -c "$twenty" - "$PEERS_BIN/kubectl" version --client; fi
done
mlctl_in "$WORK/service" destroy --env local --yes >/dev/null 2>&1
twentieth() { awk -v s="${1:-0}" 'BEGIN { if (s > 0) print s * 50 }'; }
row "mlctl version; kubectl version --client" "$(twentieth "$(median version wall)")" "$(twentieth "$(median kubectl wall)")" ms 0.2
row "mlctl status of a local service; kubectl version" "$(twentieth "$(median status wall)")" "$(twentieth "$(median kubectl wall)")" ms 0.5
