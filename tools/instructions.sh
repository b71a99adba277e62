#!/bin/bash
# The gate on what one burst costs: instructions, allocations, reference counts (tools/bench).
set -euo pipefail
cd "$(dirname "$0")/.."
swift build --configuration release --product pgtee
exec python3 tools/bench/instructions.py --pgtee .build/release/pgtee
