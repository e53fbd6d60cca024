import { expect, test } from "vitest";
import { type Figures, latencyText, segmentRows, whepRows } from "../../src/watching/figures";
import { behindText, keyedS } from "../../src/watching/timeline";

const HLS: Exclude<Figures, { protocol: "whep" }> = {
  protocol: "hls",
  latencyMs: 1_940,
  level: { key: "720p", width: 1280, height: 720, bitrateBps: 2_500_000 },
  width: 1280,
  height: 720,
  bufferS: 1.26,
  frames: 1_234,
  dropped: 3,
  stalls: 2,
  stalledS: 1.25,
  rate: 1.1,
};

test("the figures of HLS are words beside their names", () => {
  expect(Object.fromEntries(segmentRows(HLS))).toEqual({
    Latency: "1.9 s",
    Protocol: "HLS",
    Resolution: "1280 × 720",
    Level: "720p · 2.5 Mbit/s",
    Buffer: "1.3 s",
    Frames: "1,234",
    "Dropped frames": "3",
    Stalls: "2, 1.3 s",
    Speed: "1.10 ×",
  });
  const calm = Object.fromEntries(
    segmentRows({ ...HLS, dropped: 0, stalls: 0, rate: 1, level: null }),
  );
  expect(calm).toMatchObject({
    Level: "–",
    "Dropped frames": "none",
    Stalls: "none",
    Speed: "normal",
  });
});

test("the figures of DASH are those of HLS, by another name", () => {
  const dash = Object.fromEntries(segmentRows({ ...HLS, protocol: "dash" }));
  expect(dash).toEqual({ ...Object.fromEntries(segmentRows(HLS)), Protocol: "DASH" });
});

test("without figures the rows stay, with dashes", () => {
  for (const rows of [segmentRows(null), whepRows(null)]) {
    expect(rows[0]).toEqual(["Latency", "–"]);
    expect(rows.every(([, text]) => text === "–")).toBe(true);
  }
  expect(segmentRows(null).map(([label]) => label)).toEqual(
    segmentRows(HLS).map(([label]) => label),
  );
});

test("latencies are milliseconds up to a second", () => {
  expect([null, 0, 181.4, 999, 1_000, 12_345, 65_000, 7_500_000].map(latencyText)).toEqual([
    "–",
    "0 ms",
    "181 ms",
    "999 ms",
    "1.0 s",
    "12.3 s",
    "1 min",
    "2 h 5 min",
  ]);
});

test("a place in the past says how far it is", () => {
  expect([0, 0.4, 1, 59.4, 60, 65, 125, 3_599, 3_600, 7_325].map(behindText)).toEqual([
    "live",
    "live",
    "1 s behind live",
    "59 s behind live",
    "1:00 min behind live",
    "1:05 min behind live",
    "2:05 min behind live",
    "59:59 min behind live",
    "1:00:00 h behind live",
    "2:02:05 h behind live",
  ]);
});

test("keys go back and forth in a window, in larger steps where it is hours long", () => {
  const rows: [string, number, number, number | null][] = [
    ["ArrowLeft", 0, 120, 5],
    ["ArrowRight", 12, 120, 7],
    ["ArrowRight", 3, 120, 0],
    ["ArrowLeft", 118, 120, 120],
    ["PageDown", 10, 120, 40],
    ["PageUp", 40, 120, 10],
    ["PageDown", 10, 7_200, 310],
    ["Home", 10, 7_200, 7_200],
    ["End", 7_200, 7_200, 0],
    ["Tab", 10, 120, null],
    ["a", 10, 120, null],
  ];
  for (const [key, at, window, to] of rows) expect(keyedS(key, at, window), key).toBe(to);
});
