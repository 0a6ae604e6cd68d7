#!/usr/bin/env bash
# Runs the pinned uv, with the registry settings that pip has on this machine.
# The first call installs it into .cache/bootstrap with the interpreter's own pip.
# Usage: uv.sh ARGUMENT...   (PYTHON names the interpreter, by default python3)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
bootstrap=$root/.cache/bootstrap
lock=$root/requirements/bootstrap.lock
installed=$bootstrap/bootstrap.lock

mkdir -p "$root/.cache"
(
    # Tests that run side by side may come here at once.
    flock 9
    if ! cmp --silent "$lock" "$installed" || ! "$bootstrap/bin/python" -c 'import pip' 2>/dev/null; then
        "$root/scripts/make_venv.sh" "$bootstrap" --with-pip
        "$bootstrap/bin/python" -m pip install --quiet --disable-pip-version-check \
            --no-deps --only-binary :all: --require-hashes --requirement "$lock"
        cp "$lock" "$installed"
    fi
) 9>"$root/.cache/bootstrap.flock" >&2
exec "$bootstrap/bin/python" "$root/scripts/run_uv.py" "$@"
