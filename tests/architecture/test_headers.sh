# tests/architecture/test_headers.sh -- every public header stands alone, in C11 and in C++.
. "${CN_SOURCE_DIR:?}/tests/architecture/checks.sh"

compile() { # COMPILER LANGUAGE STANDARD
    command -v "$1" >/dev/null 2>&1 || return 0
    local header
    for header in include/clipneuron/*.h; do
        printf '#include "%s"\n#include "%s"\nint answer;\n' "${header#include/}" "${header#include/}" |
            "$1" -x "$2" -std="$3" -pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only - || echo "$header: $1 -std=$3"
    done
}

headers_stand_alone_in_c11() { compile gcc c c11; compile clang c c11; }
headers_stand_alone_in_cxx() { compile g++ c++ c++11; compile g++ c++ c++20; compile clang++ c++ c++17; }

umbrella_header_includes_all() {
    local header
    for header in include/clipneuron/*.h; do
        case $header in */clipneuron.h) continue ;; esac
        grep -q "#include \"${header#include/}\"" include/clipneuron/clipneuron.h || echo "${header#include/} is missing"
    done
}

check headers_stand_alone_in_c11
check headers_stand_alone_in_cxx
check umbrella_header_includes_all
exit $failed
