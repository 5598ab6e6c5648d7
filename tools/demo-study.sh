#!/bin/sh
# tools/demo-study.sh BUILD FOLDER -- FOLDER becomes a study of the default model on the demo pictures, unless it is one already. One of another
# model, or from another version of the program, makes way.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
study=$2
clipneuron=$build/clipneuron
export CLIPNEURON_MODEL="$root/models/specimen.safetensors"
sh "$root/tools/demo-pictures.sh" "$build"
fingerprint=$("$clipneuron" info --fingerprint --json | sed -n 's/.*"fingerprint": "\(............\).*/\1/p')
if [ -d "$study" ]; then
    "$clipneuron" stats "$study" 2>/dev/null | grep -q "fingerprint $fingerprint" && exit 0
    rm -rf "$study"
fi
"$clipneuron" scan --quiet "$build/demo-pictures" -o "$study" >/dev/null
