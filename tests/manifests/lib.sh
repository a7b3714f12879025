# shellcheck shell=bash
# What the tests of manifests/ stand on: TAP and a runner from the runner's tests, and the names that it exposes.
. "$(dirname "${BASH_SOURCE[0]}")/../runner/lib.sh"

# exposed: the names of a live runner's series in $WORK/names, and with their labels in $WORK/series. The limits are only there in a container
# that has some, so they are added: metrics_render's own test shows them.
exposed() {
	start exposed "$RUNNER" --model "$MODEL" --service fraud --environment prod --revision abc --release r42 --model-created 2026-11-21T10:02:11Z
	code -d @"$WORK/row.json" "http://127.0.0.1:$PORT_exposed/predict" >/dev/null
	curl -s "http://127.0.0.1:$PORT_exposed/metrics" >"$WORK/page"
	sed -nE 's/^([a-z_]+)[{ ].*/\1/p' "$WORK/page" | cat - <(printf 'mlctl_cpu_limit_cores\nmlctl_memory_limit_bytes\n') | sort -u >"$WORK/names"
	stop "$PID_exposed"
}
# names FILE: the names of the runner's series that the file's expressions ask for.
names() { sed -E "/^ *#/d; s/mlctl_service:[a-z0-9_:]*//g" "$1" | grep -oE "\\b(mlctl|process)_[a-z0-9_]+" | grep -vxE 'mlctl_(env|service)' | sort -u; }
