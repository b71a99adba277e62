#!/bin/bash
# make soak: a release build under load and faults for MINUTES (first argument), then longer fuzzing.
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=${1:-10}
swift build --configuration release --product pgtee --static-swift-stdlib
python3 tools/bench/soak.py --minutes "$minutes" --pgtee .build/release/pgtee
tools/fuzz.sh $((minutes * 6))
