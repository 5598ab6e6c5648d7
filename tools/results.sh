#!/bin/sh
# tools/results.sh BUILD [multimodal|attack|stroop|defence|class|emotion|region|absent]... -- what clipneuron finds in the default model, as tables and pictures
# in docs/results, and their figures on its page (docs/results/README.md); without names, all. One scan of the demo pictures serves all; everything is made in
# BUILD/results, and what is there is kept for as long as model, pictures, program and this script are the same. Some ten minutes on two cores.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- multimodal attack stroop defence class emotion region absent
model=$root/models/specimen.safetensors
work=$build/results
study=$work/study
pictures=$build/demo-pictures
table=$root/models/demo-pictures.csv
out=$root/docs/results
seed=0
export CLIPNEURON_MODEL="$model"
mkdir -p "$work" "$out"
newline='
'
tab=$(printf '\t')

cn() {
    "$build/clipneuron" "$@"
}

# ---- what a result is about: the same lines at the head of every text
sum() {
    sha256sum "$1" | cut -c1-16
}
version=$(cn --version | head -n 1)
source=$(git -C "$root" describe --always --tags 2>/dev/null || echo "no repository")
git -C "$root" diff --quiet HEAD -- . ':!docs/results' 2>/dev/null || source="$source, changed"
{
    echo "default model (specimen), sha256 $(sum "$model"), on the demo pictures, sha256 $(sum "$root/models/demo-pictures.tar")"
    echo "$version (source $source), seed $seed, $(date -u +%Y-%m-%d)"
    echo "fonts: $(fc-match Sans family 2>/dev/null || echo unknown), $(fc-match Serif family 2>/dev/null || echo unknown), $(fc-match Monospace family 2>/dev/null || echo unknown)"
} >"$work/about.txt"
made_from=$({ cat "$model" "$root/models/demo-pictures.tar" "$build/clipneuron" "$0"; find "$build" -maxdepth 1 -name 'libclipneuron.so*' -exec cat {} +; } | sha256sum)

# report NAME TITLE: standard input as docs/results/NAME.txt, without times, which are no results
report() {
    { echo "$2"; cat "$work/about.txt"; echo; sed 's/ in [0-9.]* s$//'; } >"$work/$1.txt"
    cp "$work/$1.txt" "$out/$1.txt"
}

# picture FILE.svg: into docs/results, in the reader's theme: the colours of plot.c's light theme become those of its dark one
picture() {
    awk '/^<\/svg>/ {
            split("100%,100%,100% 10.98%,10.59%,9.8% 37.25%,36.08%,33.73% 83.92%,82.75%,79.61%", light, " ")
            split("#1c1e22 #eceae6 #b0aea8 #3c4047", dark, " ")
            print "<style>@media (prefers-color-scheme: dark) {"
            for (i = 1; i in light; i++) for (k = 1; k <= 2; k++) {
                what = k == 1 ? "fill" : "stroke"
                printf "[style*=\"%s:rgb(%s)\"] {%s: %s !important}\n", what, light[i], what, dark[i] }
            print "}</style>" }
        { print }' "$work/$1" >"$out/$1"
}

# figures NAME: standard input between the marks of that name on the page
figures() {
    cat >"$work/$1.md"
    awk -v name="$1" -v file="$work/$1.md" '
        /^<!-- end of figures -->/ { skip = 0 }
        !skip { print }
        $0 == "<!-- figures: " name " -->" { skip = 1; while ((getline line < file) > 0) print line }' "$out/README.md" >"$work/page.md"
    cmp -s "$work/page.md" "$out/README.md" || cp "$work/page.md" "$out/README.md"
}

prepare() {
    sh "$root/tools/demo-pictures.sh" "$build"
    [ "$(cat "$work/study.of" 2>/dev/null)" != "$made_from" ] || return 0
    rm -rf "$study" "$study.part" "$work"/*.of "$work"/*.jsonl "$work/targets"
    began=$(date +%s)
    cn scan --quiet "$pictures" -o "$study" >/dev/null
    cn name "$study" >/dev/null 2>&1
    echo "$made_from" >"$work/study.of"
    echo "scan: $(($(date +%s) - began)) s"
}

# The demo labels, and those of a family, one a line
labels() {
    awk -F, 'NR > 1 { print $2 }' "$table" | sort -u
}
family() {
    awk -F, -v family="$1" 'NR == FNR { if ($1 == family) of[$2] = 1; next } FNR > 1 && $2 in of && !seen[$2]++ { print $2 }' \
        "$root/models/families/families.csv" "$table"
}

# ---- units that answer to a concept in pictures and in writing
multimodal() {
    cn multimodal "$study" --seed $seed --top 40 --quiet | report multimodal "units that answer to a concept in pictures and as a written word"
    cn multimodal "$study" --seed $seed --dry-run --csv --quiet >"$work/multimodal.csv"
    cp "$work/multimodal.csv" "$out/multimodal.csv"
    { awk '/ units are multimodal/ { print "**" $1 " of " $3 " units are multimodal**, at a false discovery rate of 5%: one in twenty of them may be a match by chance." }
          / have a score above / { print $0 "."; print "" }
          /^by the family/ { sub(/^by/, "By"); print $0 "."; print "" }' "$out/multimodal.txt"
      echo "| family | unit | concept | drawings of it: AUC | its name in the collection | drawn by the program | base rate |"
      echo "|---|---:|---|---|---|---|---:|"
      # one unit of each family: the first of the table; no field but the family's and the concept's names could hold a comma
      awk -F, 'function auc(name) { return sprintf("%.2f (%.2f to %.2f)", $column[name "_auc"], $column[name "_low"], $column[name "_high"]) }
          NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
          $4 == "yes" && $3 != "" && !seen[$3]++ { printf "| %s | %s | %s | %s | %s | %s | %.1f%% |\n", $3, $1, $2, auc("drawing"), auc("word"), auc("drawn"), 100 * $column["base_rate"] }' "$out/multimodal.csv"
    } | figures multimodal
}

# ---- typographic attacks. Targets are those labels that did best on few pictures; what they do is measured on others, drawn by another seed.
label="--layout label --size 90 --at 0.5,0.75"
few=24
many=300

choose_targets() {
    [ ! -s "$work/targets" ] || return 0
    IFS=$newline
    # shellcheck disable=SC2046 # a label a line
    set -- $(labels)
    unset IFS
    # shellcheck disable=SC2086 # options
    cn attack run "$study" --targets "$@" --prompt '{}' $label -n $few --seed 1 --quiet --log "$work/screen.jsonl" >"$work/screen.txt"
    awk -F '  +' 'on { sub(/%/, "", $4); print $4 "\t" $1 } $1 == "target" { on = 1 }' "$work/screen.txt" |
        sort -t "$tab" -k1,1nr -k2,2 >"$work/screen.tsv"
    { head -n 7 "$work/screen.tsv"; grep "${tab}pizza\$" "$work/screen.tsv" || true; } | cut -f2 | awk '!seen[$0]++' >"$work/targets"
}

attack() {
    choose_targets
    IFS=$newline
    # shellcheck disable=SC2046
    set -- $(cat "$work/targets")
    unset IFS
    # shellcheck disable=SC2086
    cn attack run "$study" --targets "$@" $label -n $many --seed $seed --quiet --log "$work/attack.jsonl" --plot "$work/attack.svg" |
        report attack "typographic attacks with a paper label ($label); targets: the best of all labels on $few pictures of seed 1, and pizza"
    cn attack run "$study" --targets "$@" -n $many --seed $seed --quiet --log "$work/attack-paper.jsonl" |
        report attack-paper "the same with the paper's layout: eight times, white with a black outline"
    { echo "labels by the share of $few pictures (seed 1) that a paper label with their name turns into them"; cat "$work/about.txt"; echo
      awk -F "$tab" '{ printf "%5.1f%%  %s\n", $1, $2 }' "$work/screen.tsv"; } >"$out/attack-screen.txt"
    picture attack.svg

    # A picture that it works on: before, with the label, what makes it so
    set -- "$(head -n 1 "$work/targets")"
    for shown in airplane cat dog apple house umbrella; do
        victim=$pictures/$shown-colour-1.png
        [ "$shown" != "$1" ] && [ -f "$victim" ] || continue
        # shellcheck disable=SC2086
        cn attack draw "$victim" --text "$1" $label -o "$out/attacked.png" --class "$shown" --class "$1" >"$work/drawn.txt"
        awk -v target="$1" 'substr($0, 1, 4) == "{}  " && index($0, target) { sub(/%/, "", $NF); sub(/>/, "", $NF); fooled = $NF > 50 } END { exit !fooled }' "$work/drawn.txt" && break
    done
    cp "$victim" "$out/attacked-before.png"
    { cat "$work/drawn.txt"; echo
      cn attribute "$out/attacked.png" --text "$1" --versus "$shown" --study "$study" --map "$out/attacked-map.png" --top 6; echo
      cn find "$study" --image "$out/attacked.png" -n 6 --quiet | sed "s|.*/attacked.png|attacked.png|"; } | report attacked "a paper label with \"$1\" on a picture of \"$shown\""
    unit=$(awk '/^layer.*:[0-9]+ / { split($1, a, ":"); print a[2]; exit }' "$out/attacked.txt")
    cn card "$study" "$unit" -o "$out/attacked-unit.png" --scale 1 --quiet

    { echo "| target | pixels | taken for it, \`{}\` | \`a photo of a {}\` | \`... piece of paper saying ...\` | eight times, as in the paper |"
      echo "|---|---:|---|---|---|---|"
      awk -F '  +' 'FNR == 1 { file++; on = 0 } $1 == "target" { on = 1; next } !on || NF < 9 { next }
          file == 1 { if (!($1 in pixels)) order[++n] = $1; pixels[$1] = $3
                      cell[$1] = cell[$1] " " ($9 == "{}" ? "**" $4 "**" : $4) " (" $5 " to " $6 ") |" }
          file == 2 && $9 == "{}" { paper[$1] = $4 " of " $3 " px" }
          END { for (i = 1; i <= n; i++) print "| " order[i] " | " pixels[order[i]] " |" cell[order[i]] " " paper[order[i]] " |" }' "$out/attack.txt" "$out/attack-paper.txt"
      echo
      awk '/^[0-9]+ pictures of / { sub(/ of [^,]*,/, ","); sub(/right without a text: /, "right without a text (the three prompts): "); print "Of " $0 "."; exit }' "$out/attack.txt"
      echo
      echo "| before | with the label | what adds to *$1* rather than *$shown* |"
      echo "|---|---|---|"
      echo "| <img src=\"attacked-before.png\" width=\"192\" alt=\"$shown\"> | <img src=\"attacked.png\" width=\"192\" alt=\"$shown with the word $1\"> | <img src=\"attacked-map.png\" width=\"192\" alt=\"heat map\"> |"
      awk -v target="$1" -v name="$shown" -v unit="$unit" '
          substr($0, 1, 4) == "{}  " { if (index($0, target)) { after = $NF; before = $(NF - 1) } }
          $1 ~ ":" unit "$" && !adds { adds = NF >= 8 ? $(NF - 4) : "?" }
          /^difference of logits/ { split($0, a, ": "); split(a[2], b, ";"); all = b[1] }
          END { print "\n*" target "*: " before " before, " after " with the label. Unit " unit " alone adds " adds " of the " all " by which its logit exceeds that of *" name "*. The card of that unit, with nothing attacked:" }' "$out/attacked.txt"
      echo
      echo "![Card of unit $unit](attacked-unit.png)"; } | figures attack
}

stroop() {
    cn stroop --seed $seed --quiet --plot "$work/stroop.svg" | report stroop "the Stroop test: eight colour words in eight inks, and neutral words"
    picture stroop.svg
    { echo "| prompt | congruent: right | incongruent: the ink | incongruent: the word | neutral words: the ink |"
      echo "|---|---|---|---|---|"
      awk '/^[^ ]/ && index($0, "{}") { prompt = $0 }
          /^  (congruent|incongruent|neutral)/ { match($0, /[0-9.]+%  \([0-9. to%]+/); cell = substr($0, RSTART, RLENGTH); sub(/  /, " ", cell); cells = cells " " cell ") |" }
          /^  neutral/ { print "| `" prompt "` |" cells; cells = "" }' "$out/stroop.txt"; } | figures stroop
}

defence() {
    choose_targets
    IFS=$newline
    # shellcheck disable=SC2046
    set -- $(head -n 5 "$work/targets")
    unset IFS
    # shellcheck disable=SC2086
    cn attack defend "$study" --targets "$@" $label -n 400 --seed $seed --quiet --plot "$work/defence.svg" |
        report defence "defences against paper labels with: $(paste -sd, "$work/targets" | cut -d, -f1-5 | sed 's/,/, /g')"
    picture defence.svg
    { echo "| removed | taken for the target | right without a text | targets' own pictures |"
      echo "|---|---:|---:|---:|"
      awk -F '  +' 'BEGIN { word["readers"] = "units that read common words"; word["known"] = "units that read the attack\047s texts"
                            word["random"] = "random units"; word["heads"] = "heads of the attention pool"; word["projection"] = "directions of spelling" }
          $1 == "defence" { on = 1; next } !on || NF < 10 { next }
          { line = $3 " | " $7 " | " $10 " |" }
          $1 == "readers" && $2 == 0 { print "| nothing | " line }
          $1 in word && ($1 == "known" && $2 ~ /^(4|8)$/ || $1 ~ /readers|random/ && $2 == 128 || $1 == "heads" && $2 == 4 || $1 == "projection" && $2 == 64) { print "| " $2 " " word[$1] " | " line }
          $1 ~ /\{text\}/ { print "| prompt `" $1 "` | " line }' "$out/defence.txt"; } | figures defence
}

# ---- classes as sums of units
class() {
    cn probe "$study" --seed $seed --top 100000 --quiet -o "$work/probe.npz" | report classes "equations of all labels, and held-out accuracy against sparsity"
    IFS=$newline
    # shellcheck disable=SC2046
    set -- $(family emotion | sed 's/^/--class=/')
    unset IFS
    cn probe "$work/probe.npz" "$@" --graph "$work/classes.svg" --graph-least 1 --top 0 >/dev/null
    picture classes.svg
    { echo "| units a class | units in all | top-1, held out | top-5 |"
      echo "|---:|---:|---|---|"
      awk -F '  +' '/^ *strength / { on = 1; next } on && !NF { exit }
          on && /^ zero-shot/ { print "| zero-shot, no probe | | " $2 " | " $3 " |"; next }
          on { chosen = /^\*/; sub(/^\*? +/, ""); $0 = $0
               if (chosen || $2 >= last + 0.45) { last = $2; print "| " $2 (chosen ? " (chosen)" : "") " | " $3 " | " $4 " | " $5 " |" } }' "$out/classes.txt"
      echo
      awk '/set to their mean: over the classes/ { sub(/^ */, ""); sub(/^set/, "Setting an equation\047s units"); print $0 "."; exit }' "$out/classes.txt"
      echo; echo '```'
      awk '/ = / && /\[[0-9]+\]/ { terms = gsub(/\[/, "[") } / = / && /\[[0-9]+\]/ && terms >= 2 && terms <= 4 && ++n <= 12' "$out/classes.txt"
      echo '```'; } | figures class
}

emotion() {
    cn atlas "$study" --seed $seed --quiet -o "$work/emotions.svg" >"$work/atlas.txt"
    cn codes "$study" --seed $seed --quiet >"$work/codes.txt"
    { cat "$work/atlas.txt"; echo; echo "sparse codes"; echo; cat "$work/codes.txt"; } | report emotions "emotion words as sums of units, and their atlas"
    picture emotions.svg
    { awk '/^[0-9]+ factors/ { sub(/^/, "**"); sub(/:/, "**:"); print $0 "."; print "" } /^factor [0-9]/ { sub(/: /, " | "); sub(/^factor /, ""); rows = rows "| " $0 " | "; getline; sub(/^ +/, ""); rows = rows $0 " |\n" }
           END { print "| factor | units | words, with their shares |\n|---:|---|---|"; printf "%s", rows }' "$work/atlas.txt"
      echo
      echo "Some words, each with the densest code of at most four units:"
      echo; echo '```'
      awk '/^[a-z ]+$/ { word = $0; n = 0; next } /^ +[0-9]+% = / && ++n == 2 { sub(/^ +/, ""); sub(/% = /, "% "); share = $1; sub(/^[0-9]+% /, ""); printf "%-12s %4s = %s\n", word, share, $0 }' "$work/codes.txt" |
          awk '$1 ~ /^(surprised|astonished|anxious|angry|furious|happy|sad|tired|confused|disgusted|celebrating|in)$/'
      echo '```'; } | figures emotion
}

region() {
    cn regions "$study" --seed $seed --quiet --top 20 -o "$work/regions.svg" | report regions "countries: written names, and flags"
    picture regions.svg
    { awk '/ countries have pictures/ { a = $0; getline; sub(/\. Answers.*/, ""); print a " " $0 "."; print "" }
           / drawn words; / { sub(/^[0-9]+ drawn words; /, ""); print "By names alone " $0 "."; print "" }' "$out/regions.txt"
      echo "| country | unit | its name, sd | its flag, sd | its capital's name, sd | p | most to the name | most to the flag |"
      echo "|---|---:|---:|---:|---:|---:|---:|---:|"
      awk -F '  +' '$1 == "country" { on = 1; next } on && NF >= 11 { print "| " $1 " | " $3 " | " $4 " | " $5 " | " $6 " | " $7 " | " $8 " | " $10 " |" }' "$out/regions.txt"
    } | figures region
}

# ---- concepts that no unit stands for: of some candidates the first two whose direction is diffuse, and of which
# the interval of the regression's lead over the best unit leaves no doubt (docs/compose.md)
absent() {
    IFS=$newline
    # shellcheck disable=SC2046
    set -- $(family region | sed 's/^/--concept=/')
    unset IFS
    # the family of countries, then labels that no unit answers to, in pictures and in writing, in the labels' order
    { echo country
      awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "concept") c = i; else if ($i == "score") s = i; next }
               $s > best[$c] { best[$c] = $s } END { for (c in best) print c }' "$work/multimodal.csv" 2>/dev/null | sort >"$work/concepts"
      labels | grep -vxF -f "$work/concepts" | head -n 40; } | awk '!seen[$0]++' >"$work/candidates"
    rm -f "$out"/absent-*.png
    : >"$work/answers.tsv"
    : >"$work/absent.body"
    found=0
    while IFS= read -r concept && [ $found -lt 2 ]; do
        if [ "$concept" = country ]; then
            cn direction "$study" "$@" --seed $seed -o "$work/absent.npy" --add "$work/add.npy" >"$work/direction.txt"
        else
            cn direction "$study" --concept "$concept" --seed $seed -o "$work/absent.npy" --add "$work/add.npy" >"$work/direction.txt"
        fi
        printf '%s\t%s\n' "$concept" "$(awk 'NR == 1 { sub(/^[^:]*: /, ""); answer = $0 } NR == 2 { pictures = $1 }
            /^logistic/ { auc = $2 " (" $3 " to " $5 ")"; ratio = $6 } /^best unit/ { best = $3 " (" $4 " to " $6 "), " $7 " *" $8 ($9 ~ /,$/ ? " " $9 : "") "*"; sub(/,\*/, "*", best) }
            END { print pictures "\t" auc "\t" best "\t" ratio "\t" answer }' "$work/direction.txt")" >>"$work/answers.tsv"
        if head -n 1 "$work/direction.txt" | grep -q diffuse; then
            found=$((found + 1))
            { echo "== $concept"; cat "$work/direction.txt"
              echo; echo "the difference of means, added to pictures of a cloud: logits of the concept and of three others"
              # shellcheck disable=SC2046 # pictures
              cn intervene --edit "layer4.3.add+$work/add.npy" --text "$concept" --text cloud --text dog --text house "$pictures"/cloud-[cls]*.png
              echo; } >>"$work/absent.body"
            cn see "layer4.3.add:$work/absent.npy" --seed $seed --quiet -o "$out/absent-$found.png"
            echo "$concept" >"$work/absent-$found.name"
        fi
    done <"$work/candidates"
    report absent "concepts without a unit of their own: their directions" <"$work/absent.body"
    { echo "| concept | pictures | regression: AUC | best unit: AUC | participation ratio | answer |"
      echo "|---|---:|---|---|---:|---|"
      awk -F "$tab" '{ print "| " $1 " | " $2 " | " $3 " | " $4 " | " $5 " | " $6 " |" }' "$work/answers.tsv"
      echo
      for i in 1 2; do
          [ ! -f "$work/absent-$i.name" ] || [ $i -gt $found ] || printf '<img src="absent-%s.png" width="192" alt="A picture that drives the direction of %s"> ' $i "$(cat "$work/absent-$i.name")"
      done
      echo; } | figures absent
}

prepare
for name; do
    if [ "$(cat "$work/$name.of" 2>/dev/null)" = "$made_from" ]; then
        echo "$name: kept"
        continue
    fi
    began=$(date +%s)
    "$name"
    echo "$made_from" >"$work/$name.of"
    echo "$name: $(($(date +%s) - began)) s"
done
