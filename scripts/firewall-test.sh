#!/usr/bin/env bash
# Runs the tests of browsers behind a firewall that lets no UDP through: the server in one network
# namespace, Chromium in another, and rules between them that drop UDP and count it.
#
#   scripts/firewall-test.sh
#
# Needs root. PROFILE=debug takes a debug build.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ]; then
    [ -z "${CI:-}" ] || { echo "CI skips nothing, and this needs root" >&2; exit 1; }
    echo "skipped: network namespaces need root"
    exit 0
fi

profile="${PROFILE:-release}"
target="${CARGO_TARGET_DIR:-target}"
case "$profile" in
    release) cargo build --locked --release --bin whitewater ;;
    debug) cargo build --locked --bin whitewater ;;
    *) echo "PROFILE is release or debug, not $profile" >&2; exit 2 ;;
esac

work="$(mktemp -d)"
inside="wwfw$$c"
outside="wwfw$$s"
server_ip=10.213.7.1
client_ip=10.213.7.2
server=
finish() {
    local status=$?
    trap - EXIT
    if [ -n "$server" ] && kill "$server" 2>/dev/null; then
        wait "$server" || { echo "the server did not stop cleanly" >&2; status=1; }
    fi
    if [ "$status" != 0 ] && [ -f "$work/log" ]; then
        echo "--- the server's last lines" >&2
        tail -n 50 "$work/log" >&2
    fi
    # What runs in a namespace keeps it; the veth pair goes with either end.
    ip netns del "$inside" 2>/dev/null || true
    ip netns del "$outside" 2>/dev/null || true
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT

ip netns add "$inside"
ip netns add "$outside"
ip -n "$outside" link add eth0 type veth peer name eth0 netns "$inside"
for side in "$outside $server_ip" "$inside $client_ip"; do
    read -r space address <<<"$side"
    ip -n "$space" address add "$address/24" dev eth0
    ip -n "$space" link set eth0 up
    ip -n "$space" link set lo up
done
# Without the media permission a browser offers the addresses of its default route alone.
ip -n "$inside" route add default via "$server_ip"
ip netns exec "$inside" nft -f - <<'RULES'
table inet firewall {
    chain out {
        type filter hook output priority 0; policy accept;
        oifname "eth0" meta l4proto udp counter drop
    }
    chain in {
        type filter hook input priority 0; policy accept;
        iifname "eth0" meta l4proto udp counter drop
    }
}
RULES

touch "$work/said"
ip netns exec "$outside" "$target/$profile/whitewater" serve --insecure-open \
    --http "$server_ip:8080" --udp "$server_ip:7000" --data "$work/data" \
    >"$work/said" 2>"$work/log" &
server=$!
for _ in $(seq 100); do
    grep -q '^whitewater listens' "$work/said" && break
    kill -0 "$server" 2>/dev/null || exit 1
    sleep 0.1
done

(cd tests/browser && npm ci --no-audit --no-fund)
ip netns exec "$inside" env WHITEWATER_URL="http://$server_ip:8080" \
    node --test --test-timeout 300000 --test-reporter spec tests/browser/netns/firewall.test.mjs

dropped="$(ip netns exec "$inside" nft list chain inet firewall out |
    sed -n 's/.*counter packets \([0-9]*\) .*/\1/p')"
echo "datagrams that the firewall dropped: $dropped"
[ "$dropped" -gt 0 ] || { echo "nobody tried UDP: this proves nothing" >&2; exit 1; }
