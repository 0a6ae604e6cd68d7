#!/usr/bin/env bash
# Writes requirements/*.lock from requirements/*.in, with the hashes of every file of each version.
# pip's own files are left aside, so that no local index or folder decides what is locked.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=.cache/lock-tools
PYTHON="${PYTHON:-python3}" scripts/make_venv.sh "$tools"
"$tools/bin/python" -m pip install --quiet pip-tools
cd requirements
for name in build runtime test; do
    env --unset=PIP_FIND_LINKS --unset=PIP_EXTRA_INDEX_URL PIP_CONFIG_FILE=/dev/null \
        CUSTOM_COMPILE_COMMAND="make lock" \
        "../$tools/bin/pip-compile" --quiet --generate-hashes --allow-unsafe --strip-extras \
        --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
        --output-file "$name.lock" "$name.in"
done
