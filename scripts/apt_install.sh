#!/usr/bin/env bash
# Installs Debian packages when run by root; otherwise prints the command to run and fails.
# Usage: apt_install.sh PACKAGE...
set -euo pipefail
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Missing: $*" >&2
    echo "Install it as root, then run the same command again:" >&2
    echo "    apt-get update && apt-get install --yes --no-install-recommends $*" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet
apt-get install --quiet --yes --no-install-recommends "$@"
