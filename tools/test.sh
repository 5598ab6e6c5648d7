#!/bin/sh
# tools/test.sh BUILD [JOBS] [CTEST OPTIONS...] -- runs the tests of a build folder and counts them one by one;
# the last line is `N passed, N failed`.
set -u
build=$1
jobs=${2:-2}
[ $# -lt 2 ] && shift $# || shift 2
log=$build/Testing/Temporary/LastTest.log
rm -f "$log"
# For sanitizer builds; without one, nobody reads these.
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1:allocator_may_return_null=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
# Several tests share the cores: a thread that waits for its sibling sleeps instead of taking another test's core.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
tools=$(cd "$(dirname "$0")" && pwd)
export LSAN_OPTIONS="${LSAN_OPTIONS:-suppressions=$tools/lsan.supp:print_suppressions=0}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-suppressions=$tools/tsan.supp:ignore_noninstrumented_modules=1}"
ctest --test-dir "$build" -j "$jobs" --timeout 1200 --output-on-failure --progress --schedule-random "$@" </dev/null
[ -f "$log" ] || { echo "no tests in $build"; echo "0 passed, 1 failed"; exit 1; }
exec awk -f "$tools/test-summary.awk" "$log"
