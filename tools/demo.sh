#!/bin/sh
# tools/demo.sh [BUILD] -- scans the demo pictures with the demo model, prints the most interesting units, and
# writes a page of their cards. The last line is the page.
set -eu
build=${1:-build}
cd "$(dirname "$0")/.."
case $build in /*) ;; *) build=$PWD/$build ;; esac
out=$build/demo
mkdir -p "$out"
"$build/clipneuron" scan --model models/icons-small.safetensors models/pictures --force -o "$out/study"
"$build/clipneuron" card "$out/study" --top 32 -o "$out/index.html" \
    --title "What the units of icons-small respond to" >/dev/null
echo
echo "$out/index.html"
