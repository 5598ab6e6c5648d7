#!/bin/sh
# bench/run.sh [BUILD] [--quick] [race.py's options] -- the benchmark that `make bench` runs. docs/benchmarks.md
# says what it measures. It needs the packages of [bench] in packages.txt and bench/node_modules
# (tools/setup.sh bench installs both) and the programs in BUILD/bench (cmake --build BUILD makes them).
set -eu
cd "$(dirname "$0")/.."
build=build
case ${1:-} in '' | -*) ;; *) build=$1; shift ;; esac
for program in peak bench_forward bench_see; do
    [ -x "$build/bench/$program" ] || { echo "bench: $build/bench/$program is missing; run make bench" >&2; exit 1; }
done
python=/usr/bin/python3 # Debian's, which has Debian's torch; another one may come first on PATH
[ -x $python ] || python=python3
$python -c 'import numpy, torch' 2>/dev/null || {
    echo "bench: python3-torch and python3-numpy are missing; tools/setup.sh bench installs them" >&2; exit 1; }
$python bench/race.py "$build" "$@"
if [ -x "$build/bench/bench_image" ] && $python -c 'import PIL' 2>/dev/null; then
    echo
    root=$PWD
    (cd "$build/bench" && ./bench_image "$root" $python)
fi
