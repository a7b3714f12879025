# shellcheck shell=bash
# TAP for shell tests, and waiting: sourced by the lib.sh of tests/peers and tests/runner. A test ends with `finish`.
tap_count=0 tap_failed=0
ok() { tap_count=$((tap_count + 1)); printf 'ok %d - %s\n' "$tap_count" "$1"; }
not_ok() {
	tap_count=$((tap_count + 1)) tap_failed=$((tap_failed + 1))
	printf 'not ok %d - %s\n' "$tap_count" "$1"
	[ -z "${2:-}" ] || printf '%s\n' "$2" | head -40 | sed 's/^/# /'
	return 1
}
skip() { tap_count=$((tap_count + 1)); printf 'ok %d - %s # SKIP %s\n' "$tap_count" "$1" "$2"; }
finish() { printf '1..%d\n' "$tap_count"; exit $((tap_failed > 0)); }

# until_true SECONDS command...: asks again every 20 ms until the command succeeds or the time is over.
until_true() {
	local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/[.,]/}" -lt "$end" ] || return 1
		sleep 0.02
	done
}
