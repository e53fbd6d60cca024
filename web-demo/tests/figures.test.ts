import { expect, test } from "vitest";
import { type Figures, hlsRows, latencyText, whepRows } from "../src/figures";
import { behindText } from "../src/timeline";

const HLS: Extract<Figures, { protocol: "hls" }> = {
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
  expect(Object.fromEntries(hlsRows(HLS))).toEqual({
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
  const calm = Object.fromEntries(hlsRows({ ...HLS, dropped: 0, stalls: 0, rate: 1, level: null }));
  expect(calm).toMatchObject({
    Level: "–",
    "Dropped frames": "none",
    Stalls: "none",
    Speed: "normal",
  });
});

test("without figures the rows stay, with dashes", () => {
  for (const rows of [hlsRows(null), whepRows(null)]) {
    expect(rows[0]).toEqual(["Latency", "–"]);
    expect(rows.every(([, text]) => text === "–")).toBe(true);
  }
  expect(hlsRows(null).map(([label]) => label)).toEqual(hlsRows(HLS).map(([label]) => label));
});

test("latencies are milliseconds up to a second", () => {
  expect([null, 0, 181.4, 999, 1_000, 12_345].map(latencyText)).toEqual([
    "–",
    "0 ms",
    "181 ms",
    "999 ms",
    "1.0 s",
    "12.3 s",
  ]);
});

test("a place in the past says how far it is", () => {
  expect([0, 0.4, 1, 59.4, 60, 65, 125].map(behindText)).toEqual([
    "live",
    "live",
    "1 s behind",
    "59 s behind",
    "1:00 min behind",
    "1:05 min behind",
    "2:05 min behind",
  ]);
});
