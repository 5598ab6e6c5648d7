#!/bin/sh
# bench/run.sh [BUILD] [--scan | --scale | --probe | --quick] [race.py's options] -- the benchmark that `make bench` runs; with one
# of the first three options that part alone: scans beside their networks; many pictures, units and parts (scale.py's options); the
# sparse probe's path. --scale and --probe are of full size and not in `make bench`. docs/benchmarks.md says what is measured. It
# needs the packages of [bench] in packages.txt and bench/node_modules (tools/setup.sh bench installs both; --scale and --probe do
# without) and the programs in BUILD/bench (cmake --build BUILD makes them).
set -eu
cd "$(dirname "$0")/.."
build=build
case ${1:-} in '' | -*) ;; *) build=$1; shift ;; esac
for program in peak bench_forward bench_see bench_scan bench_scale bench_probe; do
    [ -x "$build/bench/$program" ] || { echo "bench: $build/bench/$program is missing; run make bench" >&2; exit 1; }
done
case ${1:-} in
--scale) shift; exec python3 bench/scale.py "$build" "$@" ;;
--probe) shift; exec "$build/bench/bench_probe" 1000 2560 50000 "$@" ;;
esac
python=/usr/bin/python3 # Debian's, which has Debian's torch; another one may come first on PATH
[ -x $python ] || python=python3
$python -c 'import numpy, torch' 2>/dev/null || {
    echo "bench: python3-torch and python3-numpy are missing; tools/setup.sh bench installs them" >&2; exit 1; }
scan() { # what a scan costs beside its network
    models=
    for name in RN50x4 ViT-B-32; do
        model=$build/bench/$name.safetensors
        [ -f "$model" ] || { $python tools/referee/make_checkpoints.py --arch $name --statistics measured -o "$model.part" >/dev/null && mv "$model.part" "$model"; }
        models="$models $model"
    done
    # shellcheck disable=SC2086 # a list
    GOMP_SPINCOUNT=5000 "$build/bench/bench_scan" "$build/bench/scan-pictures" "$(nproc)" 3 $models
}
if [ "${1:-}" = --scan ]; then
    scan
    exit
fi
$python bench/race.py "$build" "$@"
echo
scan
if [ -x "$build/bench/bench_image" ] && $python -c 'import PIL' 2>/dev/null; then
    echo
    root=$PWD
    (cd "$build/bench" && ./bench_image "$root" $python)
fi
