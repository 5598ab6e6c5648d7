# tests/models/test_recipe.sh -- the recipe of the default model is in order as it stands in the tree: its concepts
# and words, the packages that it pins, the licences and the held-out sets and fonts of what went into the model, and
# the sizes of what it makes. Nothing is installed or run.
. "${CN_SOURCE_DIR:?}/tests/architecture/checks.sh"
recipe=models/recipe
families="action animal body brand building clothing colour count country drink emotion fantasy food game holiday"
families+=" household letter medicine money music nature office person plant profession religion scene science sign"
families+=" sport style symbol technology time tool vehicle weather zodiac"
licences="MIT Apache-2.0 ISC CC0-1.0 CC-BY-4.0 CC-BY-3.0 OFL-1.1"

concepts() { grep -vE '^(#|$)' $recipe/concepts.tsv; }

# ---- concepts and words

concepts_have_a_name_a_family_a_tier_icons_and_phrases() {
    concepts | awk -F'\t' -v families="$families" '
        BEGIN { split(families, some, " "); for (i in some) known[some[i]] }
        NF != 5 { print $1 ": " NF " columns"; next }
        $1 !~ /^[a-z0-9]+([ -][a-z0-9]+)*$/ { print "name \"" $1 "\": not plain lower-case words" }
        $1 in seen { print $1 ": twice" }
        { seen[$1] }
        !($2 in known) { print $1 ": unknown family \"" $2 "\"" }
        $3 != "core" && $3 != "more" { print $1 ": unknown tier \"" $3 "\"" }
        $2 == "country" && $4 !~ /^[a-z][a-z]$/ { print $1 ": \"" $4 "\" is no country code" }
        $2 != "country" && $4 && $4 !~ /^[a-z0-9]+([ |][a-z0-9]+)*$/ { print $1 ": icons \"" $4 "\"" }
        $5 ~ /^ | $|^\||\|$|\|\|| \||\| |  / { print $1 ": phrases \"" $5 "\"" }'
}

there_are_enough_concepts() {
    local number
    number=$(concepts | wc -l)
    [ "$number" -ge 1500 ] || echo "$number concepts"
}

# A concept also claims icons of its own name, but not a number or a style; "orange" alone is the fruit. Codes of
# countries are read in the sets of flags only.
an_icon_belongs_to_one_concept() {
    concepts | awk -F'\t' '
        function claim(icon) {
            if (icon in owner && owner[icon] != $1) print icon ": claimed by " owner[icon] " and by " $1
            owner[icon] = $1
        }
        $2 == "country" {
            if ($4 in code) print $4 ": the code of " code[$4] " and of " $1
            code[$4] = $1
            next
        }
        {
            n = split($4, icons, "|")
            split("", mine)
            for (i = 1; i <= n; i++) {
                if (icons[i] in mine) print $1 ": icon " icons[i] " twice"
                mine[icons[i]]
                claim(icons[i])
            }
            if ($2 !~ /^(count|style|colour)$/) claim($1)
        }'
}

a_phrase_is_no_other_concept() {
    concepts | awk -F'\t' '
        { name[$1]; phrases[$1] = $5 }
        END {
            for (k in phrases) {
                n = split(phrases[k], some, "|")
                for (i = 1; i <= n; i++)
                    if (some[i] != k && some[i] in name) print k ": the phrase \"" some[i] "\" is a concept"
            }
        }'
}

words_are_plain_unique_and_no_concepts() {
    [ "$(grep -c '^[^#]' $recipe/words.txt)" -ge 1000 ] || echo "fewer than 1000 words"
    awk '/^#/ && !words { next } { words++ } !/^[a-z]+$/ || length($0) < 3 || length($0) > 11 { print FNR ": \"" $0 "\"" }' \
        $recipe/words.txt
    sort $recipe/words.txt | uniq -d | sed 's/$/: twice/'
    grep -Fx -f <(concepts | cut -f 1) $recipe/words.txt | sed 's/$/: a concept/'
}

# ---- packages

dependencies() { # NAME VERSION
    sed -n '/^  "dependencies": {/,/^  }/ s/^    "\([^"]*\)": "\([^"]*\)",\{0,1\}$/\1 \2/p' $recipe/package.json
}

locked() { # NAME VERSION INTEGRITY, "-" for what is missing
    awk '
        /^    "node_modules\// { name = $1; gsub(/^"node_modules\/|":$/, "", name); version = integrity = "-" }
        name && /^      "version": / { version = $2; gsub(/[",]/, "", version) }
        name && /^      "integrity": / { integrity = $2; gsub(/[",]/, "", integrity) }
        name && /^    }/ { print name, version, integrity; name = "" }' $recipe/package-lock.json
}

packages_are_asked_for_in_exact_versions() {
    [ "$(dependencies | wc -l)" -ge 3 ] || echo "package.json: no dependencies found"
    dependencies | grep -vE '^(@[a-z0-9-]+/)?[a-z0-9-]+ [0-9]+\.[0-9]+\.[0-9]+$'
}

packages_are_locked_by_version_and_hash() {
    locked | awk '$2 == "-" || $3 !~ /^sha512-[A-Za-z0-9+\/]+=*$/ { print $1 ": version " $2 ", integrity " $3 }'
    awk 'NR == FNR { version[$1] = $2; next } version[$1] != $2 { print $1 ": " $2 " wanted, locked " version[$1] }' \
        <(locked) <(dependencies)
}

# Packages come from wherever npm is told to look. The addresses of who asks for donations may stay.
the_lock_names_no_registry() {
    grep -nE '"resolved":|registry|://' $recipe/package-lock.json | grep -vE '^[0-9]+: *"url": "https://'
}

# ---- licences, and what training must not see

# The lists that stand in sources.py as NAME = {...} or (...), one item a line.
listed() { # NAME
    awk -v name="$1" 'index($0, name " = ") == 1 { on = 1 } on { print } on && /[})]/ { exit }' $recipe/sources.py |
        grep -o '"[^"]*"' | tr -d '"' | tr ' ' '\n' | grep .
}

# Rows of a section of sources.md, cells separated by tabs.
rows() { # SECTION
    awk -v section="## $1" '
        /^## / { on = index($0, section) == 1; body = 0 }
        on && /^\|[-|: ]*\|$/ { body = 1; next }
        on && body && /^\|/ { gsub(/^\| *| *\|$/, ""); gsub(/ *\| */, "\t"); print }' models/sources.md
}

not_allowed() { # reads lines "WHAT<tab>LICENCE"; names the first of each
    awk -F'\t' -v licences="$licences" '
        BEGIN { split(licences, some, " "); for (i in some) allowed[some[i]] }
        !($2 in allowed) && !seen[$2]++ { print $1 ": licence \"" $2 "\"" }'
}

the_recipe_allows_these_licences_only() {
    diff <(printf '%s\n' $licences | sort) <(listed LICENCES | sort)
}

demo_pictures_are_under_allowed_licences() {
    tail -n +2 models/demo-pictures.csv | sed 's/^\([^,]*\),.*,/\1\t/' | not_allowed
}

sources_are_under_allowed_licences() {
    [ -e models/sources.md ] || return 0
    rows "Icon sets" | cut -f 1,5 | not_allowed
    # "MIT, of the icons", "MIT, data ...": what stands behind the comma is no licence of pictures
    rows "Other pictures" | awk -F'\t' '{ sub(/,.*/, "", $4); print $1 "\t" $4 }' | not_allowed
    rows "Fonts" | cut -f 1,3 | not_allowed
}

held_out_sets_are_not_trained_on() {
    [ -e models/sources.md ] || return 0
    awk -F'\t' '
        NR == FNR { held_out[$1]; next }
        $6 !~ /^[0-9]+$/ || $7 !~ /^[0-9]+$/ { print $1 ": training \"" $6 "\", held out \"" $7 "\"" }
        $1 in held_out && $6 != 0 { print $1 ": held out, but " $6 " training pictures" }
        $1 in held_out { delete held_out[$1]; next }
        $7 != 0 { print $1 ": " $7 " pictures held out of a set that is not" }
        END { for (name in held_out) print name ": held out, but not in models/sources.md" }' \
        <(listed HELD_OUT) <(rows "Icon sets")
}

held_out_fonts_are_marked() {
    [ -e models/sources.md ] || return 0
    diff <(listed FONTS_HELD_OUT | sort) <(rows "Fonts" | awk -F'\t' '$5 == "held out" { print $1 }' | sort)
}

# ---- files

# at_most BYTES FILE
at_most() {
    local size
    size=$(stat -L -c %s "$2")
    [ "$size" -le "$1" ] || echo "$2: $size bytes, at most $1 wanted"
}

what_the_recipe_makes_is_small() {
    at_most 55000000 models/specimen.safetensors
    at_most 55000000 models/specimen-control.safetensors
    at_most 8000000 models/demo-pictures.tar
}

python_files_say_what_they_are() {
    local file
    for file in $recipe/*.py; do
        head -n 1 "$file" | grep -qE '^"""[^" ]' || echo "$file: no docstring in its first line"
    done
}

check concepts_have_a_name_a_family_a_tier_icons_and_phrases
check there_are_enough_concepts
check an_icon_belongs_to_one_concept
check a_phrase_is_no_other_concept
check words_are_plain_unique_and_no_concepts
check packages_are_asked_for_in_exact_versions
check packages_are_locked_by_version_and_hash
check the_lock_names_no_registry
check the_recipe_allows_these_licences_only
check demo_pictures_are_under_allowed_licences
check sources_are_under_allowed_licences
check held_out_sets_are_not_trained_on
check held_out_fonts_are_marked
check what_the_recipe_makes_is_small
check python_files_say_what_they_are
exit $failed
