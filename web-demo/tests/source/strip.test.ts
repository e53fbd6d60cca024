import { expect, test } from "vitest";
import { crc8, decodeStrip, encodeStrip, stripElapsedMs, stripTime } from "../../src/source/strip";

test("the checksum is CRC-8 with polynomial 7 and ends in a pattern", () => {
  expect(crc8([..."123456789"].map((digit) => digit.charCodeAt(0)))).toBe(0xa1);
});

test.each([0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1234_5678])(
  "time %d comes back from its blocks",
  (time) => {
    const bits = encodeStrip(time);
    expect(bits).toHaveLength(40);
    expect(decodeStrip(bits)).toBe(time);
  },
);

test("any single wrong block is noticed", () => {
  const bits = encodeStrip(stripTime(1_764_000_000_123.4));
  for (let i = 0; i < bits.length; i++) {
    const wrong = bits.map((bit, at) => (at === i ? !bit : bit));
    expect(decodeStrip(wrong)).toBeNull();
  }
});

test("time is in tenths of milliseconds and wraps at 32 bits", () => {
  expect(stripTime(1_000.06)).toBe(10_000);
  const wrapMs = 2 ** 32 / 10;
  expect(stripTime(wrapMs * 4_000 + 5)).toBe(50);
  expect(stripElapsedMs(stripTime(wrapMs - 2), stripTime(wrapMs + 3))).toBeCloseTo(5, 0);
  expect(stripElapsedMs(30, 20)).toBe(-1);
});

test("a black or a white strip is no time", () => {
  expect(decodeStrip(Array<boolean>(40).fill(false))).toBeNull();
  expect(decodeStrip(Array<boolean>(40).fill(true))).toBeNull();
});

test("a strip of another length is none", () => {
  expect(decodeStrip([true])).toBeNull();
});
