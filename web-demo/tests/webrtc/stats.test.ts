import { describe, expect, test } from "vitest";
import { type Entry, latencyMs, median, StatsReader, unixOfCapture } from "../../src/webrtc/stats";

const report = (...entries: Entry[]) => new Map(entries.map((entry) => [entry["id"], entry]));
const outbound = (rid: string, at: number, more: Entry): Entry => ({
  id: `out-${rid}`,
  type: "outbound-rtp",
  kind: "video",
  timestamp: at,
  rid,
  codecId: "codec",
  ...more,
});

describe("a publisher", () => {
  const small = { frameWidth: 320, frameHeight: 180, framesPerSecond: 30, keyFramesEncoded: 2 };
  const large = { frameWidth: 1280, frameHeight: 720, framesPerSecond: 30, keyFramesEncoded: 3 };
  const codec = { id: "codec", type: "codec", mimeType: "video/VP8" };
  const pair = { id: "p", type: "candidate-pair", nominated: true, currentRoundTripTime: 0.0042 };

  test("gets rates per layer over the interval, highest layer first", () => {
    const reader = new StatsReader();
    reader.publisher(
      report(
        outbound("q", 1_000, { ...small, bytesSent: 1_000, framesEncoded: 10 }),
        outbound("f", 1_000, { ...large, bytesSent: 5_000, framesEncoded: 10 }),
      ),
    );
    const figures = reader.publisher(
      report(
        codec,
        pair,
        outbound("q", 3_000, { ...small, bytesSent: 26_000, framesEncoded: 10 }),
        outbound("f", 3_000, {
          ...large,
          bytesSent: 255_000,
          framesEncoded: 70,
          qualityLimitationReason: "cpu",
        }),
      ),
    );
    expect(figures.codec).toBe("VP8");
    expect(figures.roundTripMs).toBeCloseTo(4.2);
    expect(figures.layers).toMatchObject([
      { rid: "f", sending: true, bitrateBps: 1_000_000, limit: "cpu", keyframes: 3 },
      { rid: "q", sending: false, bitrateBps: 100_000, limit: null },
    ]);
  });

  test("of a browser that counts no keyframes and says no limit has neither", () => {
    const firefox = { frameWidth: 1280, frameHeight: 720, framesPerSecond: 30 };
    const { layers } = new StatsReader().publisher(report(outbound("f", 1_000, firefox)));
    expect(layers).toMatchObject([{ keyframes: null, limit: null }]);
  });

  test("has no rates at first sight", () => {
    const figures = new StatsReader().publisher(
      report(outbound("f", 1_000, { ...large, bytesSent: 5_000, framesEncoded: 10 })),
    );
    expect(figures.layers[0]?.bitrateBps).toBe(0);
  });
});

describe("a viewer", () => {
  const inbound = (kind: string, at: number, more: Entry): Entry => ({
    id: `in-${kind}`,
    type: "inbound-rtp",
    kind,
    timestamp: at,
    ...more,
  });

  test("gets rate, loss and jitter buffer delay", () => {
    const reader = new StatsReader();
    reader.viewer(
      report(
        inbound("video", 0, {
          bytesReceived: 0,
          jitterBufferDelay: 1,
          jitterBufferEmittedCount: 100,
        }),
      ),
    );
    const figures = reader.viewer(
      report(
        inbound("video", 1_000, {
          bytesReceived: 250_000,
          jitterBufferDelay: 1.6,
          jitterBufferEmittedCount: 130,
          packetsLost: 3,
          packetsReceived: 87,
          freezeCount: 1,
          totalFreezesDuration: 0.4,
        }),
        inbound("audio", 1_000, { packetsLost: -2, packetsReceived: 10, bytesReceived: 0 }),
      ),
    );
    expect(figures.videoBps).toBe(2_000_000);
    expect(figures.jitterBufferMs).toBeCloseTo(20);
    expect(figures).toMatchObject({ lost: 1, freezes: 1, frozenS: 0.4 });
    expect(figures.lostShare).toBeCloseTo(1 / 98);
  });

  test("of nothing has figures of zero", () => {
    expect(new StatsReader().viewer(report())).toMatchObject({
      videoBps: 0,
      fps: 0,
      lostShare: 0,
      jitterBufferMs: null,
      roundTripMs: null,
    });
  });
});

test("latency is server time minus capture time", () => {
  expect(latencyMs({ shownMs: 10_000, capturedMs: 10_060, offsetMs: 100 })).toBe(40);
  expect(latencyMs({ shownMs: 10_000, capturedMs: 10_010, offsetMs: 0 })).toBe(0);
  expect(latencyMs({ shownMs: 10_000, capturedMs: 90_000, offsetMs: 0 })).toBeNull();
  const old = { shownMs: 90_000, capturedMs: 10_000, offsetMs: 0 };
  expect([latencyMs(old), latencyMs(old, Infinity)]).toEqual([null, 80_000]);
});

test("capture times of either epoch become milliseconds since 1970", () => {
  expect(unixOfCapture(1_764_000_000_000)).toBe(1_764_000_000_000);
  expect(unixOfCapture(1_764_000_000_000 + 2_208_988_800_000)).toBe(1_764_000_000_000);
});

test("the median of an even number lies between the middle two", () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([3, 1, 2])).toBe(2);
  expect(median([])).toBeNull();
});
