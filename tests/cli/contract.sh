#!/usr/bin/env bash
# The command line's contract: streams, exit codes, JSON on both ways out, help, completion, man pages.
. "$(dirname "$0")/lib.sh"
MLCTL=${MLCTL_SAN:-$MLCTL}
cd "$home" || exit 1

exits "help" 0 "$MLCTL"
says "help lists deploy" "$out" '^  deploy '
exits "version" 0 "$MLCTL" version
exits "unknown command" 2 "$MLCTL" stats
says "did you mean" "$err" 'did you mean status'
equals "an error leaves stdout empty" "$(wc -c < "$out")" 0
exits "unknown option" 2 "$MLCTL" version --jsno
says "did you mean, for options" "$err" 'did you mean --json'
exits "too many words" 2 "$MLCTL" version again
exits "a missing value" 2 "$MLCTL" build --output
exits "a bad number" 2 "$MLCTL" logs --lines many
exits "a bad duration" 2 "$MLCTL" deploy --timeout 5
exits "error as JSON" 2 "$MLCTL" deploy --json --nonsense
says "error schema" "$out" '"schema": "mlctl.error/1"'
says "error code in JSON" "$out" '"code": 2'
exits "unknown command as JSON" 2 "$MLCTL" statsu --json
says "schema of it" "$out" 'mlctl.error/1'

verbs=$("$MLCTL" | sed -nE 's/^  ([a-z]+) +[a-z].*/\1/p' | grep -v '^mlctl' | sort -u)
[ "$(echo "$verbs" | wc -l)" -gt 10 ] && pass "the verbs are listed" || flunk "the verbs are listed"
for verb in $verbs; do
	"$MLCTL" "$verb" --help >"$out" 2>"$err" </dev/null && grep -q '^Usage: mlctl' "$out" && grep -q '^Examples:' "$out" || { flunk "$verb --help" "$out" "$err"; continue; }
	[ "$("$MLCTL" help "$verb")" = "$(cat "$out")" ] || { flunk "$verb: help and --help differ"; continue; }
	if grep -q 'has no --json' <("$MLCTL" help --schema "$verb" 2>&1); then :; else
		"$MLCTL" help --schema "$verb" >"$out" 2>"$err" && grep -q '"title": "mlctl.'"$verb" "$out" || { flunk "$verb: schema" "$out" "$err"; continue; }
	fi
	pass "$verb has help, an example and its schema"
done

# No mlctl.yaml here: every verb that needs one says so, with the fix, and nothing asks anything.
for verb in validate build push plan diff deploy status rollback history logs predict freeze unfreeze destroy; do
	"$MLCTL" $verb >"$out" 2>"$err" </dev/null
	code=$?
	if [ $code = 1 ] || [ $code = 2 ]; then grep -q 'mlctl.yaml' "$err" && grep -q 'fix:' "$err" && { pass "$verb without mlctl.yaml"; continue; }; fi
	flunk "$verb without mlctl.yaml: exit $code" "$err"
done

exits "completion bash" 0 "$MLCTL" completion bash
bash -n "$out" && pass "bash reads it" || flunk "bash reads it"
words=$(bash -c "source '$out'; COMP_WORDS=(mlctl dep); COMP_CWORD=1; _mlctl; echo \"\${COMPREPLY[*]}\"")
equals "dep completes to deploy" "$words" deploy
words=$(bash -c "source '$out'; COMP_WORDS=(mlctl deploy --lock); COMP_CWORD=2; _mlctl; echo \"\${COMPREPLY[*]}\"")
equals "deploy --lock completes" "$words" --lock-wait
exits "completion zsh" 0 "$MLCTL" completion zsh
if command -v zsh >/dev/null; then zsh -n "$out" && pass "zsh reads it" || flunk "zsh reads it"; else skip "zsh reads it" "no zsh"; fi
exits "completion of another shell" 2 "$MLCTL" completion fish
mkdir man && exits "man pages" 0 "$MLCTL" help --man-to man
[ -s man/mlctl.1 ] && [ -s man/mlctl-deploy.1 ] && pass "mlctl.1 and one per command" || flunk "mlctl.1 and one per command"
equals "everybody may read them" "$(stat -c %a man/mlctl.1 man/mlctl-deploy.1 | sort -u)" 644
if command -v man >/dev/null; then
	warnings=$(for p in man/*.1; do LC_ALL=C.UTF-8 MANWIDTH=100 man --warnings -l "$p" 2>&1 >/dev/null; done)
	equals "man reads them without a warning" "$warnings" ""
else skip "man reads them without a warning" "no man"; fi
script=$(command -v script)
if [ -n "$script" ]; then
	env -u NO_COLOR TERM=xterm script -qec "'$MLCTL' nonsense" /dev/null >"$out" 2>&1
	grep -q $'\033\[31m' "$out" && pass "colours on a terminal" || flunk "colours on a terminal" "$out"
	NO_COLOR=1 TERM=xterm script -qec "'$MLCTL' nonsense" /dev/null >"$out" 2>&1
	grep -q $'\033' "$out" && flunk "NO_COLOR" "$out" || pass "NO_COLOR"
else skip "colours on a terminal" "no script(1)"; fi
exits "a closed stdout is an error" 1 bash -c "'$MLCTL' help > /dev/full"
finish
