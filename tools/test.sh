#!/bin/sh
# tools/test.sh BUILD [JOBS] [CTEST OPTIONS...] -- runs the tests of a build folder and counts them one by one;
# the last line is `N passed, N failed`.
set -u
build=$1
jobs=${2:-2}
[ $# -lt 2 ] && shift $# || shift 2
log=$build/Testing/Temporary/LastTest.log
rm -f "$log"
ctest --test-dir "$build" -j "$jobs" --timeout 300 --output-on-failure --progress --schedule-random "$@" </dev/null
[ -f "$log" ] || { echo "no tests in $build"; echo "0 passed, 1 failed"; exit 1; }
exec awk -f "$(dirname "$0")/test-summary.awk" "$log"
