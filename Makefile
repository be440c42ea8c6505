# Everything that one does with this project, from a fresh machine with python3, its venv module and
# make. `make` alone lists it.

PYTHON ?= python3
EXTRAS ?= demo
TESTS ?= tests
# one for each of two cores; in CI, which waits for all of them, one more for what is not dear (`tests/parts/spreading.py`)
WORKERS ?= $(if $(CI),3,2)
# what `make lab` runs, `make deb-test`, and `make image-test`
BOOTS := tests/image/test_boot.py tests/image/test_call.py tests/image/test_updates.py tests/image/test_cuts.py tests/image/test_outages.py tests/image/test_idle.py
APART := --ignore tests/lab --ignore tests/packaging/test_life.py --ignore tests/packaging/test_install.py --ignore tests/packaging/test_next_release.py $(BOOTS:%=--ignore %)

VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := .ci/constraints.txt
PINS := $(VENV)/constraints.txt
comma := ,
# other extras are another installation
DEMO := $(VENV)/.demo-installed$(if $(filter-out demo,$(EXTRAS)),-$(subst $(comma),-,$(EXTRAS)))
TEST := $(VENV)/.test-installed
ATHERIS := $(VENV)/.atheris-installed
CODE := appliance tests
LINTED := $(CODE) image-build .ci
# Debian's on a Pi. Elsewhere its source, on a stand-in for libcamera, without what it needs compilers for
PICAMERA2 := picamera2==0.3.38

# CI has it sooner by another program, which knows nothing of a computer's own settings for pip (as piwheels on a Pi)
INSTALL := $(if $(CI),.ci/install $(BIN)/python,$(BIN)/python -m pip install --quiet)

# the versions that this commit was tested with, for what is installed and for what builds it
export PIP_CONSTRAINT := $(PINS)
export PIP_BUILD_CONSTRAINT := $(CONSTRAINTS)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# what is started is compiled once, as it is where it is installed
unexport PYTHONPATH PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test check lab bench chaos cuts outages soak fuzz fmt clean lock packages sounds drawings bundle deb deb-test deb-lock image-vm image-test
# a recipe that fails leaves no stamp behind
.DELETE_ON_ERROR:

help: ## what there is to make
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(DEMO) sees ## the appliance, in .venv
	@echo "$(BIN)/appliance is there; try: make demo"

demo: $(DEMO) sees ## try the whole product on this computer, in a browser
	@$(BIN)/appliance demo

# the order is `tests/parts/spreading.py`'s
# what hangs where no time-out reaches it (the process of a browser that has gone) ends its worker, and has a name
HANGS := -o faulthandler_timeout=1000 -o faulthandler_exit_on_timeout=true
# behind all else four in one session, two of them with browsers: they bear nothing beside them but a sum
LAST := $(if $(filter tests,$(TESTS)),tests/test_four.py tests/media/test_playout.py)
test: $(TEST) packages ## the tests; TESTS=tests/panel for some of them
	@failed=0; { $(call play,$(HANGS) --no-loadscope-reorder $(APART) $(LAST:%=--ignore %) $(TESTS)); } || failed=1; \
	$(if $(LAST),{ $(foreach WORKERS,2,$(call play,$(HANGS) $(LAST))); } || failed=1;) exit $$failed

# each with what failed of it by itself, as two are played beside one another
FAILED = .pytest_cache/$@
play = $(BIN)/pytest -n $(WORKERS) --dist loadscope -o cache_dir=$(FAILED) $(1) || { [ $$? = 1 ] && $(call replay,$(1)); }
replay = { [ -z "$(NO_REPLAY)" ] || { touch $(BESIDE).failed; exit 1; }; } && \
  echo "what failed beside the others is played once more, alone: a fault fails again" && \
  $(BIN)/python .ci/replay.py $(FAILED) $(BIN)/pytest $(1)

# In CI types and the lab go on beside the tests: types and the machines that have a clock of their own by what all
# else leaves of the processors, those that go by everybody's as the tests do. All of it is to be done before the
# stories with browsers, which come last (`tests/parts/spreading.py`) and fail beside it. So where it has to be built,
# half of the processors builds it: by what is left it took until all else had been played. After the tests is played
# what failed of the lab, or all of it where it could not be built: whatever else has failed.
BUILD_LAB := $(BIN)/python -m tests.lab
BESIDE := .cache/lab-beside
PARTS := own-clock real-time
check: $(TEST) $(if $(CI),packages lab-packages) ## the whole gate: format, lint, types, tests, and the lab where it has been built
	$(BIN)/ruff format --check $(LINTED)
	$(BIN)/ruff check $(LINTED)
	@rm -f $(BESIDE)*; failed=0; $(MAKE) --no-print-directory $(if $(CI),-j4) types test $(if $(CI),lab-beside) || failed=$$?; \
	[ $$failed = 0 ] || [ -n "$(CI)" ] || exit $$failed; \
	case $$(echo $$(cat $(PARTS:%=$(BESIDE).%) 2> /dev/null)) in \
	  "0 0") exit $$failed ;; \
	  "0 again" | "again 0" | "again again") $(MAKE) --no-print-directory lab-again && exit $$failed; exit 1 ;; \
	  ?*) echo "the lab was broken off: see above"; exit 1 ;; esac; \
	$(BUILD_LAB) $(if $(CI),,--there); case $$? in \
	  0) $(MAKE) --no-print-directory lab || failed=$$? ;; \
	  3) echo "the lab is SKIPPED: this computer does not allow it, see above" ;; \
	  4) echo "the lab is SKIPPED: it has not been built on this computer (make lab: some minutes, once)" ;; \
	  *) exit 1 ;; esac; exit $$failed

# one after the other, as one wants to be told of a fault; in CI beside one another, since nobody waits for either, and
# with what is known of the last time: a fresh clone has nothing
.PHONY: types lab-beside $(PARTS) lab-again
types: export MYPY_CACHE_DIR = $(if $(CI),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/appliance-types,.mypy_cache)
types:
	$(if $(CI),.ci/beside 10) $(BIN)/mypy $(CODE)

lab-beside: $(TEST)
	@mkdir -p $(dir $(BESIDE)); .ci/beside 0 $(BUILD_LAB) && $(MAKE) --no-print-directory $(PARTS)

# what it says is shown when it has ended; one that failed otherwise than by its tests was broken off
own-clock: MINE = PART="not real_time" WORKERS=3
real-time: MINE = PART=real_time WORKERS=2
$(PARTS):
	@{ state=0; $(if $(filter own-clock,$@),.ci/beside 5) $(MAKE) --no-print-directory lab \
	  NO_REPLAY=1 $(MINE) FAILED=.pytest_cache/$@ BESIDE=$(BESIDE).$@ || \
	    { rm $(BESIDE).$@.failed && state=again || state=broken; }; echo $$state > $(BESIDE).$@; } > $(BESIDE).$@.log 2>&1; \
	cat $(BESIDE).$@.log

# whoever names some of it has all of that
NAMED := $(filter tests/lab%,$(TESTS))
# a machine each: conftest.py there
lab lab-again: export LAB := $(or $(LAB),$(if $(NAMED)$(CI),all))
LAB_TESTS = --durations=8 $(if $(PART),-m "$(PART) and not hardware") $(or $(NAMED),tests/lab)
lab: WORKERS = $(if $(filter 1,$(words $(filter-out tests/lab tests/lab/,$(NAMED)))),2,$(or $(SCOPES_$(LAB)),3))
SCOPES_all := 4
SCOPES_long := 6
lab: $(TEST) lab-packages ## the appliance on a simulated machine: kernel, systemd, pins, camera, sound; LAB=all for all of it, LAB=long
	@$(BUILD_LAB)
	@$(BIN)/python -m tests.lab.extent $(NAMED)
	@$(call play,$(LAB_TESTS))

lab-again:
	@failed=0; $(foreach part,$(PARTS),[ "$$(cat $(BESIDE).$(part))" = 0 ] || { $(call replayed,$(part)); } || failed=1;) exit $$failed
replayed = $(foreach FAILED,.pytest_cache/$(1),$(call replay,$(LAB_TESTS)))

bench: $(TEST) packages ## what it costs here, as ratios; BENCH=calls for some of it
	@$(BIN)/python -m tests.bench $(BENCH)

chaos: $(TEST) packages ## minutes without network and broker; thousands of presses while they and the daemon die; PRESSES=300 SEED=1
	@$(BIN)/python -m tests.chaos

fuzz: $(TEST) packages $(if $(filter guided,$(FUZZ)),$(ATHERIS)) ## mutated, forged, replayed and flooding input; FUZZ=offers N=60000 SEED=1
	@$(BIN)/python -m tests.fuzz $(FUZZ)

cuts: $(TEST) packages image-packages ## power that is lost at random instants of updates, in the stand-in machine; CUTS=200 SEED=1
	@$(BIN)/python -m tests.image.cuts

outages: $(TEST) packages image-packages ## likewise while a door starts, is configured and rings; CUTS=200 SEED=1 ARCH=arm64
	@$(BIN)/python -m tests.image.outages

soak: $(TEST) packages ## ten thousand calls in one process, a day of everything, and what they leave; SOAK=day
	@$(BIN)/python -m tests.soak $(SOAK)

bundle: ## an update for a device with two slots, signed; DEVICE=pi5 BOOT=FILE SYSTEM=FILE KEYS=FOLDER
	@image-build/update/bundle $(or $(BUNDLE),dist/appliance-$(DEVICE).raucb)

deb: ## a Debian package, in dist/; ARCH=arm64 SUITE=trixie for a Pi; make deb-test tries one
	@image-build/debian/build

# for both systems: the next one's is installed there, and the other's when that becomes it
deb-test: $(TEST) packages
	@SUITE=bookworm image-build/debian/build
	@SUITE=trixie image-build/debian/build
	@.ci/packages lintian man:man-db mmdebstrap /usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring
	@lintian --fail-on error,warning dist/*.deb
	@$(BIN)/pytest tests/packaging

image-vm: $(TEST) image-packages ## a machine of Debian's packages with the card of a Pi, in dist/, and its first start; ARCH=arm64
	@$(BIN)/python -m tests.image $(or $(ARCH),amd64)

# the other processor is emulated, and so its call from outside alone
image-test: export IMAGE_ARCH := $(or $(ARCH),amd64)
image-test: $(TEST) packages image-packages ## what the image promises, in that machine: boots, a call, updates, power cuts; ARCH=arm64 for the call
	@$(BIN)/pytest --durations=8 $(if $(filter arm64,$(ARCH)),tests/image/test_call.py,$(BOOTS))

fmt: $(TEST) ## format the code, and mend what the linter can
	$(BIN)/ruff format $(LINTED)
	$(BIN)/ruff check --fix $(LINTED)

clean: ## remove everything that was made
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	rm -rf appliance/web/static/vendor
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +

sounds: $(TEST) ## speak the prompts anew, after their words were changed
	@.ci/packages espeak-ng
	@PYTHONPATH=. $(BIN)/python .ci/sounds.py

drawings: $(TEST) ## draw the wiring anew, after its pins or tests/wiring were changed
	@$(BIN)/python -m tests.wiring docs/drawings

lock: $(VENV)/bin/python ## choose the newest versions of all dependencies anew
	@mkdir -p .cache
	PIP_CONSTRAINT= PIP_BUILD_CONSTRAINT= $(BIN)/python -m pip install --quiet --dry-run \
	  --ignore-installed --report .cache/lock.json '.[demo,echo,fuzz,pi,test]' hatchling
	$(BIN)/python .ci/lock.py .cache/lock.json > .cache/constraints.txt
	mv .cache/constraints.txt $(CONSTRAINTS)

# the same for the package, with the hash of each file
deb-lock: $(VENV)/bin/python
	@$(PYTHON) -m venv .cache/uv && .cache/uv/bin/pip install --quiet uv
	PIP_CONSTRAINT= $(BIN)/python image-build/debian/lock.py .cache/uv/bin/uv $(CONSTRAINTS)

# -------------------- the virtual environment

# On a Raspberry Pi picamera2 and lgpio come from the system's packages, so it has to see them.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.13"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' \
	  || { echo "Python lacks its venv module: apt install python3-venv"; exit 1; }
	@site=$$($(PYTHON) -c 'import importlib.util as u; \
	  print("--system-site-packages" if u.find_spec("picamera2") or u.find_spec("lgpio") else "")'); \
	  $(PYTHON) -m venv $$site $(VENV)

# and where they were installed after the environment was made, it is to see them from now on
.PHONY: sees
sees: $(VENV)/bin/python
	@if $(PYTHON) -c 'import importlib.util as u, sys; \
	  sys.exit(not (u.find_spec("picamera2") or u.find_spec("lgpio")))'; \
	  then sed -i 's/^\(include-system-site-packages = \)false/\1true/' $(VENV)/pyvenv.cfg; fi

# and where what comes from the system wants another numpy than the pinned one, it gets that; this is looked at
# each time, and what depends on it is made anew only where it is something else
.PHONY: look
$(PINS): $(VENV)/bin/python $(CONSTRAINTS) look
	@new=$@.$$$$; $(PYTHON) .ci/pins.py $(CONSTRAINTS) > $$new && \
	  if cmp -s $$new $@; then rm $$new; else mv $$new $@; fi

$(DEMO): $(PINS) pyproject.toml
	@echo "Setting up in $(VENV): half a minute, and longer on a Pi."
	@$(INSTALL) -e '.[$(EXTRAS)]'
	@touch $@

$(TEST): $(PINS) pyproject.toml
	@echo "Setting up in $(VENV), with what the tests need: a minute."
	@$(INSTALL) -e '.[$(EXTRAS),test]'
	@$(BIN)/python -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("libcamera"))' \
	  || $(INSTALL) --no-deps $(PICAMERA2)
	@touch $@ $(DEMO)

# -------------------- what only the tests want, and Debian has

FAKETIME = $(firstword $(wildcard /usr/lib/*/faketime/libfaketimeMT.so.1) libfaketimeMT.so.1)
CJK_FONT := /usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf

# pyalsaaudio is compiled where it is installed; `make demo` does without
ALSA := $(VENV)/.alsa-installed
HEADERS = $(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))')

$(ALSA): $(TEST)
	@.ci/packages gcc $(HEADERS)/Python.h:python3-dev /usr/include/alsa/asoundlib.h:libasound2-dev
	@$(INSTALL) -e '.[$(EXTRAS),test,pi]' && touch $@ \
	  || echo "pyalsaaudio cannot be installed, and the tests with ALSA are skipped"

# what looks for inputs by coverage: where it is asked for, and there is a wheel of it
$(ATHERIS): $(TEST)
	@$(INSTALL) -e '.[$(EXTRAS),test,fuzz]' && touch $@

packages: $(ALSA)
	@.ci/packages mosquitto openssl sfdisk:fdisk mcopy:mtools rauc mksquashfs:squashfs-tools systemd-socket-activate:systemd systemd-nspawn:systemd-container chromium libopus.so.0:libopus0 ip:iproute2 nft:nftables turnserver:coturn ffprobe:ffmpeg Xvfb:xvfb libSDL2-2.0.so.0:libsdl2-2.0-0 espeak-ng strace argparse-manpage:python3-argparse-manpage rst2man:python3-docutils man:man-db $(FAKETIME):libfaketime $(CJK_FONT):fonts-droid-fallback

# -------------------- the lab: built once, by whoever asks for it

.PHONY: lab-packages
lab-packages:
	@.ci/packages mmdebstrap newuidmap:uidmap sqfstar:squashfs-tools rauc openssl sfdisk:fdisk mcopy:mtools gcc flex bison bc xz:xz-utils dpkg-deb:dpkg mke2fs:e2fsprogs unshare:util-linux /usr/include/libelf.h:libelf-dev /usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring

# -------------------- the stand-in machine: likewise

.PHONY: image-packages
image-packages: lab-packages
	@.ci/packages sfdisk:fdisk mcopy:mtools genimage mke2fs:e2fsprogs mkfs.vfat:dosfstools rauc mksquashfs:squashfs-tools qemu-system-x86_64:qemu-system-x86
ifeq ($(ARCH),arm64)
	@.ci/packages qemu-system-aarch64:qemu-system-arm qemu-aarch64-static:qemu-user-static update-binfmts:binfmt-support arch-test
endif
