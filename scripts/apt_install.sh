#!/usr/bin/env bash
# Installs Debian packages when run by root; otherwise prints the command to run and fails.
# The programs are needed, not the services of their packages: none is started, now or at the next boot.
# Packages after --optional are left out, with a note, where this version of Debian has no such package.
# Usage: apt_install.sh [PACKAGE...] [--optional PACKAGE...]
set -euo pipefail
packages=()
optional=()
is_optional=false
for argument in "$@"; do
    if [ "$argument" = --optional ]; then
        is_optional=true
    elif "$is_optional"; then
        optional+=("$argument")
    else
        packages+=("$argument")
    fi
done

# Adds the optional packages that there are; ends the script when there is nothing to install.
add_optional() {
    local package
    for package in "${optional[@]}"; do
        if "$(dirname "$0")/is_packaged.sh" "$package"; then
            packages+=("$package")
        else
            echo "This version of Debian has no package $package; going on without it." >&2
        fi
    done
    [ "${#packages[@]}" -gt 0 ] || exit 0
}

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    add_optional
    echo "Missing: ${packages[*]}" >&2
    echo "Install it as root, then run the same command again:" >&2
    echo "    apt-get update && apt-get install --yes --no-install-recommends ${packages[*]}" >&2
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
add_optional
apt-get install --quiet --yes --no-install-recommends "${packages[@]}"
if [ -d /run/systemd/system ]; then
    dpkg-query --listfiles "${packages[@]}" | sed --quiet 's|.*/systemd/system/\([^/@]*\.service\)$|\1|p' |
        xargs --no-run-if-empty systemctl disable --quiet
fi
