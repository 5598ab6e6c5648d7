#!/bin/bash
# tools/kill-scans.sh BUILD [KILLS] -- scans the demo pictures again and again, each time killed (SIGKILL) at random moments
# and started again until it is done, until KILLS (100) processes were killed; every study must equal that of a scan that was left
# alone, row for row. Some are divided into two parts that are killed, too, and merged.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
wanted=${2:-100}
clipneuron=$build/clipneuron
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sh "$root/tools/demo-pictures.sh" "$build"
export CLIPNEURON_MODEL="$root/models/specimen.safetensors"
awk -F, 'NR == 1 { print; next } NR % 8 == 0 { print folder "/" $0 }' folder="$build/demo-pictures" "$build/demo-pictures/labels.csv" >"$work/list.csv"
printf '%s\n' cat dog heart tree sun moon house car fish bird flower star clock key book cup shoe >"$work/words.txt"
options=(--words "$work/words.txt" --threads 1 --batch 8 --quiet --show 0)

"$clipneuron" scan "${options[@]}" "$work/list.csv" -o "$work/whole" >/dev/null
kills=0 studies=0 first=$SECONDS

# until_done OPTION... -- one scan, killed now and then
until_done() {
    local pid rc
    while :; do
        "$clipneuron" scan "${options[@]}" --save-every 1 "$@" >/dev/null 2>"$work/errors" &
        pid=$!
        sleep "$(awk -v seed="$RANDOM" 'BEGIN { srand(seed); printf "%.3f", 0.1 + rand() * 2.5 }')"
        if kill -KILL "$pid" 2>/dev/null; then
            rc=0
            wait "$pid" 2>/dev/null || rc=$?
            if [ "$rc" -eq 137 ]; then
                kills=$((kills + 1))
                [ -t 2 ] && printf '\r%d kills, %d studies, %d s ' "$kills" "$studies" $((SECONDS - first)) >&2
                for last; do :; done
                [ ! -d "$last" ] || return 0 # killed behind its last step
                continue
            fi
        else
            rc=0
            wait "$pid" || rc=$?
        fi
        [ "$rc" -eq 0 ] || { cat "$work/errors" >&2; exit 1; }
        return 0
    done
}

while [ "$kills" -lt "$wanted" ]; do
    study=$work/study$studies
    if [ $((studies % 4)) -eq 3 ]; then
        until_done --shard 1/2 "$work/list.csv" -o "$study.1"
        until_done --shard 2/2 "$work/list.csv" -o "$study.2"
        "$clipneuron" merge --quiet --show 0 --words "$work/words.txt" "$study.2" "$study.1" -o "$study" >/dev/null
        tolerance=1e-6
    else
        until_done "$work/list.csv" -o "$study"
        tolerance=0
    fi
    "$build/tests/test_resume" "$work" whole "study$studies" "$tolerance" || { echo "kill-scans: study $studies differs" >&2; exit 1; }
    rm -rf "$study" "$study".[12]
    studies=$((studies + 1))
done
[ -t 2 ] && echo >&2
echo "$kills scans killed, $studies studies equal to that of a scan that was left alone"
