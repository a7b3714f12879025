# What the tests of target local share: a project on a free port, versions to deploy, somebody who uses the service, looking at what runs.
. "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh"

# The first of 100 free ports from a random place below the ephemeral range: other tests run beside this one.
free_port() {
	local port=$((20000 + RANDOM % 120 * 100))
	while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 100)); done
	echo "$port"
}
# service SECONDS REQUESTS: the example as a project on a port of its own, v1 checked out, nothing deployed. A canary bakes so long.
service() {
	port=$(free_port)
	project breast-cancer "logistic regression" || exit 1
	cp model.onnx golden.jsonl versions/ # v1, to come back to
	sed -i "s/port: 8080/port: $port/; s/for: 10s/for: $1/; s/minRequests: 50/minRequests: $2/" mlctl.yaml
	git commit -qam "other port"
	state=$XDG_STATE_HOME/mlctl/breast-cancer/local
}
# version v1|v2|v3-bad: its files in the project, not committed (a dirty tree is no reason to stop)
version() { if [ "$1" = v1 ]; then cp versions/model.onnx versions/golden.jsonl .; else cp "versions/$1"/* .; fi; }
# Without stopping anybody: the pids of a process's children, by name.
children_of() { ps -o pid= --ppid "$1" 2>/dev/null | tr -d ' ' | sort -n | xargs; }
supervisor_pid() { fuser_of "$state/supervisor.lock"; }
# Who holds a flock on this file (the kernel's own table: no tool needed).
fuser_of() {
	local inode; inode=$(stat -c %i "$1" 2>/dev/null) || return 1
	awk -v inode="$inode" '$2 == "FLOCK" { split($6, part, ":"); if (part[3] == inode) print $5 }' /proc/locks | head -1
}
# Every process that serves from this test's folder, whoever its parent is.
runners() { ps -eo pid=,args= | here="$home/" awk 'index($0, "mlctl-runner serve --model " ENVIRON["here"]) { print $1 }' | xargs; }
# ... without those that were told to drain: a connection that somebody keeps open lets them live on for 10 s.
serving() {
	local draining; draining=$(sed -nE 's/^[^ ]+ ([^ ]+): draining$/\1/p' "$state/events.log" | while read -r name; do
		sed -nE "s/.* $name: started, pid ([0-9]+),.*/\\1/p" "$state/events.log"; done)
	for p in $(runners); do case " $(echo $draining) " in *" $p "*) ;; *) echo "$p" ;; esac; done | xargs
}
status_of() { "$MLCTL" status --service breast-cancer --json >"$home/status" 2>&1; json_field "$home/status" "$1"; }

# wrk with the recorded requests, round robin; counts answers by status and by Mlctl-Revision. With LIMIT it stops after so many.
has_wrk() { command -v wrk >/dev/null; }
write_lua() {
	cat > "$home/traffic.lua" <<-'LUA'
	local threads = {}
	function setup(thread) threads[#threads + 1] = thread end
	function init(args)
		rows, at, seen, revisions, codes, limit = {}, 0, 0, "", "", tonumber(args[2] or "0")
		for line in io.lines(args[1]) do
			rows[#rows + 1] = wrk.format("POST", "/predict", {["Content-Type"] = "application/json"}, line)
		end
		by_revision, by_code = {}, {}
	end
	function delay() return limit > 0 and 1 or 4 end
	function request() at = at % #rows + 1; return rows[at] end
	function response(status, headers, body)
		if limit > 0 and seen >= limit then return end
		seen = seen + 1
		local revision = headers["Mlctl-Revision"] or headers["mlctl-revision"] or "none"
		by_revision[revision] = (by_revision[revision] or 0) + 1
		by_code[status] = (by_code[status] or 0) + 1
		revisions, codes = "", ""
		for k, v in pairs(by_revision) do revisions = revisions .. " " .. k .. "=" .. v end
		for k, v in pairs(by_code) do codes = codes .. " code" .. k .. "=" .. v end
		if limit > 0 and seen >= limit then wrk.thread:stop() end
	end
	function done(summary)
		local e = summary.errors
		local text = "socket=" .. (e.connect + e.read + e.write + e.timeout) .. " connect=" .. e.connect .. " read=" .. e.read .. " write=" .. e.write ..
			" timeout=" .. e.timeout .. " status=" .. e.status
		for _, t in ipairs(threads) do text = text .. " seen=" .. t:get("seen") .. t:get("codes") .. t:get("revisions") end
		print("result " .. text)
	end
	LUA
}
# load_start PORT|HOST:PORT: until load_stop; then `load_result NAME` is a number of the last run: seen, socket, code200, v-...
load_start() {
	local at=$1
	case $at in *:*) ;; *) at=127.0.0.1:$at ;; esac
	wrk -t1 -c16 -d600s --timeout 10s -s "$home/traffic.lua" "http://$at" -- "$PWD/traffic.jsonl" >"$home/load" 2>&1 &
	load=$!
	children="$children $load"
}
load_stop() { sleep 0.3; kill -INT "$load"; wait "$load"; grep '^result' "$home/load" | sed 's/^/# /'; }
number_in() { local n; n=$(sed -nE "/^result/s/.* $2=([0-9]+).*/\1/p" "$1"); echo "${n:-0}"; }
# no_failure NAME: of the last load, every request was answered with 200
no_failure() {
	local seen good socket
	seen=$(number_in "$home/load" seen) good=$(number_in "$home/load" code200) socket=$(number_in "$home/load" socket)
	if [ "$seen" -gt 500 ] && [ "$seen" = "$good" ] && [ "$socket" = 0 ]; then pass "$1: none of $seen requests failed"
	else flunk "$1: of $seen requests $good were good, $socket socket errors" "$home/load"; fi
}
# Somebody who uses the service in the background, one request after the other; traffic_stop counts: $asked, $failed (listed in $home/failed).
traffic_start() {
	local address=$1
	rm -f "$home/stop"; : >"$home/codes"
	while IFS= read -r line; do
		printf 'url = "%s/predict"\nheader = "Content-Type: application/json"\nmax-time = 10\ndata-raw = "%s"\noutput = /dev/null\nwrite-out = "%%{http_code} %%{errormsg}\\n"\nnext\n' \
			"$address" "$(printf '%s' "$line" | sed 's/"/\\"/g')"
	done < <(head -100 traffic.jsonl) >"$home/traffic.curl"
	while [ ! -e "$home/stop" ]; do curl -s --rate 300/s -K "$home/traffic.curl" >>"$home/codes" 2>/dev/null; sleep 0.05; done &
	user=$!
	children="$children $user"
}
traffic_stop() {
	touch "$home/stop"; wait "$user"
	asked=$(wc -l <"$home/codes")
	grep -v '^200' "$home/codes" >"$home/failed"
	failed=$(wc -l <"$home/failed")
}
