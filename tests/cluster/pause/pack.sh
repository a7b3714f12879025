#!/usr/bin/env bash
# pack.sh PROGRAM NAME OUT.tar: an OCI layout with one image that holds one static program, as `ctr images import` wants it.
set -eu
program=$1 name=$2 out=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root" "$work/layout/blobs/sha256"
pack() { tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$1" -cf "$2" .; }
# add FILE TYPE [more members]: the file as a blob; its descriptor on stdout.
add() {
	local digest
	digest=$(sha256sum "$1" | cut -d' ' -f1)
	cp "$1" "$work/layout/blobs/sha256/$digest"
	printf '{"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%d%s}' "$2" "$digest" "$(stat -c %s "$1")" "${3:-}"
}

install -m 755 "$program" "$work/root/"
pack "$work/root" "$work/layer"
printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["/%s"],"User":"65534:65534"},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
	"$(dpkg --print-architecture)" "$(basename "$program")" "$(sha256sum "$work/layer" | cut -d' ' -f1)" >"$work/config"
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' \
	"$(add "$work/config" config.v1+json)" "$(add "$work/layer" layer.v1.tar)" >"$work/manifest"
printf '{"schemaVersion":2,"manifests":[%s]}' \
	"$(add "$work/manifest" manifest.v1+json ",\"annotations\":{\"io.containerd.image.name\":\"$name\",\"org.opencontainers.image.ref.name\":\"${name##*:}\"}")" \
	>"$work/layout/index.json"
printf '{"imageLayoutVersion":"1.0.0"}' >"$work/layout/oci-layout"
pack "$work/layout" "$out"
