#!/usr/bin/env bash
# Floods a release build on loopback and prints who noticed; docs/floods.md explains it.
#
#   scripts/flood.sh [--rate 50000] [--seconds 10] [--viewers 50] [--kinds random,stun] [--json FILE]
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-target}"
if [ -z "${WHITEWATER:-}" ]; then
    cargo build --locked --release --bin whitewater
    WHITEWATER="$target/release/whitewater"
fi
export WHITEWATER
exec node scripts/flood.mjs "$@"
