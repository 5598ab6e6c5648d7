#!/bin/sh
# tools/clidoc.sh [BUILD] -- writes the manual pages into docs/cli.md from what the program prints. With
# --check, prints the difference instead and fails if there is one.
set -eu
check=
if [ "${1:-}" = --check ]; then
    check=1
    shift
fi
cd "$(dirname "$0")/.."
program=${1:-build}/clipneuron
new=$(mktemp)
trap 'rm -f "$new"' EXIT
sed '/^## Manual pages$/q' docs/cli.md > "$new"
"$program" help | sed -n '/^commands:/,/^options:/s/^  \([a-z]*\)  .*/\1/p' | while read -r command; do
    [ "$command" = help ] && continue
    printf '\n### clipneuron %s\n\n```\n' "$command"
    "$program" help "$command"
    printf '```\n'
done >> "$new"
if [ -n "$check" ]; then
    diff -u docs/cli.md "$new"
else
    cp "$new" docs/cli.md
fi
