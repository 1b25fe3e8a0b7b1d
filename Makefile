# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
.DEFAULT_GOAL := help
SHELL := /bin/bash

# The environment's tools come first; Ansible insists on a UTF-8 locale, which a bare host may not have set.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.venv/collections
export LC_ALL := C.UTF-8

# Arguments for pytest, e.g.: make test-unit PYTEST_ARGS='-k rights -x'
PYTEST_ARGS ?=
# How many hypervisors the demo has: make demo HYPERVISORS=3
HYPERVISORS ?= 1
# Options for the demo: make demo DEMO_OPTIONS=--plain-inside-tls (for clients of the founding time)
DEMO_OPTIONS ?=
PYTEST := pytest -n auto --maxprocesses 8 --dist worksteal $(PYTEST_ARGS)
PYTHON_FOLDERS := $(wildcard src plugins extensions testbed tests benchmarks examples)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: bootstrap
bootstrap: ## install what is missing: Debian packages, .venv, the collection (every target does this first)
	@tools/bootstrap

.PHONY: demo
demo: bootstrap ## a whole platform on this machine, with three guests; leaves it running
	@python -m testbed.demo start --hypervisors $(HYPERVISORS) $(DEMO_OPTIONS)

.PHONY: demo-stop
demo-stop: bootstrap ## remove everything that the demo made (packages stay)
	@python -m testbed.demo stop

.PHONY: demo-status
demo-status: bootstrap ## what of the demo runs
	@python -m testbed.demo status

.PHONY: test
test: lint ## all checks that a change must pass: lint, unit and integration tests
	$(PYTEST) tests/unit tests/integration

.PHONY: test-all
test-all: lint ## what "test" does, the long tests of faults, and those on real guests
	$(PYTEST) tests/unit tests/integration
	$(MAKE) test-hostile
	$(MAKE) test-faults
	$(MAKE) test-e2e

.PHONY: test-unit
test-unit: bootstrap ## unit tests only
	$(PYTEST) tests/unit

.PHONY: test-integration
test-integration: bootstrap ## tests against a real ejabberd and libvirt's test driver
	$(PYTEST) tests/integration

.PHONY: test-hostile
test-hostile: bootstrap ## each action with hundreds of hostile requests; minutes
	ARCHIPEL_HOSTILE_EXAMPLES=300 $(PYTEST) tests/unit/agent/test_hostile_requests.py

.PHONY: test-faults
test-faults: bootstrap ## server, agent and connections fail twenty times each; minutes
	pytest $(PYTEST_ARGS) tests/faults

.PHONY: test-e2e
test-e2e: bootstrap ## tests with real guests and another client library, one after the other
	@command -v npm >/dev/null && command -v chromium >/dev/null || tools/bootstrap nodejs npm chromium
	@tools/bootstrap systemd-container slapd ldap-utils udev lvm2 nfs-kernel-server openvswitch-switch default-jre-headless
	@tools/rulebook-environment
	pytest $(PYTEST_ARGS) tests/e2e

.PHONY: lint
lint: lint-python lint-types lint-imports lint-shell lint-yaml lint-ansible lint-docs lint-changelog lint-sanity ## all static checks

.PHONY: lint-python
lint-python: bootstrap ## ruff: rules and format
	ruff check $(PYTHON_FOLDERS)
	ruff format --check $(PYTHON_FOLDERS)

.PHONY: lint-types
lint-types: bootstrap ## mypy --strict on src/, testbed/, plugins/ and extensions/
	mypy

.PHONY: lint-imports
lint-imports: bootstrap ## import-linter: imports run one way
	lint-imports --no-cache

.PHONY: lint-shell
lint-shell: bootstrap ## shellcheck
	shellcheck $$(git ls-files -co --exclude-standard | xargs -d '\n' grep -lE '^#!.*\bsh$$|^#!.*\bbash$$' -- 2>/dev/null)

.PHONY: lint-yaml
lint-yaml: bootstrap ## yamllint
	yamllint --strict .

.PHONY: lint-ansible
lint-ansible: bootstrap ## ansible-lint, production profile, offline
	ansible-lint --offline --profile production

.PHONY: lint-docs
lint-docs: bootstrap ## antsibull-docs: the modules' documentation
	antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck --check-extra-docs-refs .

.PHONY: lint-changelog
lint-changelog: bootstrap ## changelog fragments
	antsibull-changelog lint

.PHONY: lint-sanity
lint-sanity: bootstrap ## ansible-test sanity, nothing ignored
	tools/ansible-sanity

.PHONY: bench
bench: bootstrap ## measure and print the performance figures, also as JSON
	python -m benchmarks.run

.PHONY: release
release: bootstrap ## make the changelog and the artifact of the version in galaxy.yml; publishes nothing
	tools/release

.PHONY: lock
lock: ## resolve the Python requirements anew (after an edit of pyproject.toml or requirements/dev.in)
	tools/lock

.PHONY: clean
clean: ## remove what was made in this checkout, the virtual environment included
	rm -rf .venv .cache .hypothesis tests/output dist archipel-platform-*.tar.gz
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
