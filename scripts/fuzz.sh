#!/usr/bin/env bash
# Fuzzes each target for a time, two at once, and prints what came of it.
#
#   scripts/fuzz.sh                    every target for a minute
#   scripts/fuzz.sh 600                for ten minutes
#   scripts/fuzz.sh 600 sdp shard      only these
#
# What is found interesting is kept in fuzz/corpus-grown, what goes wrong in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:-60}"
shift || true
export CARGO_TARGET_DIR="${FUZZ_TARGET_DIR:-${CARGO_TARGET_DIR:-$PWD/fuzz/target}}"
all=(depacketize dependency demux directives dtls payload rtcp rtp sdp sdpfrag segmenter shard stun)
targets=()
for target in "${@:-${all[@]}}"; do
    [ -f "fuzz/targets/$target.rs" ] && targets+=("$target")
done

command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked
rustup toolchain list | grep -q '^nightly' || rustup toolchain install nightly --profile minimal
# There is no unsafe code of ours for a sanitizer to watch, and without one it is several times faster.
cargo +nightly fuzz build --sanitizer none
host="$(rustc +nightly -vV | sed -n 's/^host: //p')"

run() {
    local target="$1" options=(-timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=1)
    case "$target" in
        sdp | sdpfrag) options+=(-max_len=16384 -dict=fuzz/dictionaries/sdp.dict) ;;
        shard) options+=(-max_len=8192) ;;
        *) options+=(-max_len=2048) ;;
    esac
    mkdir -p "fuzz/corpus-grown/$target" "fuzz/artifacts/$target"
    nice -n 10 "$CARGO_TARGET_DIR/$host/release/$target" "${options[@]}" \
        -max_total_time="$seconds" -artifact_prefix="fuzz/artifacts/$target/" \
        "fuzz/corpus-grown/$target" "fuzz/corpus/$target" >"fuzz/artifacts/$target.log" 2>&1 ||
        echo "FOUND SOMETHING: $target, see fuzz/artifacts/$target.log" >&2
}

# One line of a target's log.
tell() {
    local log="fuzz/artifacts/$1.log" last
    last="$(grep -E '^#[0-9]+.*cov: ' "$log" | tail -1)"
    field() { sed -n "s/.*$1: *\([0-9]*\).*/\1/p" <<<"$last"; }
    stat() { sed -n "s/^stat::$1: *//p" "$log"; }
    printf '%-11s %12s %9s %7s %7s %7s %9s\n' "$1" "$(stat number_of_executed_units)" \
        "$(stat average_exec_per_sec)" "$(field cov)" "$(field ft)" "$(field corp)" \
        "$(find "fuzz/artifacts/$1" -type f | wc -l)"
}

for target in "${targets[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n || true; done
    run "$target" &
done
wait

printf '%-11s %12s %9s %7s %7s %7s %9s\n' target executed per-s edges features corpus findings
failed=0
for target in "${targets[@]}"; do
    tell "$target"
    [ -z "$(find "fuzz/artifacts/$target" -type f)" ] || failed=1
done
exit "$failed"
