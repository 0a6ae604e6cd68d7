#!/usr/bin/env bash
# Creates a virtual environment unless a working one is there.
# Usage: make_venv.sh FOLDER [--with-pip]   (PYTHON names the interpreter, by default python3)
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
python=${PYTHON:-python3}

if [ "${2-}" = --with-pip ]; then
    pip=()
    works='import ensurepip, pip'
else
    pip=(--without-pip)
    works='import sys'
fi
if [ -x "$folder/bin/python" ] && "$folder/bin/python" -c "$works" 2>/dev/null; then
    exit 0
fi
if ! command -v "$python" >/dev/null; then
    if [ "$python" != python3 ]; then
        echo "$python not found; set PYTHON to the path of Python 3.11 or newer." >&2
        exit 1
    fi
    scripts/apt_install.sh python3 python3-venv
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "wampush needs Python 3.11 or newer; set PYTHON to the path of one." >&2
    exit 1
fi
# Debian ships ensurepip, and sometimes the venv module, in a package for each Python version.
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    scripts/apt_install.sh "python$version-venv"
fi
"$python" -m venv --clear "${pip[@]}" "$folder"
