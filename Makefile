# make demo   mend a damaged clip and draw it          make test   run the tests
# make check  style, types, layers, sizes, what importing loads
# make docs   build the documentation site into site/
# make test-browser   test pages in a Chromium, that of $CHROMIUM or else of the system
# WORKERS=0 runs the tests one after another; so does `python -m pytest` by itself
PYTHON ?= python3
WORKERS ?= auto
BIN := .venv/bin

.PHONY: demo check test docs test-browser clean

demo: .venv/demo.stamp
	@$(BIN)/python -m voxmend.demo demo-output

check: .venv/dev.stamp
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tools/house.py

test: .venv/test.stamp
	@$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal

docs: .venv/docs.stamp
	@echo "Making sounds of every task, the first time, and pages: some minutes ..."
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "Built site/; open site/index.html, or search in it with"
	@echo "  $(BIN)/python -m http.server -d site --bind 127.0.0.1"

test-browser: .venv/browser.stamp
	@$(BIN)/python -m pytest -m "browser or not browser" tests/app tests/report -rs

.venv/%.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "voxmend needs Python 3.11 or later; set PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv (a minute or two the first time) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$*]" 2>.venv/pip.log \
		|| { cat .venv/pip.log; exit 1; }
	@touch $@

clean:
	rm -rf .venv demo-output site .docs-sounds .mypy_cache .ruff_cache .import_linter_cache
