#!/usr/bin/env bash
# What the published schemas are made of, from the package registries.
#
#   tests/wire/kubernetes/schema/sources.sh FOLDER        all that lib/kube/schema.gen reads (300 MB, a minute)
#   tests/wire/kubernetes/schema/sources.sh crds FOLDER   the custom resources alone, for an API server: FOLDER/crd/*.yaml
#   tests/wire/kubernetes/schema/sources.sh judge FOLDER  kubernetes-validate and what it needs, as a PYTHONPATH
#
# To take a newer Kubernetes in: the versions below, LAST in schema.gen, then
#   tests/wire/kubernetes/schema/sources.sh /tmp/sources && lib/kube/schema.gen /tmp/sources > lib/kube/schema.inc
# PyPI and the Go module proxy are asked by pip and go. Ends with 77 where there is no Go or no pip.
set -eu
VALIDATE=1.37.0    # PyPI kubernetes-validate: the OpenAPI of every version since 1.25
API=v0.37.0        # k8s.io/api: the enums
GATEWAY=v1.6.3     # sigs.k8s.io/gateway-api: its CRDs
OPERATOR=v0.95.2   # github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring: types that controller-gen makes CRDs of
CONTROLLER_GEN=v0.19.0

what=all
case ${1:-} in crds | judge) what=$1; shift ;; esac
[ $# = 1 ] || { echo "usage: $0 [crds | judge] FOLDER" >&2; exit 2; }
mkdir -p "$1"
cd "$1"

# The folder that a module is unpacked in.
module() { go mod download -json "$1" | sed -nE 's/^\t"Dir": "(.*)",?$/\1/p'; }
crds() {
	[ ! -s crd/monitoring.coreos.com_servicemonitors.yaml ] || return 0
	command -v go >/dev/null || exit 77
	local gateway operator
	printf 'module sources\n\ngo 1.24\n' >go.mod
	gateway=$(module "sigs.k8s.io/gateway-api@$GATEWAY")
	operator=$(module "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring@$OPERATOR")
	GOFLAGS='' GOBIN=$PWD/bin go install "sigs.k8s.io/controller-tools/cmd/controller-gen@$CONTROLLER_GEN"
	rm -rf monitoring made
	cp -r "$operator" monitoring
	chmod -R u+w monitoring
	(cd monitoring && ../bin/controller-gen crd:crdVersions=v1 paths=./v1/... output:crd:dir=../made)
	mkdir -p crd
	cp "$gateway/config/crd/standard/gateway.networking.k8s.io_httproutes.yaml" made/monitoring.coreos.com_prometheusrules.yaml crd/
	cp made/monitoring.coreos.com_servicemonitors.yaml crd/ # last: its presence says that all are there
}
case $what in
crds) crds ;;
judge)
	[ ! -e judge/done ] || exit 0
	command -v pip >/dev/null || exit 77
	pip install -q --disable-pip-version-check --root-user-action ignore --target judge "kubernetes-validate==$VALIDATE"
	touch judge/done
	;;
all)
	crds
	command -v pip >/dev/null || exit 77
	pip download -q --disable-pip-version-check --no-deps -d wheel "kubernetes-validate==$VALIDATE"
	python3 -m zipfile -e wheel/kubernetes_validate-*.whl unpacked
	ln -sfn unpacked/kubernetes_validate/kubernetes-json-schema kubernetes-json-schema
	ln -sfn "$(module "k8s.io/api@$API")" api
	;;
esac
