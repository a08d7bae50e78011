# `make demo` shows a group that shifts calls, `make test` runs the tests; both install into .venv first.
# `make compiled` builds a wheel of machine code for this Python, and installs it into .venv-compiled.

# Any Python from 3.11 on: make PYTHON=python3.12 demo
PYTHON = python3
VENV = .venv
COMPILED = .venv-compiled
# Options of the demo: make demo DEMO="--nodes 5 --calls 500"
DEMO =

.PHONY: demo test install compiled clean

demo: $(VENV)/installed
	$(VENV)/bin/voipshift demo $(DEMO)

test: $(VENV)/installed
	$(VENV)/bin/python -m twisted.trial tests

install: $(VENV)/installed

# The stamp is written last, so that an interrupted installation is repeated from its start.
$(VENV)/installed: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "voipshift needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		if [ "$$(id -u)" = 0 ]; then apt-get update && apt-get install -y python3-venv; \
		else echo 'Python has no venv module: run "apt-get install python3-venv" as root, then make again' >&2; exit 1; fi
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[h323]'
	touch $@

compiled: $(COMPILED)/installed

# A folder left by another build could bring modules back that are gone.
$(COMPILED)/installed: setup.py setup.cfg pyproject.toml $(shell find voipshift -name '*.py')
	@command -v $${CC:-cc} >/dev/null || { echo 'make compiled needs a C compiler and the headers of Python: run "apt-get install gcc python3-dev" as root' >&2; exit 1; }
	rm -rf build dist
	$(PYTHON) -m venv --clear $(COMPILED)
	$(COMPILED)/bin/python -m pip install --quiet --disable-pip-version-check setuptools wheel '.[h323,dev]'
	rm -rf build
	VOIPSHIFT_COMPILED=1 $(COMPILED)/bin/python -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir dist .
	$(COMPILED)/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps dist/voipshift-*.whl
	rm -rf build
	touch $@

clean:
	rm -rf $(VENV) $(COMPILED) build dist *.egg-info
