#!/usr/bin/env bash
# Measures a release build on loopback and prints one table; docs/bench.md explains it.
#
#   scripts/bench.sh [--quick] [--viewers 50,200,500] [--seconds 8] [--no-delay] [--json FILE]
#   scripts/bench.sh hls [--parts requests,held,edge,part,cpu] [--seconds 4] [--turns 2]
#   scripts/bench.sh recording [--parts cost,many,replay,long] [--seconds 4] [--turns 2] [--hours 2]
#   scripts/bench.sh glass [--parts hls,keyframes] [--seconds 60]
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-target}"
if [ -z "${WHITEWATER:-}" ]; then
    cargo build --locked --release --bin whitewater
    WHITEWATER="$target/release/whitewater"
fi
export WHITEWATER
if [ "${1:-}" = hls ] || [ "${1:-}" = recording ]; then
    ulimit -n "$(ulimit -Hn)"
    exec node "scripts/bench-$1.mjs" "${@:2}"
fi
if [ "${1:-}" = glass ]; then
    WHITEWATER_BIN="$(realpath "$WHITEWATER")"
    export WHITEWATER_BIN
    cd tests/browser
    [ -d node_modules ] || npm ci --no-audit --no-fund
    exec node bench.mjs "${@:2}"
fi
exec node scripts/bench.mjs "$@"
