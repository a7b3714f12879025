#!/usr/bin/env bash
# Distinct secrets are planted wherever a user has them; then everything is run, as loudly as it can be, and every byte that came out of it is
# searched for each of them: plain, URL-encoded, and in base64 at its three offsets.
. "$(dirname "$0")/lib.sh"

# Where it was planted -> the secret. The characters are those that JSON, URLs and shells treat specially.
declare -A planted=(
	[environment-token]='tok_Zk3vQ8mW1nRb7'
	[environment-secret]='aws+Xc9/Lq2=Vt6&Yh4'
	[environment-password]='db"quoted\pass%word7'
	[environment-other]='plainvalue-Gn5sKd8wPz'
	[registry-password]='reg:Pw/8+zQx?3=Mn"1'
	[config-json]='cfg~Ht5!Rw9#Bd2$Jf'
	[config-json-elsewhere]='other-Lp7uYc4vEx'
	[dotenv]='dotenv-Sf6kQa3jWt'
	[private-key]='MIIEkey0Nv8rTz5hUb'
	[cloud-folder]='cloud-Dm2xGe9qOi'
	[git-remote]='ghp_Wb4Jt8Ks1LmXv6'
	[proxy]='pxy-Ue2oMb6rHz'
	[git-remote-query]='query-Rj3nCq7fAy'
)
forms() { # every form in which a text can be found, one a line
	local text=$1 encoded lower shift
	printf '%s\n' "$text"
	printf "%s" "$text" | od -An -v -tx1 | tr -d "\n" | tr " a-f" "%A-F" # every byte escaped
	encoded='' lower=''
	for ((i = 0; i < ${#text}; i++)); do
		local c=${text:i:1}
		case $c in [A-Za-z0-9._~-]) encoded+=$c lower+=$c ;; *) encoded+=$(printf '%%%02X' "'$c"); lower+=$(printf '%%%02x' "'$c") ;; esac
	done
	printf '%s\n%s\n' "$encoded" "$lower"
	printf '%s\n' "$text" | sed 's/\\/\\\\/g; s/"/\\"/g' # as JSON writes it
	for shift in '' A AA; do
		local code cut=$((${#shift} ? ${#shift} + 1 : 0)) # the first characters depend on what is before, the last on what follows
		code=$(printf '%s%s' "$shift" "$text" | base64 -w0 | tr -d =)
		code=${code:cut:$((${#code} - cut - 1))}
		printf '%s\n%s\n' "$code" "$(printf '%s' "$code" | tr '+/' '-_')"
	done
}
mkdir "$home/forms" "$home/said"
for place in "${!planted[@]}"; do forms "${planted[$place]}" | sort -u >"$home/forms/$place"; done
# found PLACE PATH...: the files that hold a form of it
found() { local place=$1; shift; grep -rlaFf "$home/forms/$place" "$@" 2>/dev/null; }
mkdir "$home/twin"
for place in "${!planted[@]}"; do
	printf 'x%s' "$(printf 'user:%s' "${planted[$place]}" | base64 -w0)" >"$home/twin/$place"
	[ -n "$(found "$place" "$home/twin/$place")" ] || flunk "the search finds the secret of $place in base64"
done
pass "the search finds what is there"

# A project whose model is a folder with things in it that are nobody's business.
port=$(free_port)
project breast-cancer "a model" || exit 1
mkdir -p model/.aws model/keys
git mv model.onnx model/model.onnx
cp versions/v2/golden.jsonl "$home/golden2"; cp versions/v2/model.onnx "$home/model2"; cp versions/v3-bad/model.onnx "$home/model3"; cp versions/v3-bad/golden.jsonl "$home/golden3"
sed -i "s/path: model.onnx/path: model/; s/port: 8080/port: $port/; s/for: 10s/for: 1s/; s/minRequests: 50/minRequests: 30/" mlctl.yaml
echo "DATABASE=${planted[dotenv]}" | tee .env >model/.env
printf -- '-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n' "${planted[private-key]}" | tee model/id_rsa model/keys/server.key >key.pem
printf '[default]\naws_secret_access_key=%s\n' "${planted[cloud-folder]}" >model/.aws/credentials
git remote add origin "https://bob:${planted[git-remote]}@git.example.com/team/model.git?token=${planted[git-remote-query]}"
git add -A && git commit -qm "a folder"

export CI_JOB_TOKEN=${planted[environment-token]} AWS_SECRET_ACCESS_KEY=${planted[environment-secret]} DB_PASSWORD=${planted[environment-password]}
export SOME_NAME=${planted[environment-other]} DOCKER_CONFIG=$home/docker
mkdir -m 700 "$DOCKER_CONFIG"
credentials() { # credentials HOST
	printf '{"auths":{"%s":{"auth":"%s"},"other.example.com":{"username":"x","password":"%s"}}}' "$1" \
		"$(printf 'config:%s' "${planted[config-json]}" | base64 -w0)" "${planted[config-json-elsewhere]}" >"$DOCKER_CONFIG/config.json"
}
credentials registry.example.com

# Every command line and every environment of ours that is ever seen, while it all runs.
watch_processes() {
	while [ ! -e "$home/stop" ]; do
		for process in /proc/[0-9]*; do
			# shellcheck disable=SC2094
			cat "$process/cmdline" 2>/dev/null | tr "\\0" " " | grep -aF -e "$home" -e "$MLCTL" | grep -av -- --reason # what a user types is seen by everybody
		done >>"$home/said/cmdline"
		sleep 0.05
	done
}
watch_processes 2>/dev/null & children="$children $!"

turn=0
# loud CODES COMMAND...: as loud as it gets, everything kept
loud() {
	local codes=$1 verb=$2; shift
	turn=$((turn + 1))
	local trace=$home/said/trace
	case " $* " in *" -v "*) trace= ;; esac # then it goes to stderr
	env ${trace:+"MLCTL_TRACE=$trace"} "$MLCTL" "$@" >"$home/said/$turn.$verb.out" 2>"$home/said/$turn.$verb.err" </dev/null
	local code=$?
	case " $codes " in *" $code "*) ;; *) flunk "$* (exit $code, expected $codes)" "$home/said/$turn.$verb.out" "$home/said/$turn.$verb.err" ;; esac
}
louder() { local codes=$1; shift; loud "$codes" "$@" -v; loud "$codes" "$@" -v --json; loud "$codes" "$@" --json --events json; }

# 1. With a registry that asks for a password: from the environment, then from config.json.
if command -v docker-registry >/dev/null && command -v htpasswd >/dev/null; then
	mkdir "$home/blobs"
	{ htpasswd -Bbn -C 4 env "${planted[registry-password]}"; htpasswd -Bbn -C 4 config "${planted[config-json]}"; } >"$home/htpasswd" 2>/dev/null
	printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage:\n  filesystem: {rootdirectory: %s}\nauth: {htpasswd: {realm: r, path: %s}}\nhttp:\n  addr: 127.0.0.1:0\n  debug: {addr: ""}\n' \
		"$home/blobs" "$home/htpasswd" | sed '/debug/d; s/level: error/level: info/' >"$home/registry.yml"
	docker-registry serve "$home/registry.yml" >"$home/registry.log" 2>&1 & children="$children $!"
	for _ in $(seq 100); do grep -q 'listening on' "$home/registry.log" && break; sleep 0.05; done
	registry=$(sed -nE 's/.*listening on (127\.0\.0\.1:[0-9]+).*/\1/p' "$home/registry.log" | head -1)
	cp mlctl.yaml "$home/plain.yaml"
	sed -i "s|^name:.*|&\nimage: $registry/team/model\nregistry: {insecure: true}|" mlctl.yaml
	MLCTL_REGISTRY_USERNAME=env MLCTL_REGISTRY_PASSWORD=${planted[registry-password]} louder 0 push
	MLCTL_REGISTRY_USERNAME=env MLCTL_REGISTRY_PASSWORD="${planted[registry-password]}x" louder 5 push
	credentials "$registry"
	git commit -q --allow-empty -m "another commit"
	louder 0 push
	printf '%s' "${planted[registry-password]}" >"$home/password"
	MLCTL_TRACE=$home/said/trace "$MLCTL" login "$registry" -v --json --username env --password-stdin <"$home/password" >"$home/said/login.out" 2>"$home/said/login.err" ||
		flunk "login" "$home/said/login.err"
	loud 0 push -v
	MLCTL_REGISTRY_USERNAME=env MLCTL_REGISTRY_PASSWORD=${planted[registry-password]} louder 0 deploy
	MLCTL_REGISTRY_USERNAME=env MLCTL_REGISTRY_PASSWORD=${planted[registry-password]} louder 0 destroy --yes
	cp "$home/plain.yaml" mlctl.yaml
	pass "pushed to and deployed from a registry with a password"
else skip "pushed to and deployed from a registry with a password" "no docker-registry or htpasswd"; fi

# 2. A registry that repeats in its errors what it was told.
if python3 -c 'import http.server' 2>/dev/null; then
	cat >"$home/parrot.py" <<-'P'
	import base64, http.server, json, sys
	class Parrot(http.server.BaseHTTPRequestHandler):
	    def answer(self):
	        length = int(self.headers.get("Content-Length") or 0)
	        self.rfile.read(length)
	        said = self.headers.get("Authorization")
	        if not said:
	            self.send_response(401)
	            self.send_header("WWW-Authenticate", 'Basic realm="parrot"')
	            body = b""
	        else:
	            password = base64.b64decode(said.split()[1]).decode().split(":", 1)[1]
	            self.send_response(404 if self.command == "HEAD" else int(sys.argv[1]))
	            self.send_header("X-Told", said)
	            self.send_header("Location", "/v2/upload?password=" + password.replace("\n", ""))
	            body = json.dumps({"errors": [{"code": "DENIED", "message": "no " + password + " and " + said, "detail": {"p": password}}]}).encode()
	        self.send_header("Content-Length", str(len(body)))
	        self.end_headers()
	        if self.command != "HEAD":
	            self.wfile.write(body)
	    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = answer
	    def log_message(self, *args): pass
	server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Parrot)
	print(server.server_port, flush=True)
	server.serve_forever()
	P
	cp mlctl.yaml "$home/plain.yaml"
	for status in 403 400 202; do
		python3 "$home/parrot.py" $status >"$home/parrot" 2>/dev/null & children="$children $!"
		for _ in $(seq 100); do [ -s "$home/parrot" ] && break; sleep 0.05; done
		sed "s|^name:.*|&\nimage: 127.0.0.1:$(cat "$home/parrot")/team/model\nregistry: {insecure: true}|" "$home/plain.yaml" >mlctl.yaml
		MLCTL_REGISTRY_USERNAME=env MLCTL_REGISTRY_PASSWORD=${planted[registry-password]} louder "0 1 5 6" push
		kill "${children##* }"; : >"$home/parrot"
	done
	cp "$home/plain.yaml" mlctl.yaml
	grep -q '\*\*\*' "$home"/said/*.push.err && pass "a registry that repeats credentials is shown redacted" || flunk "a registry that repeats credentials is shown redacted" "$home/said/$turn.push.err"
else skip "a registry that repeats credentials" "no python3"; fi

# A proxy that curl does not know, and says so with its whole URL.
cp mlctl.yaml "$home/plain.yaml"
sed -i 's|^name:.*|&\nimage: registry.example.com/team/model|' mlctl.yaml
https_proxy="nonsense://bob:${planted[proxy]}@127.0.0.1:1" loud 6 push -v
cp "$home/plain.yaml" mlctl.yaml

# 3. A service's life with the layout that stands in for a registry.
export MLCTL_REGISTRY_USERNAME=env MLCTL_REGISTRY_PASSWORD=${planted[registry-password]}
git commit -qam "settings" --allow-empty
louder 0 validate
louder 0 build
louder 0 push
louder 0 deploy
loud 0 predict -v
cp "$home/model2" model/model.onnx; cp "$home/golden2" golden.jsonl
loud 0 deploy -v --json --events json --reason "with ${planted[environment-token]} in its reason"
louder 0 predict
louder 0 status
cp "$home/model3" model/model.onnx; cp "$home/golden3" golden.jsonl
( while [ ! -e "$home/stop" ]; do while read -r line; do curl -s -o /dev/null -d "$line" "http://127.0.0.1:$port/predict"; done <traffic.jsonl; done ) 2>/dev/null & children="$children $!"
loud "9 11" deploy -v
loud 0 history -v
loud 0 history --json
loud 0 history r3 --evidence
loud 0 logs -v --lines 1000
loud 0 logs --json
loud 0 rollback -v --events json --json
loud 0 freeze -v --json --reason "x ${planted[environment-secret]} y"
loud 0 unfreeze -v --json
loud 0 status
sleep 0.3
for process in /proc/[0-9]*; do # what lives on must not even hold them
	cat "$process/cmdline" 2>/dev/null | tr "\\0" " " | grep -aqF "$home" || continue
	cat "$process/cmdline" 2>/dev/null | tr "\\0" " " | grep -aqE 'supervise|mlctl-runner' || continue
	cat "$process/environ" 2>/dev/null | tr "\\0" "\\n" >"$home/said/environ.$(basename "$process")"
done
[ "$(ls "$home"/said/environ.* 2>/dev/null | wc -l)" -ge 2 ] && pass "supervisor and replicas were looked at" || flunk "supervisor and replicas were looked at"
MLCTL_TRACE=/dev/null "$MLCTL" destroy --yes -v >"$home/said/destroy.out" 2>"$home/said/destroy.err" </dev/null || flunk "destroy" "$home/said/destroy.err"
touch "$home/stop"

grep -qa 'mlctl' "$home/said/cmdline" && pass "command lines were seen: $(sort -u "$home/said/cmdline" | wc -l) different ones" || flunk "command lines were seen"
[ -s "$home/said/trace" ] && pass "the trace has $(wc -l <"$home/said/trace") lines" || flunk "there is a trace"
for place in "${!planted[@]}"; do
	where=$(found "$place" "$home/said" "$XDG_STATE_HOME" "$XDG_DATA_HOME" "$XDG_CACHE_HOME" "$XDG_CONFIG_HOME" "$home/blobs" .mlctl)
	[ -z "$where" ] && pass "the secret of $place is nowhere" || { printf '%s\n' "$where" >"$home/where"; grep -oaFhf "$home/forms/$place" -r $where 2>/dev/null | sort | uniq -c >>"$home/where"; flunk "the secret of $place is nowhere" "$home/where"; }
done
finish
