#!/usr/bin/env python3
"""Records when a browser's video packets arrive at the media port, and how long they are.

    scripts/record-trace.py PORT SECONDS > trace.csv

Listens on loopback (needs root), waits for a publisher who sends one video layer over SRTP with a
GCM cipher, and writes the arrival trace that `whitewater load` replays: one line per packet with
microseconds since the first one, bytes of RTP payload without the tag, and 90 kHz ticks since the
first frame. RTP headers travel in clear, so no key is needed. docs/bench.md tells the rest.
"""

import collections
import socket
import struct
import sys
import time

SO_TIMESTAMPNS = 35
PACKET_OUTGOING = 4
TAG_BYTES = 16


def capture(port, seconds):
    """Yields (time in us, RTP datagram) of what arrives at the port."""
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    raw.bind(("lo", 0x0800))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    raw.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    raw.settimeout(1)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            packet, extra, _, address = raw.recvmsg(2048, 64)
        except socket.timeout:
            continue
        if address[2] == PACKET_OUTGOING or packet[9] != socket.IPPROTO_UDP:
            continue
        udp = packet[(packet[0] & 15) * 4 :]
        if struct.unpack_from(">H", udp, 2)[0] != port:
            continue
        datagram = udp[8:]
        is_rtp = len(datagram) > 12 and datagram[0] >> 6 == 2 and not 192 <= datagram[1] <= 223
        if is_rtp:
            stamps = [data for level, kind, data in extra if kind == SO_TIMESTAMPNS]
            whole, nanos = struct.unpack("qq", stamps[0])
            yield whole * 1_000_000 + nanos // 1000, datagram


def payload_bytes(datagram):
    header = 12 + (datagram[0] & 15) * 4
    if datagram[0] & 0x10:
        header += 4 + struct.unpack_from(">H", datagram, header + 2)[0] * 4
    return len(datagram) - header - TAG_BYTES


def main():
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    sources = collections.defaultdict(list)
    for at, datagram in capture(port, seconds):
        timestamp, ssrc = struct.unpack_from(">II", datagram, 4)
        # Padding is there for probing, not for pictures.
        if not datagram[0] & 0x20:
            sources[ssrc].append((at, payload_bytes(datagram), timestamp))
    packets = max(sources.values(), key=lambda source: sum(size for _, size, _ in source))
    # Whole frames only: the first one seen may have begun earlier, the last one may go on.
    first, last = packets[0][2], packets[-1][2]
    packets = [packet for packet in packets if packet[2] not in (first, last)]
    start_us, _, start_ticks = packets[0]
    rows = [(at - start_us, size, (ticks - start_ticks) % 2**32) for at, size, ticks in packets]
    rows = [row for row in rows if row[2] < 2**31]
    rows.sort(key=lambda row: (row[2], row[0]))
    print("time_us,payload_bytes,ticks")
    newest = 0
    for at, size, ticks in rows:
        newest = max(newest, at)
        print(f"{newest},{size},{ticks}")
    span = newest / 1e6
    frames = len({ticks for _, _, ticks in rows})
    bits = sum(size for _, size, _ in rows) * 8
    print(
        f"{len(rows)} packets, {frames / span:.1f} frames/s, {bits / span / 1e6:.2f} Mbit/s, "
        f"{len(rows) / frames:.1f} packets per frame",
        file=sys.stderr,
    )


main()
