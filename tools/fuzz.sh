#!/usr/bin/env bash
# Builds every fuzz target of tools/fuzz-targets and runs each for SECONDS (default 60), two at a
# time. Fails when a target finds a crash, or when the canary's fault is not found.
#   tools/fuzz.sh [target ...]      SECONDS=600 tools/fuzz.sh scanner
# Inputs that crash stay in .build/fuzz/<target>/crash-*: turn each into a unit test.
set -euo pipefail
cd "$(dirname "$0")/.."

# bash gives SECONDS a meaning of its own (time since start) unless the environment set it.
seconds=60
if [ -n "$(env | sed -n 's/^SECONDS=//p')" ]; then
    seconds=$(env | sed -n 's/^SECONDS=//p')
fi
jobs=${FUZZ_JOBS:-2}
build=.build/fuzz
flags=(-O -parse-as-library -package-name pgtee -swift-version 6 -sanitize=fuzzer,address
    -enable-upcoming-feature ExistentialAny -enable-upcoming-feature InternalImportsByDefault
    -enable-upcoming-feature MemberImportVisibility)
mkdir -p "$build/modules"

# The linker's words on AddressSanitizer's own symbols say nothing about ours.
compile() {
    swiftc "${flags[@]}" "${maps[@]}" -I "$build/modules" "$@" \
        2> >(grep -v 'Cannot export local symbol' >&2)
}

# A room's module and object; compiled once, whichever targets use it, and again when its sources or a
# room before it have changed.
build_room() {
    local room=$1 name object other isOld=
    name=$(basename "$room")
    object=$build/modules/$name.o
    mapfile -t files < <(find "Sources/$room" -name '*.swift' | sort)
    for other in tools/fuzz.sh "${files[@]}" "${objects[@]}"; do
        if [ ! "$object" -nt "$other" ]; then isOld=yes; fi
    done
    if [ -z "$isOld" ]; then return; fi
    compile -wmo -c -module-name "$name" \
        -emit-module -emit-module-path "$build/modules/$name.swiftmodule" -o "$object" \
        "${files[@]}"
}

build_target() {
    local name=$1 rooms=$2 sources=$3 libraries=$4 room library
    local -a objects=() links=() extra=()
    maps=()
    IFS=, read -ra list <<<"$rooms"
    for room in "${list[@]}"; do
        if [[ $room == C/* ]]; then
            maps+=(-Xcc "-fmodule-map-file=$(find "Sources/$room" -name module.modulemap)"
                -I "Sources/$room" -I "Sources/$room/include")
        else
            build_room "$room"
            objects+=("$build/modules/$(basename "$room").o")
        fi
    done
    if [ "$sources" != - ]; then IFS=, read -ra extra <<<"$sources"; fi
    if [ "$libraries" != - ]; then
        IFS=, read -ra list <<<"$libraries"
        for library in "${list[@]}"; do links+=("-l$library"); done
    fi
    mkdir -p "$build/$name/found"
    compile -module-name "Fuzz_$name" -o "$build/$name/fuzz" \
        "Tests/Fuzz/$name.swift" Tests/Fuzz/FuzzInput.swift "${extra[@]}" "${objects[@]}" "${links[@]}"
}

# Memory is bounded per allocation, so that a length that is believed too early is a crash.
run_target() {
    local name=$1 status=0
    rm -f "$build/$name"/crash-* "$build/$name"/timeout-* "$build/$name"/oom-*
    # The canary has to be found anew each time.
    if [ "$name" = canary ]; then rm -f "$build/canary/found"/*; fi
    mkdir -p "Tests/Fuzz/corpus/$name"
    "$build/$name/fuzz" -max_total_time="$seconds" -max_len=4096 -timeout=10 \
        -malloc_limit_mb=64 -rss_limit_mb=1024 -artifact_prefix="$build/$name/" \
        -print_final_stats=1 "$build/$name/found" "Tests/Fuzz/corpus/$name" \
        >"$build/$name/log" 2>&1 || status=$?
    if [ "$name" = canary ]; then
        if [ "$status" -ne 0 ] && grep -q 'Fatal error: canary' "$build/$name/log"; then
            echo "fuzz: canary was found"
            return 0
        fi
        echo "fuzz: canary was NOT found: the other results say nothing; see $build/$name/log"
        return 1
    fi
    if [ "$status" -ne 0 ]; then
        echo "fuzz: $name crashed:"
        tail -n 40 "$build/$name/log"
        return 1
    fi
    echo "fuzz: $name survived $seconds s," \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$name/log") inputs"
}

wanted=("$@")
names=()
while read -r name rooms sources libraries; do
    if [[ -z $name || $name == \#* ]]; then continue; fi
    if [ ${#wanted[@]} -gt 0 ] && [[ " ${wanted[*]} " != *" $name "* ]]; then continue; fi
    echo "fuzz: building $name"
    build_target "$name" "$rooms" "$sources" "$libraries"
    names+=("$name")
done <tools/fuzz-targets
if [ ${#names[@]} -eq 0 ]; then
    echo "fuzz: no such target: ${wanted[*]}; see tools/fuzz-targets" >&2
    exit 64
fi

export build seconds
export -f run_target
printf '%s\n' "${names[@]}" | xargs -P "$jobs" -I{} bash -c 'run_target {}'
