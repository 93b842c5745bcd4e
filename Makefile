# A fresh machine with Python 3.11 or newer, make and git needs two commands:
#
#   make book    build the book, executing every chapter, and print the page to open
#   make test    check the code and run the whole test suite
#
# Both put everything they install into .venv. Three variables may follow either command:
#
#   TORCH_INDEX  where pip may also look for PyTorch. On Linux PyPI's torch brings several GB of CUDA
#                libraries; without an NVIDIA GPU take the small build:
#                make book TORCH_INDEX=https://download.pytorch.org/whl/cpu
#   PYTHON       the interpreter that makes .venv (default python3)
#   JOBS         how many tests run at a time (default: as many as there are cores)
#
# REPOSITORY_URL is for the publishing workflow: see book/build/published_config.py.

PYTHON ?= python3
# Test processes at a time, by default one per core. Each computes with one thread, unless OMP_NUM_THREADS
# says otherwise.
JOBS ?= auto
TORCH_INDEX ?=
REPOSITORY_URL ?=

BIN := .venv/bin
INSTALLED := .venv/installed
PAGE := _build/html/book/intro.html
BUILT := _build/built

# How everything here computes, kernels and tests too. Threads that spin while they wait for one that has
# no core make a busy machine ten times slower; memory that goes back to the system has to be fetched again
# in each step. book/run-times.md has the figures.
export OMP_WAIT_POLICY ?= PASSIVE
export MALLOC_MMAP_MAX_ ?= 0
export MALLOC_TRIM_THRESHOLD_ ?= 2147483647

# What runs sees the commands of .venv first (`minipose`, `jupyter`) and finds its kernel there.
RUN := PATH="$(CURDIR)/$(BIN):$$PATH" JUPYTER_PREFER_ENV_PATH=1

# Tools that lock versions, fuzz readers and list licences: none is part of the project.
UV := uv==0.13.8
ATHERIS := atheris==3.0.0
LISTS := pip-licenses==5.5.5 cyclonedx-bom==7.5.0

.PHONY: help book notebooks test soak clean benchmark pictures oldest lock licences sbom
.DELETE_ON_ERROR:

help:
	@echo "make book       build the book and print the page to open"
	@echo "make test       lint, types, tests (builds the book first where its pages are missing)"
	@echo "make soak       the long tests (faults, many processes, memory), and a table of what held"
	@echo "make notebooks  write the student notebooks again, beside the chapters"
	@echo "make benchmark  print the speed table, and the live lab's where the book is built"
	@echo "make pictures   draw the README's picture again"
	@echo "make oldest     the tests that need no browser, with the oldest versions that minipose allows"
	@echo "make lock       fix versions and checksums again, after constraints.txt or pyproject.toml changed"
	@echo "make licences   list the installed packages and their licences"
	@echo "make sbom       write a bill of materials (CycloneDX)"
	@echo "make clean      remove everything that make made, .venv included"

# Done again only when the list of dependencies changes: the package itself is installed editable.
# Everything but PyTorch comes by its checksum: which build of PyTorch fits is this machine's to say.
$(INSTALLED): pyproject.toml constraints.txt requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "minipose needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...")'
	@echo "Installing into .venv: $$(grep -c '^[a-z]' requirements.lock) packages, about a minute"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements.lock
	@echo "Installing PyTorch and minipose, several hundred MB"
	@$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
		--constraint constraints.txt --editable '.[book,export,test]'
	@touch $@

# Always from a clean _build: a second run hides failures of the first, and Jupyter's cache does not
# notice edits to the package. Always look at the result: jupyter-book can fail and still exit 0.
define build_book
@rm -rf _build && mkdir _build
@$(RUN) python book/build/vendor.py
@echo "Making what the live lab shows"
@$(RUN) python book/build/lab.py
@$(RUN) python book/build/execute.py
@$(if $(REPOSITORY_URL),$(BIN)/python book/build/published_config.py > _build/published.yml)
@echo "Setting the pages (about a minute)"
@$(RUN) jupyter-book build . -W --keep-going --quiet $(if $(REPOSITORY_URL),--config _build/published.yml)
@test -f $(PAGE) || { echo "The build wrote no $(PAGE): see the messages above"; exit 1; }
@touch $(BUILT)
endef

book: $(INSTALLED)
	$(build_book)
	@echo "The book is ready. Open file://$(CURDIR)/$(PAGE)"

$(BUILT): | $(INSTALLED)
	$(build_book)

test: $(INSTALLED)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@test -f $(BUILT) || $(MAKE) --no-print-directory $(BUILT)
	@test -z "$$(find book minipose _*.yml -newer $(BUILT) -name '*.[mpy]*' ! -name '*.pyc' -print -quit)" || \
		echo "Note: the pages are older than their sources; make book renews them"
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(RUN) python -m pytest -n $(JOBS) --dist worksteal -q -rs --durations=10

# The fuzzer has no wheel for some machines; the table then says so.
soak: $(INSTALLED)
	@test -d .venv/fuzz || $(BIN)/python -m pip install --quiet --no-deps --only-binary :all: \
		--target .venv/fuzz $(ATHERIS) || true
	@$(RUN) PYTHONPATH=tests python -m soak

notebooks: $(INSTALLED)
	@$(RUN) python book/build/notebooks.py

benchmark: $(INSTALLED)
	@$(RUN) PYTHONPATH=tests python -m benchmarks
	@test ! -f $(BUILT) || $(RUN) PYTHONPATH=tests python -m benchmarks.lab

pictures: $(INSTALLED)
	@$(RUN) python book/build/pictures.py

# PyTorch apart: of it the tested version is taken.
oldest:
	@$(PYTHON) -m venv --clear .venv/oldest
	@.venv/oldest/bin/python -m pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
		--requirement constraints-oldest.txt "$$(grep '^torch==' constraints.txt)"
	@.venv/oldest/bin/python -m pip install --quiet --no-deps --editable .
	@.venv/oldest/bin/python -m pytest minipose book/minipose_book $$(grep -LE 'books|browsing|labs|notebooks|handout' tests/test_*.py)

lock:
	@$(PYTHON) -m pip install --quiet --target _build/uv $(UV)
	@_build/uv/bin/uv pip compile constraints.txt --no-deps --generate-hashes --no-emit-package torch \
		--python-version 3.11 --no-annotate --custom-compile-command "make lock" --quiet \
		--output-file requirements.lock
	@grep '^torch==' constraints.txt > _build/torch.txt
	@_build/uv/bin/uv pip compile pyproject.toml --all-extras --resolution lowest-direct \
		--constraint _build/torch.txt --python-version 3.11 --no-annotate --quiet \
		--custom-compile-command "make lock" | grep -vE '^(torch|triton|nvidia-.*|cuda-.*)==' > constraints-oldest.txt

# In an environment of their own, so that the lists do not name the tools.
.venv/lists/bin/pip-licenses: | $(INSTALLED)
	@$(PYTHON) -m venv --clear .venv/lists
	@.venv/lists/bin/python -m pip install --quiet $(LISTS)

# docutils also names the GPL: of a file for Emacs, which is not installed.
licences: .venv/lists/bin/pip-licenses
	@.venv/lists/bin/pip-licenses --python $(BIN)/python --from mixed --order license \
		--partial-match --fail-on 'GPL;UNKNOWN' --ignore-packages docutils

sbom: .venv/lists/bin/pip-licenses
	@mkdir -p _build && .venv/lists/bin/cyclonedx-py environment --pyproject pyproject.toml \
		--output-reproducible --output-file _build/sbom.json $(BIN)/python
	@echo "wrote _build/sbom.json"

clean:
	rm -rf .venv _build book/_static/vendor book/_static/lab/made tests/vendor
	rm -rf build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
