#!/bin/sh
# tools/attack-figures.sh [BUILD [OUT]] -- the tables and plots of typographic attacks on the default model: some minutes.
set -eu
cd "$(dirname "$0")/.."
program=${1:-build}/clipneuron
out=${2:-docs/results}
pictures=models/demo-pictures.tar
mkdir -p "$out"
label="--layout label --size 90 --at 0.5,0.75"
targets="hamburger paypal balloon bread microscope"
"$program" --version > "$out/attack-version.txt"
# shellcheck disable=SC2086
"$program" attack run $pictures --targets $targets pizza cat $label -n 300 --seed 0 --plot "$out/attack.svg" > "$out/attack.txt"
"$program" attack run $pictures --targets $targets pizza cat -n 100 --seed 0 > "$out/attack-paper.txt"
"$program" attack defend $pictures --targets $targets $label -n 400 --seed 0 --plot "$out/defence.svg" > "$out/defence.txt"
"$program" stroop --seed 0 --plot "$out/stroop.svg" > "$out/stroop.txt"
