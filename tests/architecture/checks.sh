# tests/architecture/checks.sh -- sourced by the tests that are scripts. `check NAME FUNCTION` runs one test in the
# notation of cmocka, so that tools/test-summary.awk counts it; whatever the function prints is a complaint.
set -u
cd "${CN_SOURCE_DIR:?}" || exit 1
failed=0

check() {
    local complaint
    echo "[ RUN      ] $1"
    complaint=$("$1" 2>&1)
    if [ -z "$complaint" ]; then
        echo "[       OK ] $1"
    else
        echo "$complaint"
        echo "[  FAILED  ] $1"
        failed=1
    fi
}
