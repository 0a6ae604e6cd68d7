#!/usr/bin/env bash
# Writes requirements/*.lock from requirements/*.in: one lock for all supported Python versions, with
# the hashes of every file of each version. Locked versions stay unless --upgrade is given.
# Usage: compile_locks.sh [ARGUMENT...]   (passed on to uv pip compile)
#
# Configuration files are ignored, and so are extra indexes and folders that the environment names:
# no package of this machine gets locked.
set -euo pipefail
cd "$(dirname "$0")/../requirements"
for name in bootstrap build runtime test release; do
    env --unset=PIP_FIND_LINKS --unset=PIP_EXTRA_INDEX_URL --unset=PIP_CONSTRAINT \
        --unset=UV_FIND_LINKS --unset=UV_INDEX --unset=UV_EXTRA_INDEX_URL \
        --unset=UV_CONSTRAINT --unset=UV_OVERRIDE --unset=UV_EXCLUDE_NEWER \
        PIP_CONFIG_FILE=/dev/null \
        ../scripts/uv.sh --no-config pip compile --quiet \
        --universal --python-version 3.11 --fork-strategy fewest \
        --generate-hashes --no-strip-extras --no-emit-index-url --no-emit-find-links \
        --custom-compile-command "make lock" "$@" --output-file "$name.lock" "$name.in"
done
