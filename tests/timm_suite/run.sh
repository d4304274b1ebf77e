#!/usr/bin/env bash
# Run the installed timm version's own tests/test_models.py on our names. pip downloads timm's sources, so it needs a network.
#   tests/timm_suite/run.sh [PYTHON [PYTEST OPTIONS, such as -k 192 for some of the names]]
set -euo pipefail
python=${1:-python}
options=("${@:2}")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$("$python" -c 'from importlib.metadata import version; print(version("timm"))')
"$python" -m pip download --quiet --no-deps --no-binary timm --dest "$work" "timm==$version"
tar -xzf "$work"/timm-*.tar.gz -C "$work" --strip-components=1 --wildcards '*/tests/*'
cd "$work"
# No folder called timm may be here: it would hide the installed one.
PYTHONPATH="$here" "$python" -m pytest -p only_ours -p no:cacheprovider -q --timeout=600 "${options[@]}" tests/test_models.py
