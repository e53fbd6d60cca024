#!/usr/bin/env bash
# Runs the browser tests against a server of their own, on ports that the system chooses.
#
#   scripts/browser-tests.sh [part of a test file's name ...]
#
# PROFILE=debug takes a debug build.
set -euo pipefail
cd "$(dirname "$0")/.."

profile="${PROFILE:-release}"
target="${CARGO_TARGET_DIR:-target}"
case "$profile" in
    release) cargo build --locked --release --bin whitewater ;;
    debug) cargo build --locked --bin whitewater ;;
    *) echo "PROFILE is release or debug, not $profile" >&2; exit 2 ;;
esac

work="$(mktemp -d)"
server=
finish() {
    local status=$?
    trap - EXIT
    if [ -n "$server" ] && kill "$server" 2>/dev/null; then
        wait "$server" || { echo "the server did not stop cleanly" >&2; status=1; }
    elif [ -n "$server" ]; then
        echo "the server ended before its tests" >&2
        status=1
    fi
    if [ "$status" != 0 ] && [ -f "$work/log" ]; then
        echo "--- the server's last lines" >&2
        tail -n 50 "$work/log" >&2
    fi
    if [ -s "$work/failures" ]; then
        echo "--- what failed" >&2
        cat "$work/failures" >&2
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT

touch "$work/said"
# Tests of recording start servers of their own.
WHITEWATER_RECORDING_ENABLED=false "$target/$profile/whitewater" serve --http 127.0.0.1:0 --udp 127.0.0.1:0 \
    --data "$work/data" >"$work/said" 2>"$work/log" &
server=$!

url=
for _ in $(seq 100); do
    url="$(sed -n 's/^whitewater listens on \([^ ]*\) .*/\1/p' "$work/said")"
    if [ -n "$url" ] && curl -fsS -o "$work/health" "$url/healthz"; then break; fi
    kill -0 "$server" 2>/dev/null || exit 1
    sleep 0.1
done
curl -fsS -o "$work/health" "$url/healthz"

# Only from here on: the server would take it for an option that does not exist.
export WHITEWATER_URL="$url"
WHITEWATER_BIN="$(realpath "$target/$profile/whitewater")"
export WHITEWATER_BIN WHITEWATER_FAILURES="$work/failures"
cd tests/browser
npm ci --no-audit --no-fund
npm test -- "$@"
