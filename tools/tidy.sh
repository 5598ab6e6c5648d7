#!/bin/bash
# tools/tidy.sh BUILD [JOBS] [FILE...] -- clang-tidy (.clang-tidy) over the sources of a build folder with
# compile_commands.json, all of src, cli and examples by default. Prints findings; fails if there are any.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1 jobs=${2:-2}
shift $(($# < 2 ? $# : 2))
[ $# -gt 0 ] || mapfile -t found < <(find src cli examples -name '*.c' | sort)
[ $# -gt 0 ] || set -- "${found[@]}"
# One file a call: with several, the analyser of clang 14 loses track of va_list.
printf '%s\0' "$@" | xargs -0 -P "$jobs" -n 1 clang-tidy -p "$build" --quiet 2>/dev/null
rc=$?
[ $rc = 0 ] && echo "clang-tidy: $# files without findings"
exit $rc
