#!/usr/bin/env bash
# The README's tour, typed line by line. What it prints must be what the README shows, but for digests, commits, times, sizes and counts; lines of
# one command may come in another order. And the README's tables name every command, exit code and key.
. "$(dirname "$0")/../cli/lib.sh"
readme=$ROOT/README.md
mkdir "$home/bin" && ln -s "$MLCTL" "$home/bin/mlctl" && ln -s "$ROOT" "$home/mlctl" && cd "$home/mlctl" || exit 1
export PATH=$home/bin:$PATH XDG_STATE_HOME=$home/.local/state XDG_DATA_HOME=$home/.local/share XDG_CACHE_HOME=$home/.cache

normal() {
	sed -E "s|$home|HOME|g; s|/home/you|HOME|g; s/sha256:[0-9a-f]+(…|\.\.\.)?/DIGEST/g; s/(^|[^.0-9a-f])[0-9a-f]{12}/\1HEX/g; s/, [0-9]+ of them golden//; s/  health [0-9]+\/[0-9]+//;
		s/[0-9]+([.:][0-9]+)*(e[-+]?[0-9]+)?/N/g; s/\bN [kMG]?B\b/SIZE/g; s/\bN (ms|us|s)\b/TIME/g; s/[^ ]+@[^ ]+/WHO/g; s/ +/ /g; s/ $//" | sort
}

# A command and what the README says it prints.
step() {
	local line=$1 shown=$2 want=0 got
	case $shown in *'ROLLED BACK'*) want=9 ;; *REFUSED*) want=12 ;; esac
	[ -z "$port" ] || line=${line//:8080/:$port}
	eval "$line" >"$out" 2>&1 </dev/null
	got=$?
	case $line in 'mlctl deploy') port=$(mlctl status --json | sed -nE 's/.*"address": "[^"]*:([0-9]+)".*/\1/p') ;; esac
	if [ $got != $want ]; then
		flunk "$line (exit $got, expected $want)" "$out"
		return
	fi
	printf '%s' "$shown" | normal >"$home/shown"
	normal <"$out" >"$home/printed"
	case $line in *'&') children=$!; pass "$line"; return ;; esac
	if diff -w "$home/shown" "$home/printed" >"$home/difference"; then pass "$line"; else flunk "$line: < README, > printed" "$home/difference"; fi
}

port='' line='' shown='' inside=''
while IFS= read -r text; do
	case $text in
	'```console') inside=yes; continue ;;
	'```') [ -z "$line" ] || step "$line" "$shown"; inside='' line='' shown=''; continue ;;
	esac
	[ -n "$inside" ] || continue
	case $text in
	'$ '*) [ -z "$line" ] || step "$line" "$shown"; line=${text#'$ '} shown='' ;;
	*) shown+=$text$'\n' ;;
	esac
done <"$readme"
[ "$count" -ge 20 ] && pass "the whole tour" || flunk "the whole tour: only $count lines"

for name in $(mlctl help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
	grep -q "^| \`$name\` |" "$readme" && pass "command $name is in the README" || flunk "command $name is in the README"
done
for code in $(mlctl help exit-codes | sed -nE 's/^ +([0-9]+) .*/\1/p'); do
	grep -q "^| $code |" "$readme" && pass "exit code $code is in the README" || flunk "exit code $code is in the README"
done
for key in $(mlctl validate --reference | sed -nE 's/^([a-z][A-Za-z0-9.]*) .*/\1/p'); do
	grep -q "^| \`$key\` |" "$readme" && pass "key $key is in the README" || flunk "key $key is in the README"
done
finish
