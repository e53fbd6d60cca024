#!/usr/bin/env bash
# Measures a release build on loopback and prints one table; docs/bench.md explains it.
#
#   scripts/bench.sh [--quick] [--viewers 50,200,500] [--seconds 8] [--no-delay] [--json FILE]
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-target}"
if [ -z "${WHITEWATER:-}" ]; then
    cargo build --locked --release --bin whitewater
    WHITEWATER="$target/release/whitewater"
fi
export WHITEWATER
exec node scripts/bench.mjs "$@"
