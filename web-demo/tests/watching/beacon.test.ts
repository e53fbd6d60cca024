import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { viewersText } from "../../src/page/page";
import { Beacon, bodyOf, type Fare, SPEAK_EVERY_MS } from "../../src/watching/beacon";
import { Sum } from "../../src/watching/fare";

const FARE: Fare = {
  protocol: "hls",
  startupMs: 812.4,
  latencyMs: null,
  stalls: 1,
  stalledMs: 99.6,
  errors: 0,
};

describe("a beacon", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function beacon() {
    const said: Record<string, unknown>[] = [];
    const state = { fare: null as Fare | null };
    const made = new Beacon({
      stream: "show",
      read: () => state.fare,
      send: (_, body) => void said.push(JSON.parse(body) as Record<string, unknown>),
    });
    return { made, said, state };
  }

  test("speaks every ten seconds while something plays, and says goodbye once", () => {
    const { made, said, state } = beacon();
    made.start();
    vi.advanceTimersByTime(3 * SPEAK_EVERY_MS);
    expect(said).toEqual([]);
    state.fare = { ...FARE, protocol: "dash" };
    made.now();
    vi.advanceTimersByTime(2 * SPEAK_EVERY_MS);
    expect(said.map(({ ended }) => ended)).toEqual([false, false, false]);
    expect(new Set(said.map(({ player }) => player)).size).toBe(1);
    state.fare = null;
    vi.advanceTimersByTime(3 * SPEAK_EVERY_MS);
    expect(said.map(({ ended }) => ended)).toEqual([false, false, false, true]);
    made.stop();
    made.now();
    vi.advanceTimersByTime(3 * SPEAK_EVERY_MS);
    expect(said.length).toBe(4);
  });

  test("says goodbye when its page is left, but not for who saw nothing", () => {
    const { made, said, state } = beacon();
    made.start();
    made.stop();
    expect(said).toEqual([]);
    made.start();
    state.fare = FARE;
    made.now();
    made.stop();
    expect(said.map(({ ended }) => ended)).toEqual([false, true]);
  });

  test("says whole numbers, and nothing of what is not known", () => {
    const about = { stream: "show", player: "abcdefgh", protocol: "hls" } as const;
    expect(JSON.parse(bodyOf(about, FARE, false))).toEqual({
      stream: "show",
      player: "abcdefgh",
      protocol: "hls",
      startup_ms: 812,
      stalls: 1,
      stalled_ms: 100,
      errors: 0,
      ended: false,
    });
    expect(JSON.parse(bodyOf(about, null, true))).toMatchObject({ ended: true });
  });
});

test("a sum goes on where its counts begin anew", () => {
  const sum = new Sum();
  expect([0, 2, 3, 0, 1, 4, 0].map((count) => sum.take(count))).toEqual([0, 2, 3, 3, 4, 7, 7]);
});

test("viewers are told together, and who of them watches over HLS and DASH", () => {
  const rows: [viewers: number, overHls: number, overDash: number, text: string][] = [
    [0, 0, 0, "0 viewers"],
    [1, 0, 0, "1 viewer"],
    [2, 1, 0, "3 viewers, 1 over HLS"],
    [0, 1, 0, "1 viewer, over HLS"],
    [0, 2, 0, "2 viewers, over HLS"],
    [0, 0, 1, "1 viewer, over DASH"],
    [3, 1, 2, "6 viewers, 1 over HLS, 2 over DASH"],
  ];
  for (const [viewers, hls, dash, text] of rows) expect(viewersText(viewers, hls, dash)).toBe(text);
});
