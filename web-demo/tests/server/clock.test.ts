import { expect, test } from "vitest";
import { bestOffset } from "../../src/server/clock";

test("the probe with the shortest round trip decides", () => {
  const best = bestOffset([
    { sentMs: 1_000, serverMs: 1_150, receivedMs: 1_100 },
    { sentMs: 2_000, serverMs: 2_103, receivedMs: 2_006 },
    { sentMs: 3_000, serverMs: 3_200, receivedMs: 3_050 },
  ]);
  expect(best).toEqual({ offsetMs: 100, roundTripMs: 6 });
});

test("probes that make no sense are left out", () => {
  expect(bestOffset([])).toBeNull();
  expect(
    bestOffset([
      { sentMs: 10, serverMs: 5, receivedMs: 9 },
      { sentMs: 10, serverMs: NaN, receivedMs: 11 },
    ]),
  ).toBeNull();
});
