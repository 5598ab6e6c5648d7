#!/bin/sh
# tools/gallery.sh BUILD [DOCS] -- the gallery page: units of the default model, plain and in every facet, beside the natural pictures that
# drive them. Writes DOCS/gallery.md and DOCS/images/gallery-N.webp (DOCS: docs of this repository). A quarter of an hour on two cores; what is
# made stays in BUILD/gallery, so it goes on after an interruption. From the environment: UNITS (24, how many), STEPS (384), FACETS (names; all).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
docs=${2:-$root/docs}
units=${UNITS:-24} steps=${STEPS:-384}
work=$build/gallery
clipneuron=$build/clipneuron
mkdir -p "$work" "$docs/images"
export CLIPNEURON_MODEL="$root/models/specimen.safetensors"
sh "$root/tools/demo-study.sh" "$build" "$work/study"
facets=
for facet in ${FACETS:-all}; do
    facets="$facets --facet $facet"
done

# ---- the pictures; one seed for all, so that facets differ by the facet alone
list=$("$clipneuron" card "$work/study" --list --json --top "$units" | sed -n 's/.*"unit": \([0-9]*\).*/layer4:\1/p')
# shellcheck disable=SC2086 # lists
"$clipneuron" see $list --study "$work/study" --dtype auto --steps "$steps" -o "$work/made"
# shellcheck disable=SC2086
"$clipneuron" see $list --study "$work/study" $facets --dtype auto --steps "$steps" -o "$work/made"

# ---- sheets of eight rows
rm -f "$docs"/images/gallery-*.webp
sheet=0
# shellcheck disable=SC2086
set -- $list
while [ $# -gt 0 ]; do
    sheet=$((sheet + 1)) rows=
    while [ $# -gt 0 ] && [ "$(echo "$rows" | wc -w)" -lt 8 ]; do
        rows="$rows $1"
        shift
    done
    # shellcheck disable=SC2086
    "$clipneuron" card "$work/study" $rows --gallery --scale 2 --quiet -o "$docs/images/gallery-$sheet.webp"
    echo "$rows" >"$work/sheet-$sheet"
done

# ---- the page
# "  layer4:5 layer4:7" -> "5,7"
numbers() {
    sed 's/[^ ]*://g; s/^ *//; s/ *$//; s/ /,/g' "$work/sheet-$1"
}
# The column `line` of a query to the study; CSV's quotes are taken off.
ask() {
    "$clipneuron" export "$work/study" --sql "$1" >"$work/answer"
    sed '1d; s/\r$//; s/^"//; s/"$//; s/""/"/g' "$work/answer"
}
{
    cat <<END
# Gallery

What units of the last block of the default model look for. Each row is a unit: its four strongest demo pictures with the part that it responds to,
then pictures that gradient ascent made from noise to drive it ($steps steps): plain, and in each facet. Under a picture stands the activation that it reaches,
in standard deviations measured from zero, in fp32 without transforms; a dagger says that this is less than the strongest natural picture
reaches, a star that the picture takes another path through the network than natural pictures do ([what that means](see.md#is-the-picture-honest)). The units are those that \`clipneuron card\` shows first: pure, and in several media.

Such pictures say what drives a unit, not what it does on real ones: for that, look at [neuron cards](cli.md#clipneuron-card). The table under each sheet says what
each unit responds to: the label of most of its strongest pictures with the share that has it, the words whose likeness to pictures its activation follows
best, and the media among its strongest pictures. Numbers are in the same standard deviations.

\`make gallery\` makes this page: \`tools/gallery.sh\`. The model and its pictures: [The default model](default-model.md).
END
    for number in $(seq "$sheet"); do
        at=$(numbers "$number")
        concepts=$(ask "SELECT group_concat(label, ', ') AS line FROM (SELECT l.name AS label FROM units u JOIN labels l ON l.id = u.label
                        WHERE u.site = 0 AND u.unit IN ($at) ORDER BY instr(',$at,', ',' || u.unit || ','))")
        cat <<END

![Rows of pictures of units for $concepts](images/gallery-$number.webp)

| unit | responds to | nearest words | media | strongest demo picture | plain drawing | in facets |
|---|---|---|---|---|---|---|
END
        ask "SELECT printf('| \`layer4:%d\` | **%s** (%.0f%%) | %s | %s | %.1f sd | %.1f sd | %s |', u.unit, ifnull(l.name, ''), 100 * ifnull(u.purity, 0),
                 ifnull((SELECT group_concat(word, ', ') FROM (SELECT words.word FROM unit_words x JOIN words ON words.id = x.word
                         WHERE x.site = 0 AND x.unit = u.unit ORDER BY x.rank LIMIT 3)), ''),
                 replace(ifnull(u.media, ''), ' ', ', '), max(u.max, 0) / u.rms,
                 (SELECT v.value / u.rms FROM visualisations v WHERE v.site = 0 AND v.unit = u.unit AND v.facet = ''),
                 ifnull((SELECT printf('%.1f to %.1f sd', min(v.value) / u.rms, max(v.value) / u.rms) FROM visualisations v
                         WHERE v.site = 0 AND v.unit = u.unit AND v.facet <> ''), '')) AS line
             FROM units u LEFT JOIN labels l ON l.id = u.label
             WHERE u.site = 0 AND u.unit IN ($at) ORDER BY instr(',$at,', ',' || u.unit || ',')"
    done
} >"$work/gallery.md"
mv "$work/gallery.md" "$docs/gallery.md"
echo "$docs/gallery.md: $units units on $sheet sheets"
