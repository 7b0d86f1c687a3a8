#!/usr/bin/env bash
# Installs the suite from this folder, without network:  bash install.sh FOLDER
# Needs Python 3.11, git, and the operating system that the kit was made on. Some minutes and 7 GB.
set -euo pipefail

kit=$(cd "$(dirname "$0")" && pwd)
target=${1:-}
if [ -z "$target" ]; then echo "error: say where to: bash install.sh FOLDER" >&2; exit 2; fi
if [ -e "$target" ]; then echo "error: $target is there already; name a new folder" >&2; exit 2; fi
python=$(command -v python3.11) || { echo "error: Python 3.11 not found; install it first" >&2; exit 2; }

echo "1/4 repository"
git -c advice.detachedHead=false clone --quiet "$kit/repository.bundle" "$target"
cd "$target"
git switch --quiet --create main  # the bundle holds a commit and no branch
echo "2/4 environment, the longest step"
"$python" -m venv .venv
.venv/bin/python -m pip install --quiet --no-index --find-links "$kit/wheels" uv
.venv/bin/uv pip install --quiet --offline --no-index --find-links "$kit/wheels" --python .venv/bin/python \
    --no-deps --require-hashes -r requirements.lock
.venv/bin/uv pip install --quiet --offline --python .venv/bin/python --no-deps --no-build-isolation --editable .
touch .venv/.ready
echo "3/4 sample data"
.venv/bin/dvc pull --quiet --remote store data
if [ -d "$kit/live" ]; then mkdir -p build && cp -r "$kit/live" build/live; fi  # for the demos' start page
echo "4/4 checks"
.venv/bin/python -m anomaly_lib check
echo "ready: cd $target && make lab"
