# tests/architecture/test_symbols.sh -- what libclipneuron.so shows to the world, read with nm.
. "${CN_SOURCE_DIR:?}/tests/architecture/checks.sh"
library=${CN_BINARY_DIR:?}/libclipneuron.so

exported_symbols_start_with_cn() {
    nm -D --defined-only "$library" | awk '{ print $NF }' | grep -vE '^(cn_[a-z0-9_]+|_init|_fini|_edata|_end|__bss_start)$' |
        grep -vE '^(__(asan|ubsan|tsan|lsan|sanitizer|sancov|interceptor|start|stop|odr_asan)|sancov)'
}

every_public_function_is_exported() {
    nm -D --defined-only "$library" | awk '{ print $NF }' | sort >"${TMPDIR:-/tmp}/cn-symbols.$$"
    # The declarations of a header on one line each, comments and braces removed.
    for header in include/clipneuron/*.h; do
        sed -e 's@//.*@@' "$header" | tr '\n' ' ' | sed -e 's@/\*\([^*]\|\*[^/]\)*\*/@@g' | tr ';{}' '\n' |
            grep CN_API | grep -oE '\bcn_[a-z0-9_]+ *(\(|\[|$)' | grep -oE 'cn_[a-z0-9_]+' || true
    done | sort -u | while IFS= read -r symbol; do
        grep -qx "$symbol" "${TMPDIR:-/tmp}/cn-symbols.$$" || echo "$symbol is declared and not exported"
    done
    rm -f "${TMPDIR:-/tmp}/cn-symbols.$$"
}

library_neither_prints_nor_exits() {
    nm -D --undefined-only "$library" | awk '{ print $NF }' | sed 's/@.*//' |
        grep -xE 'exit|_exit|abort|printf|vprintf|puts|putchar|perror|stdout|stderr|__printf_chk|__vprintf_chk'
}

check exported_symbols_start_with_cn
check every_public_function_is_exported
check library_neither_prints_nor_exits
exit $failed
