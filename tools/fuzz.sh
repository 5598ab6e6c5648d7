#!/bin/bash
# tools/fuzz.sh BUILD [SECONDS] [JOBS] [CORPUS_OUT] -- runs every libFuzzer target of a fuzz build from its
# committed corpus, SECONDS each (60), JOBS at a time (2). New inputs stay in BUILD/fuzz/work, reproducers
# of crashes in BUILD/fuzz/crashes. The last line is `N passed, N failed`.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1 seconds=${2:-60} jobs=${3:-2}

fuzz_one() { # BUILD SECONDS TARGET
    local target=$3 name=${3##*/fuzz_} log
    log=$1/fuzz/$name.log
    mkdir -p "$1/fuzz/work/$name" "$1/fuzz/crashes"
    # A reader's own limits hold its memory down: 1 GiB is far above all of them for inputs of this size.
    "$target" -max_total_time="$2" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=1024 -max_len=200000 \
        -print_final_stats=1 -artifact_prefix="$1/fuzz/crashes/$name-" \
        "$1/fuzz/work/$name" "tests/fuzz/corpus/$name" </dev/null >"$log" 2>&1
    local rc=$? runs
    runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
    if [ $rc = 0 ]; then
        echo "ok     $name (${runs:-?} inputs in $2 s)"
    else
        echo "FAILED $name, see $log"
        tail -n 30 "$log" >&2
    fi
}
export -f fuzz_one

results=$(find "$build/fuzz" -maxdepth 1 -type f -perm -u+x -name 'fuzz_*' | sort |
    xargs -P "$jobs" -I{} bash -c 'fuzz_one "$@"' _ "$build" "$seconds" {})
echo "$results"
passed=$(grep -c '^ok ' <<<"$results")
failed=$(grep -c '^FAILED ' <<<"$results")
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
