#!/usr/bin/env bash
# Installs the wheel beside this script (or WHEEL) into a folder of its own and runs the suite on this machine's GPU.
#
#   run-on-gpu.sh [WHEEL]
#
# Needs Python 3 with PyTorch and a CUDA device; transformers, cupy and jax are tested where they are installed. Results go
# to $OUT (default: ./gpu-results): python.json and python.log.
set -u
here=$(cd "$(dirname "$0")" && pwd)
wheel=${1:-$(ls "$here"/*.whl | head -n 1)}
out=${OUT:-gpu-results}
mkdir -p "$out"
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" "$wheel" || exit 2
export PYTHONPATH=$site PYTHONUNBUFFERED=1 XLA_PYTHON_CLIENT_PREALLOCATE=false
set -o pipefail
timeout -k 5 "${LIMIT:-330}" python3 "$here/suite.py" --out="$out/python.json" "${@:2}" 2>&1 | tee "$out/python.log"
