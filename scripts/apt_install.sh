#!/usr/bin/env bash
# Installs Debian packages when run by root; otherwise prints the command to run and fails.
# The programs are needed, not the services of their packages: none is started, now or at the next boot.
# Usage: apt_install.sh PACKAGE...
set -euo pipefail
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Missing: $*" >&2
    echo "Install it as root, then run the same command again:" >&2
    echo "    apt-get update && apt-get install --yes --no-install-recommends $*" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get update --quiet
apt-get install --quiet --yes --no-install-recommends "$@"
if [ -d /run/systemd/system ]; then
    dpkg-query --listfiles "$@" | sed --quiet 's|.*/systemd/system/\([^/@]*\.service\)$|\1|p' |
        xargs --no-run-if-empty systemctl disable --quiet
fi
