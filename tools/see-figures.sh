#!/bin/sh
# tools/see-figures.sh BUILD [PART...] -- the figures of docs/see.md that are about the default model, in four parts: how many units' pictures
# drive them beyond the strongest natural picture (units); whether facets show (facets); what their strength does (strength); what bf16 loses
# (dtype). An hour or two on two cores for all; it goes on after an interruption; what is made stays in BUILD/see-figures.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
shift
parts=" ${*:-units facets strength dtype} "
for part in $parts; do
    case $part in
    units | facets | strength | dtype) ;;
    *) echo "see-figures.sh: no part '$part'; there are units, facets, strength, dtype" >&2; exit 2 ;;
    esac
done
wanted() { case $parts in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
work=$build/see-figures
clipneuron=$build/clipneuron
mkdir -p "$work"
export CLIPNEURON_MODEL="$root/models/specimen.safetensors"
sh "$root/tools/demo-study.sh" "$build" "$work/study"

# ---- every unit of the last block, in bf16 where the CPU has it
if wanted units; then
"$clipneuron" see layer4 --all --steps 384 --study "$work/study" --dtype auto --sheets 96 -o "$work/all"
echo "== units whose picture drives them beyond the strongest natural one (fp32, without transforms), of those that fire on the demo pictures"
awk '{ if (match($0, /"file": "[^"]*"/)) line[substr($0, RSTART, RLENGTH)] = $0 }
     END { for (f in line) { $0 = line[f]
               match($0, /"sd": [-0-9.e+]*/); sd = substr($0, RSTART + 6, RLENGTH - 6) + 0
               if (!match($0, /"natural_sd": [-0-9.e+]*/)) continue
               natural = substr($0, RSTART + 14, RLENGTH - 14) + 0
               if (natural > 0) { n++; more += sd > natural; ratio[n] = sd / natural }
               if (match($0, /"path": [-0-9.e+]+/)) { paths++; path += substr($0, RSTART + 8, RLENGTH - 8) } }
           printf "%d of %d (%.1f%%); mean path %.2f\n", more, n, 100 * more / n, paths ? path / paths : 0 }' "$work/all/seen.jsonl"
fi

# ---- facets: 100 units, plain and in each facet, 256 steps; a probe on another site tells
units=$("$clipneuron" card "$work/study" --list --json --top 100 | sed -n 's/.*"unit": \([0-9]*\).*/layer4:\1/p')
if wanted facets || wanted strength; then
sh "$root/tools/facets.sh" "$build" "$work/facets.npz" >/dev/null
facets=$("$clipneuron" facet list "$work/facets.npz" | awk 'NR > 2 { print $1 }')
PROBE_SITES="--site layer2.1 --site layer4.1" sh "$root/tools/facets.sh" "$build" "$work/probe.npz" >/dev/null
fi
if wanted facets; then
# shellcheck disable=SC2086 # lists
"$clipneuron" see $units --steps 256 --dtype auto -o "$work/facets"
# shellcheck disable=SC2086
"$clipneuron" see $units --facets "$work/facets.npz" --facet all --steps 256 --dtype auto -o "$work/facets"
"$clipneuron" facet score --quiet "$work/probe.npz" "$work/facets" >"$work/scores.tsv"
echo "== pictures in a facet that an independent probe (layer2.1, layer4.1) finds more of that facet than the plain picture of the unit"
for facet in $facets; do
    awk -v facet="$facet" -F '\t' '
        NR == 1 { for (i = 2; i <= NF; i++) if ($i == facet) column = i; next }
        { name = $1; sub(/.*\//, "", name); sub(/\.png$/, "", name)
          if (index(name, ".") == 0) plain[name] = $column
          else if (substr(name, index(name, ".") + 1) == facet) mine[substr(name, 1, index(name, ".") - 1)] = $column }
        END { for (u in mine) { n++; more += mine[u] > plain[u]; is += mine[u] > 0.5; was += plain[u] > 0.5 }
              printf "%-8s %d of %d; classified as it: %d, plain %d\n", facet, more, n, is, was }' "$work/scores.tsv"
done
awk -F '\t' '
    NR == 1 { for (i = 2; i <= NF; i++) facet[i] = $i; facets = NF; next }
    { name = $1; sub(/.*\//, "", name); sub(/\.png$/, "", name); unit = name; sub(/\..*/, "", unit)
      for (i = 2; i <= facets; i++)
          if (name == unit) was[unit] += $i > 0.5
          else if (name == unit "." facet[i]) is[unit] += $i > 0.5 }
    END { for (u in was) { n++; more += is[u] > was[u] }
          printf "units whose pictures in the facets are classified as their facets more often than the plain picture is as those: %d of %d\n", more, n }' "$work/scores.tsv"
fi

# ---- what strength of a facet does: four units in three facets
if wanted strength; then
four=$(echo "$units" | head -4)
# shellcheck disable=SC2086
"$clipneuron" see $four --steps 192 --dtype auto -o "$work/strength-plain"
"$clipneuron" facet score --quiet "$work/probe.npz" "$work/strength-plain" >"$work/plain.tsv"
echo "== strength: pictures more like the facet than the plain one; classified as it; beyond the unit's strongest natural picture"
for strength in 3 10 20 30 100; do
    # shellcheck disable=SC2086
    "$clipneuron" see $four --study "$work/study" --facets "$work/facets.npz" --facet text --facet line --facet food --strength $strength --steps 192 \
        --dtype auto -o "$work/strength-$strength"
    "$clipneuron" facet score --quiet "$work/probe.npz" "$work/strength-$strength" >"$work/facet.tsv"
    awk -v strength=$strength -F '\t' '
        function stem(path) { sub(/.*\//, "", path); sub(/\.png$/, "", path); return path }
        FNR == 1 { file++ }
        FNR == 1 && file < 3 { for (i = 2; i <= NF; i++) column[$i] = i; next }
        file == 1 { for (f in column) plain[stem($1) "." f] = $column[f]; next }
        file == 2 { name = stem($1); facet = name; sub(/.*\./, "", facet); n++; more += $column[facet] > plain[name]; is += $column[facet] > 0.5; next }
        { match($0, /"file": "[^"]*"/); name = substr($0, RSTART, RLENGTH)
          match($0, /"sd": [-0-9.e+]*/); sd = substr($0, RSTART + 6, RLENGTH - 6) + 0
          match($0, /"natural_sd": [-0-9.e+]*/); beyond[name] = sd > substr($0, RSTART + 14, RLENGTH - 14) + 0 }
        END { for (name in beyond) strong += beyond[name]
              printf "%-4s %d of %d; %d; %d\n", strength, more, n, is, strong }' "$work/plain.tsv" "$work/facet.tsv" "$work/strength-$strength/seen.jsonl"
done
fi

# ---- bf16 against fp32
if wanted dtype && "$clipneuron" see layer4:0 --dtype bf16 --steps 1 -q -o "$work/try.png" 2>/dev/null; then
    fifty=$(echo "$units" | head -50)
    # shellcheck disable=SC2086
    "$clipneuron" see $fifty --dtype fp32 -o "$work/fp32"
    # shellcheck disable=SC2086
    "$clipneuron" see $fifty --dtype bf16 -o "$work/bf16"
    # shellcheck disable=SC2086
    "$clipneuron" see $fifty --dtype fp32 --seed 1 -o "$work/fp32-1"
    for kind in fp32 bf16 fp32-1; do
        sed -n 's/.*"objective": "\([^"]*\)".*"value": \([-0-9.e+]*\).*/\1 \2/p' "$work/$kind/seen.jsonl" | sort -u -k1,1 >"$work/$kind.txt"
    done
    echo "== activation of what those made in fp32 reach (all measured in fp32), over 50 units: made in bf16; made in fp32 from another seed"
    for kind in bf16 fp32-1; do
        join "$work/fp32.txt" "$work/$kind.txt" | awk -v kind=$kind '{ a += $2; b += $3; n++; low += $3 < .98 * $2; high += $3 > $2 }
            END { printf "%-7s %.1f%% of the sum over %d units; %d below 98%%, %d above 100%%\n", kind, 100 * b / a, n, low, high }'
    done
fi
