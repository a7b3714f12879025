# mlctl: `make deps demo`, `make test`; `make help` lists the rest.
# A room is a wildcard, a flavour is a folder under build/: adding a file edits nothing here.
VERSION  = 0.1.0
CC       ?= cc
CFLAGS   ?= -O2 -g
LDFLAGS  ?=
PREFIX   ?= /usr/local
DESTDIR  ?=
FLAVOUR  ?= release
SHARED   ?= $(abspath ../shared)
V        ?= 0
Q        = $(if $(filter 1,$(V)),,@)
MAKEFLAGS += --no-builtin-rules
# As many at once as there are processors, unless -j says otherwise.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 1)
endif

# What the build needs, as pkg-config names and as Debian 12's packages; the tests' own tools come on top.
PKGS      = zlib libcurl libcjson yaml-0.1 libgit2 libcrypto libssl
APT_BUILD = gcc libc6-dev pkg-config zlib1g-dev libcurl4-openssl-dev libcjson-dev libyaml-dev libgit2-dev libssl-dev
APT_TEST  = libcmocka-dev libasan8 libubsan1 curl procps

B     := build/$(FLAVOUR)
ROOMS := base os data embed net tmpl vcs oci kube cloud project build supervise target release
WARN  := -Wall -Wextra -Wconversion -Wno-sign-conversion -Wvla -Werror -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wundef
HARD  := -fstack-protector-strong -fstack-clash-protection -fno-common -fno-strict-aliasing -ffunction-sections -fdata-sections
SAME  := -ffile-prefix-map=$(CURDIR)=. # without a slash: the folder itself stands in the debug information too
CPPF  := -D_GNU_SOURCE -Ilib -Icli -I$(B) -include lib/base/banned.h -DMLCTL_VERSION='"$(VERSION)"'
LINK  := -Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,--as-needed

ifeq ($(FLAVOUR),release)
HARD  += -D_FORTIFY_SOURCE=2 -fcf-protection
PIE   := -fPIE
LINK  += -pie
RUNNER_LINK := -static-pie -Wl,--gc-sections -Wl,-z,relro,-z,now -s
endif
ifeq ($(FLAVOUR),san)
CFLAGS = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
LINK  += -fsanitize=address,undefined
endif
ifeq ($(FLAVOUR),coverage)
CFLAGS = -O0 -g --coverage
LINK  += --coverage
endif
ifeq ($(FLAVOUR),fuzz)
CC     = clang-14
CFLAGS = -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined
LINK  += -fsanitize=fuzzer,address,undefined
endif
RUNNER_LINK ?= $(LINK)

LIB_SRC    := $(foreach r,$(ROOMS),$(wildcard lib/$(r)/*.c))
RUNNER_SRC := $(wildcard lib/runner/*.c lib/runner/*/*.c)
CLI_SRC    := $(wildcard cli/*.c)
obj         = $(patsubst %.c,$(B)/%.o,$(1))

# Everything but a few goals needs the libraries; say what is missing and the line that installs it, never install. After `deps` in the same line
# nothing is asked: it comes first, and only then do the compiler's flags matter.
DEPS := $(filter deps,$(MAKECMDGOALS))
NEED := $(PKGS) $(if $(filter check test san coverage tests,$(MAKECMDGOALS)),cmocka)
ifeq ($(filter deps help clean dist format,$(MAKECMDGOALS)),)
MISSING := $(strip $(foreach p,$(firstword $(CC)) pkg-config,$(shell command -v $(p) >/dev/null 2>&1 || echo $(p))) \
  $(foreach p,$(NEED),$(shell pkg-config --exists $(p) 2>/dev/null || echo $(p))))
ifneq ($(MISSING),)
$(error missing: $(MISSING). Install what is needed with: make deps   (or: apt-get install $(APT_BUILD) $(APT_TEST)))
endif
endif
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
LIBS       = $(eval LIBS := $$(shell pkg-config --libs $(PKGS)) -lm)$(LIBS)

.DEFAULT_GOAL := all
.PHONY: all deps demo check test test-peers test-cluster test-cluster-light bench house san fuzz coverage install dist clean help format FORCE
all: build/mlctl build/mlctl-runner ## mlctl and its runner (never installs anything)

build/mlctl build/mlctl-runner: build/%: build/release/%
	$(Q)cmp -s $< $@ || install -m 755 $< $@
ifneq ($(FLAVOUR),release)
build/release/mlctl-runner: FORCE
	$(Q)$(MAKE) --no-print-directory FLAVOUR=release build/release/mlctl-runner
endif

$(B)/flags: FORCE | $(DEPS)
	$(Q)mkdir -p $(B); echo '$(CC) $(CFLAGS) $(VERSION)' | cmp -s - $@ || echo '$(CC) $(CFLAGS) $(VERSION)' > $@

$(B)/%.o: %.c $(B)/flags
	$(Q)mkdir -p $(@D)
	$(if $(Q),@echo "  cc    $<")
	$(Q)$(CC) -std=gnu17 $(CPPF) $(WARN) $(HARD) $(PIE) $(SAME) $(PKG_CFLAGS) $(CFLAGS) $(CPPFLAGS) -MMD -MP -c $< -o $@

# The runner, its digest and the templates are bytes inside mlctl; the list of templates is made here.
build/release/mlctl-runner.sha256: build/release/mlctl-runner
	$(Q)sum=$$(sha256sum $<) && printf %.64s "$$sum" > $@
TEMPLATES := $(shell cd templates 2>/dev/null && find . -type f ! -name '.*' | sed 's,^\./,,' | LC_ALL=C sort)
$(B)/embed_files.def: FORCE
	$(Q)mkdir -p $(B); n=0; for f in $(TEMPLATES); do echo "FILE($$n, \"$$f\")"; n=$$((n + 1)); done > $@.new; \
	  if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
$(call obj,$(wildcard lib/embed/*.c)): build/release/mlctl-runner build/release/mlctl-runner.sha256 $(B)/embed_files.def $(addprefix templates/,$(TEMPLATES))

$(B)/libmlctl.a: $(call obj,$(LIB_SRC))
	$(Q)rm -f $@ && ar rcsD $@ $^
$(B)/librunner.a: $(call obj,$(RUNNER_SRC))
	$(Q)rm -f $@ && ar rcsD $@ $^
# What the runner may link of the library: the ground and the strict JSON reader; never net/, cJSON or libcurl.
$(B)/libground.a: $(call obj,$(filter-out lib/data/value_json.c lib/data/value_yaml.c,$(foreach r,base os data,$(wildcard lib/$(r)/*.c))))
	$(Q)rm -f $@ && ar rcsD $@ $^

# libcurl and libgit2 are loaded when they are first called, where we know how to (lib/os/lazy.gen): two thirds of the time of `mlctl version` went into
# loading them. The tests' flavours link them, so that what is loaded late is the same code.
ifeq ($(FLAVOUR)-$(shell uname -m),release-x86_64)
LAZY    := $(B)/lazy.o
LAZYLIB  = $(eval LAZYLIB := $$(filter-out -lcurl -lgit2,$$(LIBS)))$(LAZYLIB)
# What vcs/git.c defines for libmbedx509 to find.
LAZYLINK = -Wl,--export-dynamic-symbol=mbedtls_x509_crt_parse_file
endif
soname = $(shell readelf -d "$$($(CC) -print-file-name=lib$(1).so)" 2>/dev/null | sed -n 's/.*SONAME.*\[\(.*\)\].*/\1/p')
$(B)/lazy.c: lib/os/lazy.gen $(call obj,lib/net/http_curl.c lib/vcs/git.c)
	$(Q)lib/os/lazy.gen $(call soname,curl)=$(call obj,lib/net/http_curl.c):curl_ $(call soname,git2)=$(call obj,lib/vcs/git.c):git_ > $@.new && mv $@.new $@
$(B)/lazy.o: $(B)/lazy.c
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) $(HARD) $(PIE) $(SAME) $(CFLAGS) -c $< -o $@
$(B)/mlctl: $(call obj,$(CLI_SRC)) $(LAZY) $(B)/libmlctl.a
	$(if $(Q),@echo "  link  $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(LINK) $(LAZYLINK) -o $@ $^ $(or $(LAZYLIB),$(LIBS))
$(B)/mlctl-runner: $(call obj,$(wildcard cli/runner/*.c)) $(B)/librunner.a $(B)/libground.a
	$(if $(Q),@echo "  link  $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(RUNNER_LINK) -o $@ $^ -lcrypto -lpthread -lm

# Unit tests: one binary a file, TAP out. Fuzz targets: libFuzzer in the fuzz flavour, a replay of the corpus in every other.
UNIT := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
$(B)/tests/%.o: CPPFLAGS += -Itests
$(B)/tests/unit/%: $(B)/tests/unit/%.o $(call obj,$(wildcard tests/fakes/*.c)) $(B)/librunner.a $(B)/libmlctl.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(LINK) -o $@ $^ -lcmocka $(LIBS) -lpthread
$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(if $(filter fuzz,$(FLAVOUR)),,$(B)/tests/fuzz/replay.o) $(B)/librunner.a $(B)/libmlctl.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(LINK) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS) -lpthread
$(B)/tests/fuzz/fuzz_argv: $(B)/cli/opt.o $(B)/cli/out.o
$(B)/tests/cluster/%: $(B)/tests/cluster/%.o $(B)/libmlctl.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(LINK) -o $@ $^ $(LIBS) -lpthread
.PRECIOUS: $(B)/%.o
.PHONY: binaries tests
binaries: $(B)/mlctl $(B)/mlctl-runner
tests: binaries $(UNIT) $(FUZZ)

san: all | $(DEPS) ## everything under ASan and UBSan, in build/san
	$(Q)$(MAKE) --no-print-directory FLAVOUR=san tests
house: ## who may include whom, one includer per library, banned calls, headers that stand alone
	$(Q)tests/check/house
check: all san ## the everyday tests, under a minute
	$(Q)SHARED="$(SHARED)" tests/run check
test: all san ## every test that needs no root and no network, under ASan and UBSan
	$(Q)SHARED="$(SHARED)" tests/run test
test-peers: all ## against other people's programs (registries, crane, skopeo, ...): installs them first
	$(Q)tests/peers/deps.sh && SHARED="$(SHARED)" tests/run peers
# Exit 77 of deps.sh: nothing to build a cluster with. The tier says so then, and skips.
test-cluster: all ## on a real Kubernetes node on this machine (root), or on yours: KUBECONFIG and REGISTRY; ONLY=PATTERN
	$(Q)$(MAKE) --no-print-directory FLAVOUR=san build/san/tests/cluster/kube_driver
	$(Q)tests/cluster/deps.sh || [ $$? = 77 ] && SHARED="$(SHARED)" tests/run cluster "$(ONLY)"
test-cluster-light: all ## on a real API server with simulated nodes (no root)
	$(Q)$(MAKE) --no-print-directory FLAVOUR=san build/san/tests/cluster/kube_driver
	$(Q)tests/cluster/deps.sh || [ $$? = 77 ] && SHARED="$(SHARED)" tests/run cluster-light "$(ONLY)"
bench: all ## speed and memory, side by side with what you would use instead
	$(Q)tests/peers/deps.sh && SHARED="$(SHARED)" tests/bench/run
demo: all ## a real model built, pushed, deployed, answering, canaried and rolled back
	$(Q)examples/demo
fuzz: all | $(DEPS) ## libFuzzer binaries in build/fuzz/tests/fuzz (clang)
	$(Q)$(MAKE) --no-print-directory FLAVOUR=fuzz fuzz-binaries
.PHONY: fuzz-binaries
fuzz-binaries: $(FUZZ)
coverage: all | $(DEPS) ## line coverage of the tests, in build/coverage
	$(Q)$(MAKE) --no-print-directory FLAVOUR=coverage tests && SHARED="$(SHARED)" FLAVOUR=coverage tests/run check
format: ## lays out the sources (clang-format 14)
	$(Q)clang-format-14 -i $(shell git ls-files '*.c' '*.h')

deps: ## installs what building and testing need (Debian 12, root or sudo)
	$(Q)need=""; for p in $(APT_BUILD) $(APT_TEST) make git; do \
	  dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || need="$$need $$p"; done; \
	if [ -z "$$need" ]; then echo "deps: everything is there"; exit 0; fi; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	if [ -n "$$sudo" ] && ! command -v sudo >/dev/null; then \
	  echo "deps: needs root, and there is no sudo. As root: apt-get update && apt-get install --no-install-recommends$$need" >&2; exit 1; fi; \
	echo "deps: installing$$need"; \
	$$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$need >/dev/null

install: all ## mlctl, man pages and completions under $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions
	install -m 755 build/mlctl build/mlctl-runner $(DESTDIR)$(PREFIX)/bin/
	build/mlctl help --man-to $(DESTDIR)$(PREFIX)/share/man/man1
	build/mlctl completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mlctl
	build/mlctl completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_mlctl
dist: ## a source archive of the commit
	$(Q)mkdir -p build && git archive --format=tar.gz --prefix=mlctl-$(VERSION)/ -o build/mlctl-$(VERSION).tar.gz HEAD && echo build/mlctl-$(VERSION).tar.gz
clean: ## removes build/
	rm -rf build
help: ## this
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
