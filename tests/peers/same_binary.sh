#!/usr/bin/env bash
# Two builds of the same sources in different folders, in another zone, locale and umask, with other jobs, give the same programs to the byte: a
# manifest's digest holds the runner, so two machines agree on it only if they agree on the runner.
. "$(dirname "$0")/lib.sh"

build_in() { # build_in FOLDER MAKE-OPTIONS...: of what is in the working tree and known to git
	local folder=$1
	shift
	mkdir -p "$folder" && (cd "$ROOT" && git ls-files -z | while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done |
		tar --null -T - -cf -) | tar -xf - -C "$folder" && env -u MAKEFLAGS -u MFLAGS make -s -C "$folder" "$@"
}
if ! git -C "$ROOT" rev-parse --git-dir >/dev/null 2>&1; then
	skip "two builds give one binary" "no git checkout"
	finish
fi
check "a build in one folder" build_in "$WORK/a" -j"$(nproc)"
check "a build in another" env TZ=Asia/Tokyo LC_ALL=C.UTF-8 bash -c "umask 077; $(declare -f build_in); ROOT='$ROOT'; build_in '$WORK/somewhere/else/entirely' -j1"
for program in mlctl mlctl-runner; do
	same "$program is the same to the byte" "$(sha256sum <"$WORK/a/build/$program")" "$(sha256sum <"$WORK/somewhere/else/entirely/build/$program")"
done
check "no folder of the build is in it" bash -c "! grep -qF '$WORK' '$WORK/a/build/mlctl' '$WORK/a/build/mlctl-runner'"
finish
