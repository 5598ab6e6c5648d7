#!/bin/sh
# tools/multimodal-results.sh BUILD -- writes docs/results/multimodal.txt (the report) and multimodal.csv (every unit) about the default model on the demo
# pictures, with the seed and the versions. Two or three minutes on two cores.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
seed=0
study=$build/results.study
out=$root/docs/results
mkdir -p "$out"
export CLIPNEURON_MODEL="$root/models/specimen.safetensors"
[ -f "$study/study.sqlite" ] || "$build/clipneuron" scan --quiet "$root/models/demo-pictures.tar" -o "$study" >/dev/null
report=$(mktemp) table=$(mktemp)
trap 'rm -f "$report" "$table"' EXIT
{
    echo "clipneuron multimodal on the default model (specimen) and the demo pictures: seed $seed, $("$build/clipneuron" --version | head -n 1)"
    echo "model sha256 $(sha256sum "$CLIPNEURON_MODEL" | cut -c1-16), pictures sha256 $(sha256sum "$root/models/demo-pictures.tar" | cut -c1-16)"
    echo "fonts: $(fc-match Sans family 2>/dev/null || echo unknown), $(fc-match Serif family 2>/dev/null || echo unknown), $(fc-match Monospace family 2>/dev/null || echo unknown)"
    echo
    "$build/clipneuron" multimodal "$study" --seed "$seed" --top 40 --quiet | sed 's/ in [0-9.]* s$//' # times are not results
} > "$report"
"$build/clipneuron" multimodal "$study" --seed "$seed" --dry-run --csv --quiet > "$table"
cp "$report" "$out/multimodal.txt"
cp "$table" "$out/multimodal.csv"
