#!/bin/sh
# tools/facets.sh BUILD [OUT] -- trains the facets that come with the default model from the demo pictures and writes
# models/specimen.facets.npz (OUT); PROBE_SITES: options --site for a file of other sites. Which pictures belong to a facet follows from the table of the demo pictures: its media, and the families
# of its labels in models/recipe/concepts.tsv. Run it again when the model or the pictures change.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
out=${2:-$root/models/specimen.facets.npz}
sh "$root/tools/demo-pictures.sh" "$build"
lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT INT TERM

# facet NAME MEDIA FAMILIES: alternatives with | between them; an empty one takes all. Written words belong to no family here.
facet() {
    awk -v media="^($2)\$" -v families="^($3)\$" -v any_medium="$([ -z "$2" ] && echo 1)" -v any_family="$([ -z "$3" ] && echo 1)" \
        -v folder="$build/demo-pictures" '
        NR == FNR { split($0, f, "\t"); family[f[1]] = f[2]; next }
        FNR == 1 { next }
        { split($0, c, ",") }
        (any_medium ? (any_family || c[3] != "word") : c[3] ~ media) && (any_family || family[c[2]] ~ families) { print folder "/" c[1] }
    ' "$root/models/recipe/concepts.tsv" "$root/models/demo-pictures.csv" >"$lists/$1"
    set -- "$1"
    facets="$facets --facet $1=@$lists/$1"
}
facets=
facet text word ""
facet flat solid ""
facet line line ""
facet colour colour ""
facet 3-d 3-d ""
facet flag "" country
facet face "" emotion
facet nature "" "animal|plant|nature|weather"
facet indoor "" "household|clothing|office|music"
facet food "" "food|drink"
# shellcheck disable=SC2086 # a list of options
"$build/clipneuron" facet train --model "$root/models/specimen.safetensors" ${PROBE_SITES:-} $facets --generic "$build/demo-pictures" --quiet -o "$out"
"$build/clipneuron" facet list --model "$root/models/specimen.safetensors" "$out"
