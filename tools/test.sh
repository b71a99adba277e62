#!/bin/bash
# make test: installs what is missing, then every test, in stages. Each stage ends with one line
# that says what it did; the last lines repeat them. After a failed stage the next ones still run.
#
# QUICK=1: no fuzzing, no demo, fewer seeds. SEED=n repeats a run.
set -uo pipefail
cd "$(dirname "$0")/.."

logs=.build/test
results=()
failed=0
quick=${QUICK:+1}
export QUICK=$quick
# Tests print it, so a failure can be repeated.
export SEED=${SEED:-$RANDOM$RANDOM}

# stage NAME MINUTES COMMAND…: runs it with its output here and in a log, and keeps the result.
stage() {
    local name=$1 minutes=$2 status start=$SECONDS log=$logs/$1.log
    shift 2
    printf '\n== %s: %s\n' "$name" "$*"
    timeout --kill-after=10 $((minutes * 60)) "$@" 2>&1 | tee "$log" | shorten
    status=${PIPESTATUS[0]}
    finish "$name" "$status" $((SECONDS - start)) "$(summary "$log")"
}

# Thousands of "started" and "passed" lines stay in the log.
shorten() {
    grep --line-buffered -vE '^(◇|✔ Test (case )?|Test (Suite|Case))|^\[[0-9]+/[0-9]+\]'
}

# What the stage itself says last about how much it did.
summary() {
    grep -oE 'Test run with [0-9]+ tests?( in [0-9]+ suites?)?' "$1" | tail -1
}

finish() {
    local line
    case $2 in
    0) line="passed" ;;
    124) line="FAILED: took too long" ;;
    *) line="FAILED: status $2" ;;
    esac
    [ "$2" = 0 ] || failed=$((failed + 1))
    line="$1: $line, $3 s${4:+ ($4)}"
    results+=("$line")
    printf -- '-- %s\n' "$line"
}

# A filter that matches nothing passes; a run without a test is a failure here.
swift_tests() {
    local output
    output=$(mktemp)
    swift test --skip-build "$@" 2>&1 | tee "$output"
    local status=${PIPESTATUS[0]}
    grep -qE 'Test run with [1-9][0-9]* tests?' "$output" || status=1
    rm -f "$output"
    return "$status"
}
export -f swift_tests

mkdir -p "$logs"
echo "SEED=$SEED"
stage install 20 tools/install.sh test
[ $failed = 0 ] || exit 1
stage build 20 swift build --build-tests
[ $failed = 0 ] || exit 1
stage unit 10 bash -c 'swift_tests --skip IntegrationTests --skip SimulationTests'
stage simulation 10 bash -c 'swift_tests --filter SimulationTests'
stage integration 20 bash -c 'swift_tests --filter IntegrationTests'
stage instructions 15 tools/instructions.sh
if [ -z "$quick" ]; then
    stage fuzz 15 env SECONDS=60 tools/fuzz.sh
    stage demo 10 env ONCE=1 tools/demo.sh
fi

printf '\n== Results (SEED=%s, logs in %s)\n' "$SEED" "$logs"
printf '%s\n' "${results[@]}"
passed=$((${#results[@]} - failed))
echo "stages, in $((SECONDS / 60)) min $((SECONDS % 60)) s:"
echo "$passed passed, $failed failed"
exit $((failed > 0))
