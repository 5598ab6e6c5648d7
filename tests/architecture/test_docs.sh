# tests/architecture/test_docs.sh -- what the documents claim and a script can check: links lead somewhere, every
# library has its reason, and the sessions in docs/errors.md are what the program says.
. "${CN_SOURCE_DIR:?}/tests/architecture/checks.sh"

links_lead_somewhere() {
    local file target
    # of ours: what npm, the build and the recipe's cache hold is others', and large
    find . \( -name node_modules -o -path './build*' -o -path ./.git -o -path ./models/recipe/cache \) -prune -o \
        -name '*.md' -print | while IFS= read -r file; do
        grep -oE '\]\([^)#: ]+' "$file" | sed 's/^](//' | while IFS= read -r target; do
            [[ $target = http* ]] || [ -e "$(dirname "$file")/$target" ] || echo "$file: $target does not exist"
        done
    done
}

every_library_has_its_reason() {
    awk '/^\[/ { on = /build/ } on && /^lib.*-dev$/ && !/^libc6-dev/' packages.txt | while IFS= read -r package; do
        grep -q "\`$package\`" docs/dependencies.md || echo "$package is not in docs/dependencies.md"
    done
    find src cli -name CMakeLists.txt -exec grep -ohE 'cn_pkg\([A-Z0-9_]+ [a-z0-9-]+' {} + | awk '{ print $2 }' | sort -u |
        while IFS= read -r module; do
            pkg-config --exists "$module" || echo "pkg-config does not know $module"
        done
}

fuzz_targets_have_small_corpora() {
    local target name size
    for target in tests/fuzz/fuzz_*.c; do
        name=${target##*/fuzz_} name=${name%.c}
        size=$(cat tests/fuzz/corpus/"$name"/* 2>/dev/null | wc -c)
        [ "$size" -gt 0 ] || echo "tests/fuzz/corpus/$name is empty"
        [ "$size" -le 300000 ] || echo "tests/fuzz/corpus/$name has $size bytes"
    done
}

# A block ```console has lines `$ command`, what it prints (both streams), and `[exit N]` unless N is 0. It runs in
# a scratch folder with build/clipneuron on PATH; files made with printf in one block are there in the next.
sessions_in_the_manual_are_true() {
    local scratch
    scratch=$(mktemp -d) || return
    set -- "$CN_BINARY_DIR"/demo-pictures/*.png
    cp "$1" "$scratch/picture.png"
    ln -s "$PWD/models/specimen.safetensors" "$scratch"
    awk -v root="$scratch" '
        /^```console$/ { on = 1; next }
        /^```$/ { if (on) flush(); on = 0; next }
        on && /^\$ / { flush(); command = substr($0, 3); want = ""; next }
        on { want = want $0 "\n" }
        function flush(   n) {
            if (command == "") return
            n = sprintf("%s/session-%03d", root, ++count)
            print command > (n ".command"); close(n ".command")
            printf "%s", want > (n ".want"); close(n ".want")
            command = ""
        }' docs/errors.md
    ls "$scratch"/session-001.command >/dev/null || echo "docs/errors.md has no sessions"
    local step got rc
    for step in "$scratch"/session-*.command; do
        got=$(cd "$scratch" && PATH=$CN_BINARY_DIR:$PATH COLUMNS=80 LC_ALL=C.UTF-8 \
            bash "$step" 2>&1 </dev/null; rc=$?; [ $rc = 0 ] || echo "[exit $rc]")
        if [ "$got" != "$(cat "${step%.command}.want")" ]; then
            echo "docs/errors.md: \$ $(cat "$step")"
            diff <(cat "${step%.command}.want") <(echo "$got")
        fi
    done
    rm -rf "$scratch"
}

check links_lead_somewhere
check every_library_has_its_reason
check fuzz_targets_have_small_corpora
check sessions_in_the_manual_are_true
exit $failed
