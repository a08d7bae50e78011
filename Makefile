# `make demo` shows a group that shifts calls, `make test` runs the tests; both install into .venv first.

# Any Python from 3.11 on: make PYTHON=python3.12 demo
PYTHON = python3
VENV = .venv
# Options of the demo: make demo DEMO="--nodes 5 --calls 500"
DEMO =

.PHONY: demo test install clean

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

clean:
	rm -rf $(VENV) build *.egg-info
