#!/usr/bin/env bash
# Succeeds unless this version of Debian is known to have no such package.
# Before the first `apt-get update`, or on another system, nothing is known.
# Usage: is_packaged.sh PACKAGE
set -euo pipefail
if ! command -v apt-cache >/dev/null || [ -z "$(apt-cache madison apt)" ]; then
    exit 0
fi
[ -n "$(apt-cache madison "$1")" ]
