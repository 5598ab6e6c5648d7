#!/bin/sh
# tools/demo.sh [BUILD] -- scans the demo pictures with the default model, prints the most interesting units, and
# writes a page of their cards. The last line is the page.
set -eu
build=${1:-build}
cd "$(dirname "$0")/.."
case $build in /*) ;; *) build=$PWD/$build ;; esac
out=$build/demo
mkdir -p "$out"
sh tools/demo-pictures.sh "$build"
rm -rf "$out/study" # it may be one of another model, which scan does not replace
"$build/clipneuron" scan --model models/specimen.safetensors "$build/demo-pictures" -o "$out/study"
"$build/clipneuron" card "$out/study" --top 32 -o "$out/index.html" \
    --title "What the units of specimen respond to" >/dev/null
echo
echo "$out/index.html"
