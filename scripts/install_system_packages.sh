#!/usr/bin/env bash
# Installs those Debian packages that a purpose needs and that are missing.
# Usage: install_system_packages.sh bench|node|php-example|test
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
missing=()
optional=()

# need COMMAND PACKAGE...: the packages are missing when the command is.
need() {
    command -v "$1" >/dev/null || missing+=("${@:2}")
}

need_c_compiler() {
    command -v cc gcc clang >/dev/null || missing+=(gcc libc6-dev)
}

# The extension in C includes them. Where there is no Python yet, it comes from Debian's python3.
need_python_headers() {
    local python=${PYTHON:-python3} show
    if ! command -v "$python" >/dev/null; then
        missing+=(python3-dev)
        return
    fi
    show='import sys, sysconfig; print(sysconfig.get_path("include"), "python%d.%d-dev" % sys.version_info[:2])'
    local folder package
    read -r folder package < <("$python" -c "$show")
    [ -e "$folder/Python.h" ] || missing+=("$package")
}

need_node() {
    need node nodejs
    need npm npm
}

has_php_extension() {
    php -m 2>/dev/null | grep --quiet --ignore-case "^$1\$"
}

case ${1-} in
bench)
    need_c_compiler
    ;;
node)
    need_node
    ;;
php-example)
    need php php-cli
    # Where there is no such package, the example says what to do instead.
    has_php_extension zmq || optional+=(php-zmq)
    ;;
test)
    need_node
    need chromium chromium
    # Most tests in a browser need no more; without it, they take all of Chromium.
    command -v chromium-headless-shell >/dev/null || optional+=(chromium-headless-shell)
    need php php-cli
    has_php_extension redis || missing+=(php-redis)
    # Debian testing has no such package; the tests that need it are skipped there.
    has_php_extension zmq || optional+=(php-zmq)
    need_c_compiler
    need_python_headers
    need curl curl
    need git git
    need nginx nginx
    need apache2 apache2-bin
    need haproxy haproxy
    need caddy caddy
    need supervisord supervisor
    need systemd-analyze systemd
    need redis-server redis-server
    ;;
*)
    echo "Usage: install_system_packages.sh bench|node|php-example|test" >&2
    exit 2
    ;;
esac

if [ "${#missing[@]}" -gt 0 ] || [ "${#optional[@]}" -gt 0 ]; then
    scripts/apt_install.sh "${missing[@]}" --optional "${optional[@]}"
fi
