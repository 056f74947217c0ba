# make run starts the page, make test runs every check; both set up what they need, and are quick the second time.
# PYTHON=/path/to/python chooses the interpreter of the virtual environment; by default it is the newest one that fits.
MAKEFLAGS += --jobs=4
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
FITS := import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 15))

.PHONY: run test test-fast fuzz lint lint-python lint-js setup setup-dev chromium clean

run: setup
	$(BIN)/python -m app

test: setup-dev chromium lint
	node --test tests/js/
	$(PYTEST) --max-worker-restart 0 $(ARGS)

# Neither a browser nor anything slow: for daily work.
test-fast: setup-dev node_modules/.installed
	node --test tests/js/
	$(PYTEST) -m "not browser and not slow" $(ARGS)

# FUZZ times as many hostile requests and damaged files as in the tests, and others in every run.
fuzz: setup-dev
	GANIME_FUZZ=$(or $(FUZZ),100) $(PYTEST) --timeout 0 tests/app/test_fuzz.py tests/ganime/test_fuzz.py $(ARGS)

lint: lint-python lint-js

lint-python: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/hadolint Dockerfile

lint-js: node_modules/.installed
	npx eslint app/components tests/js eslint.config.js
	find app/components tests/js -name '*.js' -print0 | xargs -0 -n 1 -P 2 node --check

setup: $(VENV)/.installed
setup-dev: $(VENV)/.installed-dev

$(VENV)/bin/python:
	@for python in $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3.10 python3); do \
		"$$python" -c '$(FITS)' 2>/dev/null || continue; \
		"$$python" -c 'import venv, ensurepip' 2>/dev/null || { without_venv="$$python"; continue; }; \
		echo "$$("$$python" --version) sets up $(VENV)"; \
		exec "$$python" -m venv $(VENV); \
	done; \
	if [ "$$without_venv" ]; then \
		echo "$$without_venv has no venv module. On Debian and Ubuntu: sudo apt install python3-venv" >&2; \
	else \
		echo "Ganime needs Python 3.10 to 3.14: $(or $(PYTHON),none was found). Name one: make PYTHON=/path/to/python" >&2; \
	fi; \
	exit 1

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(PIP) install -r requirements.txt
	touch $@

$(VENV)/.installed-dev: requirements.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) install --editable '.[dev]'
	touch $(VENV)/.installed $@

# The page's JavaScript is checked with Node.js; the page itself runs without it.
node_modules/.installed: package.json package-lock.json
	@command -v node >/dev/null && command -v npm >/dev/null || { \
		echo "Node.js 20 or newer checks the page's JavaScript. On Debian and Ubuntu: sudo apt install nodejs npm" >&2; exit 1; }
	npm ci --no-audit --no-fund --silent
	touch $@

# The browser of the tests, from Debian's packages. The headless shell needs less processor time than Chromium, which does
# where it is there already and only a password would add the shell.
chromium:
	@command -v chromium-headless-shell >/dev/null || \
		{ [ "$$(id -u)" != 0 ] && { command -v chromium || command -v google-chrome; } >/dev/null; } || { \
		SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); \
		$$SUDO apt-get update -qq; \
		$$SUDO apt-get install -y -qq --no-install-recommends chromium-headless-shell || \
		command -v chromium >/dev/null || $$SUDO apt-get install -y -qq --no-install-recommends chromium; }

clean:
	rm -rf $(VENV) node_modules .pytest_cache .ruff_cache .hypothesis
