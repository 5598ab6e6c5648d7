# tests/architecture/test_rooms.sh -- who may include whom (docs/architecture.md), read from the source text.
. "${CN_SOURCE_DIR:?}/tests/architecture/checks.sh"

# Rooms that a room may include, itself aside.
allowed() {
    case $1 in
    base) echo "" ;;
    file) echo "base" ;;
    weights | image | text | nn) echo "base file" ;;
    clip) echo "base file weights image text nn" ;;
    study) echo "base file weights image text nn clip" ;;
    vis) echo "base file weights image text nn clip" ;;
    compose) echo "base file weights image text nn clip study vis" ;;
    pull) echo "base file" ;;
    *) echo "?" ;;
    esac
}

includes_point_one_way() {
    local room may file include target
    for room in src/*/; do
        room=$(basename "$room")
        may=" $room $(allowed "$room") "
        [ "$may" = " $room ? " ] && echo "src/$room: a room that the rule does not know" && continue
        grep -rnoE --include='*.[ch]' '^ *# *include *"[^"]+"' "src/$room" | while IFS= read -r include; do
            file=${include%%:*}
            target=${include#*\"} target=${target%\"}
            case $target in
            clipneuron/*) [ -f "include/$target" ] || echo "$file includes $target, which does not exist" ;;
            */*)
                case $may in
                *" ${target%%/*} "*) ;;
                *) [ -d "src/${target%%/*}" ] && echo "$file includes $target: $room may include only:$may" ;;
                esac
                ;;
            *) [ -f "src/$room/$target" ] || case $target in *.inc) ;; *) echo "$file includes $target, which is not in its room" ;; esac ;;
            esac
        done
    done
}

link_dependencies_point_one_way() {
    local file room depends dep
    for file in src/*/CMakeLists.txt; do
        room=$(basename "$(dirname "$file")")
        depends=$(sed 's/#.*//' "$file" | tr '\n' ' ' | grep -oE 'cn_room\([^)]*' | grep -oE 'DEPENDS [a-z ]+' | sed 's/DEPENDS//')
        for dep in $depends; do
            case " $(allowed "$room") " in
            *" $dep "*) ;;
            *) echo "$file: room $room depends on $dep" ;;
            esac
        done
    done
}

programs_see_public_headers_only() {
    local include file target
    grep -rnoE --include='*.[ch]' '^ *# *include *"[^"]+"' cli examples | while IFS= read -r include; do
        file=${include%%:*}
        target=${include#*\"} target=${target%\"}
        case $target in
        clipneuron/*.h) ;;
        *) [ -f "$(dirname "$file")/$target" ] || echo "$file includes $target" ;;
        esac
    done
}

only_one_file_knows_onednn() {
    grep -rlE --include='*.[ch]' '# *include *[<"](oneapi/dnnl/)?dnnl' src include cli examples | grep -v '^src/nn/onednn[a-z_]*\.[ch]$'
}

public_headers_name_no_dependency() {
    grep -rnE '^ *# *include' include | grep -vE '"clipneuron/[a-z_]+\.h"' |
        grep -vE '<(assert|complex|ctype|errno|fenv|float|inttypes|limits|locale|math|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|time)\.h>'
}

file_names_are_unique() {
    find src -name '*.[ch]' -printf '%f\n' | sort | uniq -d
}

allocations_go_through_base() {
    grep -rnE --include='*.[ch]' '(^|[^_a-zA-Z0-9.>])(malloc|calloc|realloc|reallocarray|strdup|strndup|aligned_alloc|posix_memalign|asprintf|getline) *\(' src |
        grep -v '^src/base/memory\.[ch]:' | grep -vE ':[0-9]+: *(/\*|\*|//)'
}

sources_have_no_tabs_or_trailing_blanks() {
    grep -rnP --include='*.[ch]' --include='CMakeLists.txt' --include='*.cmake' --include='*.sh' '\t|[ \t]+$' \
        src include cli examples cmake tools tests/*/*.[ch] tests/*/*.sh CMakeLists.txt 2>/dev/null | cut -c1-160
}

every_source_says_what_it_is() {
    find src include cli examples -name '*.[ch]' | while IFS= read -r file; do
        head -n 1 "$file" | grep -q '^/\*' || echo "$file: the first line is no comment"
    done
}

check includes_point_one_way
check link_dependencies_point_one_way
check programs_see_public_headers_only
check only_one_file_knows_onednn
check public_headers_name_no_dependency
check file_names_are_unique
check allocations_go_through_base
check sources_have_no_tabs_or_trailing_blanks
check every_source_says_what_it_is
exit $failed
