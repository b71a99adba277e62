#!/bin/bash
# make lint: the house rules (Tests/HouseTests), the layout of Swift code, and syntax of scripts.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0

note() {
    echo "lint: $1"
    failed=1
}

swift format lint --strict --parallel --recursive Package.swift Sources Tests ||
    note "swift format has complaints; \`swift format --in-place\` repairs most"
while IFS= read -r script; do
    bash -n "$script" || note "$script does not parse"
done < <(git ls-files '*.sh' .ci/run)
while IFS= read -r script; do
    python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$script" ||
        note "$script does not parse"
done < <(git ls-files '*.py')
swift test --filter HouseTests 2>&1 | grep -E '^✘|Test run with|error:' || true
[ "${PIPESTATUS[0]}" = 0 ] || note "house rules are broken"
[ $failed = 0 ] && echo "lint: fine"
exit $failed
