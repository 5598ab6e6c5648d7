#!/bin/sh
# models/recipe/make_model.sh [OUT] -- the default model and its control from nothing: draws the data, trains, exports, measures,
# and writes OUT (default: models/): specimen.safetensors, specimen-control.safetensors, demo-pictures.tar and .csv, facts.cmake,
# sources.md; and the figures, curves and contact sheet of docs/default-model.md.
# Every step is kept in models/recipe/cache and done again only when its recipe changes. Interrupt it at any time: the same command
# goes on. Two cores take hours (docs/default-model.md), a GPU is used where PyTorch has one.
#   PYTHON    a Python with torch (/usr/bin/python3: Debian's)
#   FEATURES, TEXTS, SPECIMEN, POLISH, JOIN, CLOSE, CONTROL    more options for train.py, e.g. FEATURES=--large TEXTS=--large SPECIMEN="--large --steps 50000"
set -eu
cd "$(dirname "$0")"
out=$(cd "${1:-..}" && pwd)
docs=$(cd ../../docs && pwd)
python=${PYTHON:-/usr/bin/python3}
mkdir -p cache

# step NAME FILE... -- COMMAND: runs it unless it was done with the same files
step() {
    name=$1
    shift
    files=
    while [ "$1" != -- ]; do
        files="$files $1"
        shift
    done
    shift
    # shellcheck disable=SC2086 # a list of files
    sum=$(cat $files | sha256sum)
    [ "$(cat "cache/$name.done" 2>/dev/null)" != "$sum" ] || return 0
    echo "== $name"
    "$@"
    echo "$sum" >"cache/$name.done"
}

draw() {
    rm -f cache/render.* # rows may have moved
    "$python" pictures.py && "$python" render.py && "$python" drawn.py && "$python" words.py
}
step data concepts.tsv words.txt package-lock.json sources.py pictures.py render.mjs render.py drawn.py words.py -- draw

# Tensors above malloc's threshold would be given back and zeroed again in every step: a fifth of the time at 96 px.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 GLIBC_TUNABLES=glibc.malloc.hugetlb=1
# train.py continues where its checkpoint is, and ends at once where that is complete.
echo "== train"
# shellcheck disable=SC2086 # options
"$python" train.py features ${FEATURES:-} && "$python" train.py texts ${TEXTS:-} && "$python" train.py specimen ${SPECIMEN:-} &&
    "$python" train.py polish ${POLISH:-} && "$python" train.py join ${JOIN:-} &&
    "$python" train.py join --name close --init join --steps 360 --rate 3e-4 --scale-start 10 --scale 8 --hard 34 --words 110 ${CLOSE:-} &&
    "$python" train.py control ${CONTROL:-}
step export cache/close.pt cache/control.pt export.py -- sh -c "
    '$python' export.py cache/close.pt cache/specimen.safetensors &&
    '$python' export.py cache/control.pt cache/specimen-control.safetensors"
step evaluation cache/specimen.safetensors cache/specimen-control.safetensors evaluate.py -- sh -c "
    '$python' evaluate.py cache/specimen.safetensors -o cache/evaluation.json &&
    echo '== the control' && '$python' evaluate.py cache/specimen-control.safetensors -o cache/evaluation-control.json"

echo "== write"
"$python" demo_pictures.py "$out"
"$python" card.py sources "$out/sources.md"
"$python" card.py curves cache/features.log cache/specimen.log cache/polish.log cache/join.log cache/close.log cache/control.log "$docs/images/default-model-curves.svg"
"$python" card.py sheet cache/evaluation.json "$docs/images/default-model-units.png"
"$python" card.py figures cache/evaluation.json cache/evaluation-control.json "$docs/default-model.md"
"$python" card.py facts cache/evaluation.json "$out/demo-pictures.csv" "$out/facts.cmake"
for name in specimen specimen-control; do
    cp "cache/$name.safetensors" "$out/$name.safetensors.new"
    mv "$out/$name.safetensors.new" "$out/$name.safetensors"
done
