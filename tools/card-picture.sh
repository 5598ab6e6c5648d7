#!/bin/sh
# tools/card-picture.sh BUILD [UNIT] [OUT.png] -- README's picture of a neuron card: a unit of the default model on the demo pictures, with what
# gradient ascent makes for it.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
unit=${2:-583}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export CLIPNEURON_MODEL="$root/models/specimen.safetensors"
sh "$root/tools/demo-pictures.sh" "$build"
"$build/clipneuron" scan -q "$build/demo-pictures" -o "$scratch/study" >/dev/null
"$build/clipneuron" see "layer4:$unit" --study "$scratch/study" --steps 384 -q
"$build/clipneuron" see "layer4:$unit" --study "$scratch/study" --steps 384 -q --facet 3-d --facet face --facet flat --facet line --facet text
"$build/clipneuron" card "$scratch/study" "$unit" -q --scale 1 -o "${3:-$root/docs/images/card.png}"
