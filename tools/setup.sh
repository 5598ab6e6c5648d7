#!/bin/sh
# tools/setup.sh [SECTION...] -- installs what is missing of packages.txt (sections, default: build)
# and of package-lock.json. Says nothing when nothing is missing. DEPS=skip does nothing at all.
set -eu
cd "$(dirname "$0")/.."
[ "${DEPS:-}" != skip ] || exit 0
[ $# -gt 0 ] || set -- build

wanted() { # the packages of the named sections
    awk -v sections=" $* " '
        { sub(/#.*/, ""); gsub(/[ \t]/, "") }
        /^\[.*\]$/ { on = index(sections, " " substr($0, 2, length($0) - 2) " "); next }
        on && NF' packages.txt
}

have() { # is the package here, or the program that it is wanted for?
    case $1 in
    nodejs) ! command -v node >/dev/null 2>&1 || return 0 ;;
    npm) ! command -v npm >/dev/null 2>&1 || return 0 ;;
    esac
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

missing=
if command -v dpkg-query >/dev/null 2>&1; then
    for package in $(wanted "$@"); do
        have "$package" || missing="$missing $package"
    done
else
    echo "setup: not a Debian system; the libraries of packages.txt are taken as installed" >&2
fi

if [ -n "$missing" ]; then
    install="apt-get install -y --no-install-recommends$missing"
    if [ "$(id -u)" = 0 ]; then
        root=
    elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }; then
        root=sudo
    else
        echo "setup: these Debian packages are missing:$missing" >&2
        echo "setup: neither root nor sudo is possible here; have an administrator run" >&2
        echo "    $install" >&2
        exit 1
    fi
    echo "setup: installing$missing"
    run() { $root env DEBIAN_FRONTEND=noninteractive "$@" </dev/null; }
    # shellcheck disable=SC2086 # a list of package names
    run $install -qq >/dev/null 2>&1 || {
        run apt-get update -qq
        run $install -qq >/dev/null || { echo "setup: this command failed: $install" >&2; exit 1; }
    }
fi

# npm writes node_modules/.package-lock.json last: older than the lock file means out of date.
npm_ci() { # FOLDER
    [ -f "$1/package-lock.json" ] || return 0
    [ ! "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ] || return 0
    echo "setup: npm ci in $1"
    (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null)
}
npm_ci .
for section; do
    case $section in
    build) ;;
    model) npm_ci models/recipe ;;
    *) npm_ci "$section" ;;
    esac
done
