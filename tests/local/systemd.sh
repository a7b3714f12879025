#!/usr/bin/env bash
# Where systemd runs, the supervisor is a unit of it. A systemd of our own for that, in name spaces of our own: root only, and not where one runs already.
if [ -z "${IN_NAMESPACE:-}" ]; then
	. "$(dirname "$0")/lib.sh"
	why=
	[ "$(id -u)" = 0 ] || why="needs root"
	[ -x /lib/systemd/systemd ] && [ -x /usr/bin/systemctl ] || why="systemd is not installed"
	[ ! -e /run/systemd/system ] || why="systemd runs here already"
	unshare -mpCf --mount-proc true 2>/dev/null || why="no name spaces"
	[ -z "$why" ] || { skip "the supervisor as a systemd unit" "$why"; finish; }
	IN_NAMESPACE=1 unshare -mpCf --mount-proc bash "$0"; code=$?
	rmdir /sys/fs/cgroup/systemd/app.slice/* /sys/fs/cgroup/systemd/{app.slice,init.scope} 2>/dev/null
	exit $code
fi
. "$(dirname "$0")/lib.sh"
mount -t tmpfs none /run && mkdir -p /run/systemd/system /run/user/0 && chmod 700 /run/user/0
export XDG_RUNTIME_DIR=/run/user/0 MLCTL_USER_UNIT=1
/lib/systemd/systemd --user --log-target=console >"$home/systemd.log" 2>&1 &
for _ in $(seq 50); do [ -S "$XDG_RUNTIME_DIR/systemd/private" ] && break; sleep 0.1; done
systemctl --user list-units >/dev/null 2>&1 || { skip "the supervisor as a systemd unit" "systemd does not start in here"; finish; }

service 1s 20
unit=mlctl-breast-cancer-local.service
well() { for _ in $(seq 100); do [ "$(status_of health)" = HEALTHY ] && return 0; sleep 0.1; done; return 1; }
exits "deploy" 0 "$MLCTL" deploy --json
[ "$(json_field "$out" outcome)" = DONE ] || finish
equals "a unit runs" "$(systemctl --user is-active $unit)" active
equals "and comes with the machine" "$(systemctl --user is-enabled $unit)" enabled
supervisor=$(supervisor_pid)
equals "it is the supervisor" "$(systemctl --user show -P MainPID $unit)" "$supervisor"
kill -9 "$supervisor"
sleep 0.2
well && pass "systemd brings it back" || flunk "systemd brings it back" "$home/status" "$home/systemd.log"
cp "$MLCTL" "$home/mlctl-next" && printf x >>"$home/mlctl-next"
supervisor=$(supervisor_pid)
exits "another mlctl takes over" 0 "$home/mlctl-next" deploy --force
equals "the unit has not noticed" "$(systemctl --user show -P MainPID $unit)" "$supervisor"
systemctl --user stop $unit
equals "stopped by hand: no process is left" "$(runners)" ""
equals "and status says so" "$(status_of health)" DOWN
exits "the next deploy starts it again" 0 "$MLCTL" deploy
equals "as a unit" "$(systemctl --user is-active $unit)" active
exits "destroy" 0 "$MLCTL" destroy --yes
equals "no unit is left" "$(find "$XDG_CONFIG_HOME" -name '*.service' | wc -l) $(systemctl --user is-active $unit)" "0 inactive"
equals "no process is left" "$(runners)" ""

# A systemd that does not read our folder: it serves all the same, and leaves nothing there.
export XDG_CONFIG_HOME=$home/elsewhere
exits "deploy where systemd will not have the unit" 0 "$MLCTL" deploy
equals "healthy" "$(status_of health)" HEALTHY
equals "no unit file" "$(find "$home/elsewhere" -name '*.service' | wc -l)" 0
exits "destroy" 0 "$MLCTL" destroy --yes
finish
