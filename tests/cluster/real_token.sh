#!/usr/bin/env bash
# The credential is revoked in the middle of a canary. A fresh one in its place, as a program that rotates tokens writes it, and the deploy goes on as if
# nothing had been; without one it stops, says so with the fix, exit 5, the traffic goes back by itself, and the next deploy with a fresh one goes on.
. "$(dirname "$0")/lib.sh"
is_simulated && { skip "tokens that expire, on a cluster" "simulated pods answer nothing"; finish; }
cluster_service 2s 10
sed -i 's/weight: 10%/weight: 50%/; s/^  min: 2.*/  min: 1/' mlctl.yaml; git commit -qam "one replica"
in_ns create serviceaccount deployer >/dev/null && in_ns create rolebinding deployer --clusterrole=cluster-admin "--serviceaccount=$namespace:deployer" >/dev/null
# A token is bound to a Secret, and revoked the moment that goes; the API server may believe in it for 10 s more.
turn=0
new_token() { # into $home/token, as a whole
	turn=$((turn + 1))
	in_ns create secret generic "bound-$turn" >/dev/null
	in_ns create token deployer --bound-object-kind Secret --bound-object-name "bound-$turn" >"$home/token.new" && mv "$home/token.new" "$home/token"
}
revoke() { in_ns delete secret "bound-$turn" >/dev/null; }
new_token
kubectl config view --raw --minify -o json | jq --arg file "$home/token" '.users = [{name: "account", user: {tokenFile: $file}}] | .contexts[0].context.user = "account"' >"$home/by-file"
printf '#!/bin/sh\necho run >>"%s"\nprintf '"'"'{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {"token": "%%s"}}'"'"' "$(cat "%s")"\n' "$home/runs" "$home/token" >"$home/plugin"
chmod 755 "$home/plugin"
jq --arg command "$home/plugin" '.users = [{name: "account", user: {exec: {apiVersion: "client.authentication.k8s.io/v1", command: $command, interactiveMode: "Never"}}}]' "$home/by-file" >"$home/by-plugin"
as() { # FILE COMMAND...
	local file=$home/$1; shift
	env KUBECONFIG="$file" MLCTL_CREDENTIAL_HELPERS="$home/plugin" "$MLCTL" "$@"
}
is_refused() { ! kubectl --kubeconfig "$home/$1" get pods -n "$namespace" >/dev/null 2>&1; }
exits "deploy v1" 0 as by-file deploy --json
v1=$(json_field "$out" serving)
# begin FILE VERSION: a deploy with this kubeconfig whose canary bakes for 25 s, and in its middle the token is revoked for good
begin() {
	version "$2"; sed -i "s/for: [0-9]*s/for: ${3:-25s}/" mlctl.yaml
	as "$1" deploy --json --events json >"$out" 2>"$err" </dev/null &
	deploy=$!
	children="$children $deploy"
	within 60 grep -q '"event":"bake"' "$err" || flunk "it bakes" "$err"
	revoke
	comes_true "$1: the token is refused" 20 is_refused "$1"
}
for kind in by-file by-plugin; do
	v=v2; [ $kind = by-plugin ] && v=v1
	: >"$home/runs"
	begin $kind $v
	comes_true "$kind: the deploy is refused too, and says that it waits" 25 grep -q '"event":"waiting".*credential' "$err"
	new_token
	wait $deploy
	equals "$kind: with a fresh token it goes on" $? 0
	equals "$kind: and is done" "$(json_field "$out" outcome)" DONE
	[ $kind = by-file ] || { [ "$(wc -l <"$home/runs")" -ge 2 ] && pass "the plugin was asked again" || flunk "the plugin was asked again: $(wc -l <"$home/runs")"; }
	exits "$kind: healthy" 0 as $kind status --exit-code
done

before=$(json_field "$home/out" serving)
begin by-file v2 120s
began=$SECONDS
wait $deploy; code=$?
equals "without a fresh token: exit 5" $code 5
[ $((SECONDS - began)) -lt 75 ] && pass "after $((SECONDS - began)) s" || flunk "soon: $((SECONDS - began)) s"
says "it says where it stopped" "$out" '"message": ".*stopped in BAKE.*next deploy goes on'
says "and that the credential was refused" "$out" 'does not take the credential of user'
says "and the fix" "$out" '"fix": ".*log in again'
exits "status with it" 5 as by-file status
new_token
exits "status with a fresh one" 0 as by-file status
says "tells the candidate that nobody drives" "$out" 'candidate +r4 .*nobody drives it'
address=$(address_of breast-cancer)
stable=$(in_ns get deployment breast-cancer -o 'jsonpath={.metadata.labels.mlctl\.dev/revision}')
head -1 traffic.jsonl >"$home/request"
only_stable() { [ "$(for _ in $(seq 20); do curl -s -o /dev/null -D - -H 'Content-Type: application/json' -d @"$home/request" "http://$address/predict"; done | tr -d '\r' | sed -nE 's/^[Mm]lctl-[Rr]evision: //p' | sort -u)" = "$stable" ]; }
comes_true "the traffic goes back by itself" 70 only_stable
sed -i 's/for: 120s/for: 2s/' mlctl.yaml
exits "the next deploy goes on" 0 as by-file deploy --json --events json
says "where it stopped" "$err" 'goes on: it stopped in BAKE'
exits "healthy" 0 as by-file status --exit-code
# Where the token is refused from the start nothing waits.
revoke; comes_true "refused again" 20 is_refused by-file
began=$SECONDS
exits "a deploy with a token that was never good: exit 5" 5 as by-file deploy --json
[ $((SECONDS - began)) -lt 10 ] && pass "at once" || flunk "at once: $((SECONDS - began)) s"
finish
