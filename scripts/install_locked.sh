#!/usr/bin/env bash
# Makes a virtual environment hold exactly what the lock files pin; creates it first if needed.
# Nothing is resolved and nothing is built: each file is a wheel that a lock names by its hash.
# Usage: install_locked.sh FOLDER LOCK...   (PYTHON names the interpreter, by default python3)
set -euo pipefail
folder=$1
scripts=$(dirname "$0")
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
"$scripts/make_venv.sh" "$folder"
exec "$scripts/uv.sh" pip sync --quiet --python "$folder/bin/python" \
    --require-hashes --no-build "${@:2}"
