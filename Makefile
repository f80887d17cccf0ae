# One command for each habit. ARGS="…" is passed on: make run ARGS="-v", make test ARGS="-k doctor".

.PHONY: setup setup-dev run test lint bench soak fuzz clean
.SILENT:
.DEFAULT_GOAL := run
export PYTHONDONTWRITEBYTECODE :=

run: setup            ## the reference experiment
	.venv/bin/secondhop run $(ARGS)

setup:                ## .venv/bin/secondhop and all it needs, for every user of the machine
	scripts/setup

setup-dev:            ## and what the tests need
	scripts/setup dev

test: setup-dev       ## every test but the long campaigns
	.venv/bin/python -m pytest $(ARGS)

soak: setup-dev       ## the long campaigns
	.venv/bin/python -m pytest -m soak $(ARGS)

N = 2000
SEED := $(shell date +%s)
fuzz: setup-dev       ## N drawn worlds, half in each mode: prediction and packets; PROXY=a kube-proxy's path, SEED
	echo "seed $(SEED)"
	FUZZ_N=$$(( ($(N) + 1) / 2 )) FUZZ_PROXY="$(PROXY)" .venv/bin/python -m pytest -m soak -s \
	  tests/fuzz/test_fuzz.py --hypothesis-seed=$(SEED) $(ARGS)

lint: setup-dev       ## style, format, types
	.venv/bin/ruff check --quiet
	.venv/bin/ruff format --check --quiet
	.venv/bin/mypy --no-error-summary

bench: setup-dev      ## ratios to the floor; the API's requests and watches
	.venv/bin/python bench/run.py
	.venv/bin/python bench/table.py
	.venv/bin/python bench/scale.py
	.venv/bin/python bench/api.py
	.venv/bin/python bench/lab.py
	.venv/bin/python bench/rules.py
	.venv/bin/python bench/sync.py
	.venv/bin/python bench/live.py
	.venv/bin/python bench/trace.py
	.venv/bin/python bench/compare.py

clean:                ## what setup and the tools made in this checkout
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests bench -name __pycache__ -prune -exec rm -rf {} +
