#!/bin/sh
# tools/gallery.sh BUILD OUT.png -- a gallery: 24 units of the default model, plain and in every facet, beside the
# natural pictures that drive them. Minutes; what is made stays in BUILD/gallery, so it goes on after an interruption.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
out=$2
work=$build/gallery
clipneuron=$build/clipneuron
mkdir -p "$work"
sh "$root/tools/demo-pictures.sh" "$build"
export CLIPNEURON_MODEL="$root/models/specimen.safetensors"
[ -f "$work/study/study.sqlite" ] || "$clipneuron" scan "$build/demo-pictures" -o "$work/study"
units=$("$clipneuron" card "$work/study" --list --json --top 24 | sed -n 's/.*"unit": \([0-9]*\).*/layer4:\1/p')
# shellcheck disable=SC2086 # a list of units
"$clipneuron" see $units --study "$work/study" --dtype auto --steps 384
# shellcheck disable=SC2086
"$clipneuron" see $units --study "$work/study" --facet all --dtype auto --steps 384
# shellcheck disable=SC2086
"$clipneuron" card "$work/study" $units --gallery --scale 1 -o "$out"
