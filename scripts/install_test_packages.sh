#!/usr/bin/env bash
# Sees to it that the Debian packages which the tests use are there. Installs only what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
missing=()

command -v chromium >/dev/null || missing+=(chromium)
command -v php >/dev/null || missing+=(php-cli)
php -m 2>/dev/null | grep --quiet --ignore-case '^zmq$' || missing+=(php-zmq)
php -m 2>/dev/null | grep --quiet --ignore-case '^redis$' || missing+=(php-redis)
command -v gcc >/dev/null || missing+=(gcc libc6-dev)
command -v curl >/dev/null || missing+=(curl)
command -v nginx >/dev/null || missing+=(nginx)
command -v redis-server >/dev/null || missing+=(redis-server)
if [ ! -x .venv/bin/python ]; then
    "${PYTHON:-python3}" -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
fi

if [ "${#missing[@]}" -gt 0 ]; then
    scripts/install_packages.sh "${missing[@]}"
fi
