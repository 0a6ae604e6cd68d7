#!/usr/bin/env bash
# Makes a virtual environment; says what to install where Python cannot.
# Usage: make_venv.sh FOLDER   (PYTHON names the interpreter, default python3)
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "wampush needs Python 3.11 or newer; set PYTHON=/path/to/python3.11 or newer." >&2
    exit 1
fi
if [ -x "$folder/bin/python" ] && "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    scripts/install_packages.sh python3-venv
fi
"$python" -m venv --clear "$folder"
