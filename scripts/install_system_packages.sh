#!/usr/bin/env bash
# Installs those Debian packages that a purpose needs and that are missing.
# Usage: install_system_packages.sh bench|php-example|test
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
missing=()

# need COMMAND PACKAGE...: the packages are missing when the command is.
need() {
    command -v "$1" >/dev/null || missing+=("${@:2}")
}

need_c_compiler() {
    command -v cc gcc clang >/dev/null || missing+=(gcc libc6-dev)
}

# need_php [EXTENSION...]: PHP's command line with these extensions.
need_php() {
    need php php-cli
    local extension
    for extension in "$@"; do
        php -m 2>/dev/null | grep --quiet --ignore-case "^$extension\$" || missing+=("php-$extension")
    done
}

case ${1-} in
bench)
    need_c_compiler
    ;;
php-example)
    need_php zmq
    ;;
test)
    need chromium chromium
    need_php zmq redis
    need_c_compiler
    need curl curl
    need nginx nginx
    need apache2 apache2-bin
    need haproxy haproxy
    need caddy caddy
    need supervisord supervisor
    need systemd-analyze systemd
    need redis-server redis-server
    ;;
*)
    echo "Usage: install_system_packages.sh bench|php-example|test" >&2
    exit 2
    ;;
esac

if [ "${#missing[@]}" -gt 0 ]; then
    scripts/apt_install.sh "${missing[@]}"
fi
