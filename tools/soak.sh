#!/bin/bash
# make soak: a release build under load and faults for MINUTES (first argument), then more
# seeds of the simulation and longer fuzzing.
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=${1:-10}
swift build --configuration release --product pgtee --static-swift-stdlib
python3 tools/bench/soak.py --minutes "$minutes" --pgtee .build/release/pgtee
SIMULATION_BLOCKS=$((minutes * 10)) swift test --filter SimulationTests
env SECONDS=$((minutes * 6)) tools/fuzz.sh
