# tools/test-summary.awk -- counts single tests in CTest's LastTest.log and ends with `N passed, N failed`.
# A cmocka program counts each of its tests; any other program counts as one test. A program that dies,
# leaks or runs out of time is a failure even if its finished tests were fine. Exit status 1 if anything failed.

function close_program() {
    if (!program)
        return
    if (skipped_program) {
        skipped++
    } else if (!run) {
        if (ok_program) passed++; else { failed++; note(program) }
    } else {
        bad = run - ok - skip
        if (!ok_program && bad <= 0) { # it died outside a test, or between its last test and exit
            bad = 1
            note(program)
        } else if (bad > 0) {
            note(program)
        }
        passed += ok
        failed += bad
        skipped += skip
    }
    program = ""
}
function note(text) { failures = failures "  " text "\n" }

/^[0-9]+\/[0-9]+ Testing: / {
    close_program()
    program = $0
    sub(/^[^:]*: /, "", program)
    run = ok = skip = ok_program = skipped_program = missing_program = 0
    next
}
{
    run += gsub(/\[ RUN      \]/, "&")
    ok += gsub(/\[       OK \]/, "&")
    skip += gsub(/\[  SKIPPED \] [a-z_A-Z]/, "&")
}
/^Test (Passed\.$|Pass Reason:)/ { ok_program = 1 }
/^(Unable to|Could not) find executable/ { missing_program = 1 } # "Not Run" too, but nobody chose that
/^Test (Not Run|Skipped)|^Test Skip/ { skipped_program = !missing_program }
END {
    close_program()
    if (failures)
        printf "failed:\n%s", failures
    printf "%d passed, %d failed%s\n", passed, failed, skipped ? ", " skipped " skipped" : ""
    exit failed > 0 || passed == 0
}
