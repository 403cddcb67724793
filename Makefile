# Every target needs python3 >= 3.11, make and git, and does its own set-up.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# pip's own settings for indexes and local wheels hold for uv too.
empty :=
comma := ,
space := $(empty) $(empty)
export UV_FIND_LINKS ?= $(subst $(space),$(comma),$(strip $(PIP_FIND_LINKS)))
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif

# One process more than cores, as a third of the time of tests is waiting for servers; four at most: each loads torch, with one thread.
PARALLEL := -n $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? n + 1 : 4))) --dist loadfile --no-loadscope-reorder
LOCKED := --generate-hashes --no-header --no-annotate
# $(call only,MARKER): run the tests with the marker; explain exit code 5, no test, or none but skipped ones
define only
$(BIN)/pytest -m $(1) || { code=$$?; test $$code -ne 5 || echo "no test marked $(1) ran: NOTHING WAS TESTED"; exit $$code; }
endef

.PHONY: help demo up down repro test test-quick test-slow test-faults test-fuzz test-docker test-ceph test-cluster images bundle check audit bench lock docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/ready ## a night, new gold, a retraining, its approval and a night on the new model, on a temporary stack
	$(BIN)/python -m infra.local.demo

up: .venv/ready ## start the stack and leave it running; prints the pages' addresses and the login
	$(BIN)/python -m infra.local.stack up

down: .venv/ready ## stop what `make up` started
	$(BIN)/python -m infra.local.stack down

repro: .venv/ready ## run the changed stages of the training path, on synthetic or your own gold (docs/training-path.md)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dvc repro

test: .venv/ready ## all tests but the slow ones, the faults and those that need Docker, Ceph or root; COVERAGE=1 measures coverage, 95 % at least
	$(BIN)/pytest $(PARALLEL) --timeout 900 -m "not slow and not faults and not docker and not ceph and not cluster" $(if $(COVERAGE),--cov)

test-quick: .venv/ready ## unit and contract tests that do not train; less than a minute
	$(BIN)/pytest $(PARALLEL) -q -m "not slow and not training" tests/unit tests/contracts

test-slow: .venv/ready ## the tests that take tens of minutes
	$(BIN)/pytest $(PARALLEL) -m slow

test-faults: .venv/ready ## one fault at one request: 2,000 cases; SAMPLE=n another number, ALL=1 all, CASE=publish:5:away one
	ALL="$(ALL)" CASE="$(CASE)" SAMPLE="$(SAMPLE)" SEED="$(SEED)" REPORT="$(REPORT)" \
	  $(BIN)/pytest $(if $(CASE),,$(PARALLEL)) -m faults tests/faults

test-fuzz: .venv/ready ## 50,000 damaged files over all readers: SEED=2 others, CASE=doccano:1:166 one
	SEED="$(SEED)" CASE="$(CASE)" $(BIN)/pytest -s -m slow tests/fuzz

test-docker: .venv/ready ## the tests that need a Docker engine
	$(call only,docker)

test-ceph: .venv/ready ## the tests that need a Ceph RADOS gateway
	$(call only,ceph)

images: ## build the container images from HEAD: BASE=python@sha256:... TORCH=cpu or cuda (docker/README.md)
	$(PYTHON) -m infra.images $(if $(BASE),--base "$(BASE)") $(if $(TORCH),--torch $(TORCH)) $(if $(DOCKER),--docker $(DOCKER))

bundle: .venv/ready ## images, packages, base models and source in one signed archive: KEY=enigma.key (docs/air-gap.md)
	$(BIN)/python -m infra.bundle --key "$(KEY)" --python $(PYTHON) $(if $(TORCH),--torch $(TORCH)) \
	  $(if $(MODELS),--models "$(MODELS)") $(if $(IMAGES),--images "$(IMAGES)") $(if $(OUT),--out "$(OUT)")

test-cluster: .venv/ready ## nights on two workers in network namespaces, and one without internet; needs root. SHARDS=200 a longer one
	SHARDS="$(SHARDS)" $(call only,cluster)

check: .venv/ready ## style, formatting, types, undeclared or unused dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/deptry .

bench: .venv/ready ## every benchmark that runs without outside data; see benchmarks/README.md
	$(BIN)/python -m benchmarks.plan_200k
	$(BIN)/python -m benchmarks.validate_10k
	$(BIN)/python -m benchmarks.night_10k

audit: .venv/ready ## known vulnerabilities of the dependencies; needs a database on the network, and says what it could not look up; UNREACHABLE=passes
	$(BIN)/uv run -q --no-project --isolated --with-requirements requirements/tools/audit.lock \
	  python -m infra.audit $(if $(filter passes,$(UNREACHABLE)),--unreachable-passes)

docs: .venv/ready ## write the generated pages again
	$(BIN)/python -m docs.generate

lock: .venv/ready ## resolve the three environments again from pyproject.toml, and those of the tools that tests run
	for e in tasks airflow; do \
	  $(BIN)/uv pip compile -q --universal $(LOCKED) --extra $$e pyproject.toml -o requirements/$$e.lock || exit 1; done
	$(BIN)/uv pip compile -q --universal $(LOCKED) --all-extras pyproject.toml -o requirements/dev.lock
	for t in audit compose doccano images label-studio uv; do \
	  $(BIN)/uv pip compile -q --python-version 3.11 $(LOCKED) requirements/tools/$$t.in -o requirements/tools/$$t.lock || exit 1; done
	$(BIN)/python -m infra.locks
	$(BIN)/python -m infra.licences

.venv/ready: pyproject.toml requirements/dev.lock requirements/cuda.lock requirements/tools/uv.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Enigma needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/tools/uv.lock
	$(BIN)/uv pip install --quiet --verify-hashes --python $(BIN)/python -r requirements/dev.lock -c requirements/cuda.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

clean: ## remove the environment and the local state
	rm -rf .venv .enigma
