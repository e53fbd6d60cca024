import { expect, test } from "vitest";
import { bufferedS, positionOf, Stalls } from "../../src/segments/playback";

test("who follows the live place is live while little is missing", () => {
  const rows: [nowS: number, following: boolean, behindS: number][] = [
    [100, true, 0],
    [99, true, 0],
    [98, true, 2],
    // Ahead of it is live too.
    [101, true, 0],
    [99, false, 1],
    [40, false, 60],
  ];
  for (const [nowS, following, behindS] of rows) {
    const position = positionOf({ liveS: 100, firstS: -20, nowS }, following);
    expect(position).toEqual({ windowS: 120, behindS, following });
  }
  expect(positionOf({ liveS: 1, firstS: 2, nowS: 1 }, true).windowS).toBe(0);
});

/** A video element, as far as it is looked at. */
class Video extends EventTarget {
  seeking = false;
  paused = false;
  currentTime = 0;
  ranges: [number, number][] = [];
  get buffered() {
    return {
      length: this.ranges.length,
      start: (at: number) => this.ranges[at]?.[0] ?? 0,
      end: (at: number) => this.ranges[at]?.[1] ?? 0,
    };
  }
  say(event: string): void {
    this.dispatchEvent(new Event(event));
  }
  get element(): HTMLVideoElement {
    return this as unknown as HTMLVideoElement;
  }
}

test("what lies ahead is what the range around the present place holds", () => {
  const video = new Video();
  video.ranges = [
    [0, 4],
    [10, 13],
  ];
  for (const [at, ahead] of [
    [1, 3],
    [4, 0],
    [7, 0],
    [10, 3],
    [12.5, 0.5],
  ] as const) {
    video.currentTime = at;
    expect(bufferedS(video.element)).toBe(ahead);
  }
});

test("a wait counts once, from the first picture on, and not while somebody seeks or pauses", () => {
  const video = new Video();
  let begun = false;
  const leaving = new AbortController();
  const stalls = new Stalls(video.element, () => begun, leaving.signal);
  video.say("waiting");
  expect(stalls.count).toBe(0);
  begun = true;
  video.say("waiting");
  video.say("waiting");
  video.say("playing");
  expect(stalls.count).toBe(1);
  video.seeking = true;
  video.say("waiting");
  video.seeking = false;
  video.paused = true;
  video.say("waiting");
  video.paused = false;
  expect(stalls.count).toBe(1);
  video.say("waiting");
  expect([stalls.count, stalls.seconds >= 0]).toEqual([2, true]);
  video.say("playing");
  leaving.abort();
  video.say("waiting");
  expect(stalls.count).toBe(2);
});
