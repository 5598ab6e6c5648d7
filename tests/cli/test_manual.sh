# tests/cli/test_manual.sh -- docs/cli.md has the manual pages that the program prints.
exec sh "${CN_SOURCE_DIR:?}/tools/clidoc.sh" --check "${CN_BINARY_DIR:?}"
