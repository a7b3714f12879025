#!/usr/bin/env bash
# Commands without the network or git do not load what those need, and those that need it do. Of the program as it is installed.
. "$(dirname "$0")/lib.sh"
project breast-cancer || exit 1
loads() { # the libraries that a command loads, by the system's loader
	LD_DEBUG=files LD_DEBUG_OUTPUT="$home/loaded" "$@" >"$out" 2>"$err"
	cat "$home"/loaded.* 2>/dev/null | sed -nE 's/.*file=(lib(curl|git2)[^ ]*).*generating link map.*/\1/p' | sort -u | tr '\n' ' '
	rm -f "$home"/loaded.*
}
if [ "$(uname -m)" != x86_64 ]; then skip "loaded late" "only where lib/os/lazy.gen can"; finish; fi
equals "version loads neither" "$(loads "$MLCTL" version)" ""
equals "validate loads neither" "$(loads "$MLCTL" validate)" ""
case $(loads "$MLCTL" build) in libgit2*) pass "build loads libgit2 alone" ;; *) flunk "build loads libgit2 alone" "$out" "$err" ;; esac
says "and git's facts are there" "$out" "from commit $(git rev-parse --short=7 HEAD)"
printf 'image: 127.0.0.1:1/team/bc\nregistry: {insecure: true}\n' >> mlctl.yaml
case $(loads timeout 60 "$MLCTL" push) in *libcurl*) pass "push loads libcurl" ;; *) flunk "push loads libcurl" "$out" "$err" ;; esac
says "and asks with it" "$err" '127.0.0.1:1'
finish
