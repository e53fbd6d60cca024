import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HlsPlayback, type HlsModule } from "../../src/segments/hls-playback";
import { PlaybackFailed } from "../../src/segments/playback";

let handlers: Map<string, ((event: string, about: unknown) => void)[]>;
let playback: HlsPlayback;
let ended: (Error | undefined)[];

const names = ["MANIFEST_PARSED", "LEVELS_UPDATED", "LEVEL_LOADED", "ERROR"];
const fragments = ["FRAG_LOADING", "FRAG_LOADED", "FRAG_BUFFERED"];
const Events = Object.fromEntries([...names, ...fragments].map((name) => [name, name]));

class Hls {
  levels = [];
  latestLevelDetails = { live: true, edge: 10, fragmentStart: 0 };
  liveSyncPosition = 8;

  on(event: string, handler: (event: string, about: unknown) => void): void {
    handlers.set(event, [...(handlers.get(event) ?? []), handler]);
  }

  attachMedia(): void {}
  loadSource(): void {}
  destroy(): void {}
}

const module = { default: Hls, Events } as unknown as HlsModule;
const say = (event: string) => handlers.get(event)?.forEach((handler) => handler(event, {}));
const told = { media: () => undefined, started: () => undefined, levels: () => undefined };

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

beforeEach(() => {
  vi.useFakeTimers();
  [handlers, ended] = [new Map(), []];
  const video = Object.assign(new EventTarget(), { currentTime: 8, paused: false, seeking: false });
  playback = new HlsPlayback(module, video as unknown as HTMLVideoElement, "/a.m3u8", told);
  playback.done.then(
    () => ended.push(undefined),
    (error: Error) => ended.push(error),
  );
});

afterEach(() => {
  playback.destroy();
  vi.useRealTimers();
});

test("what never begins is given up, so that it is begun anew", async () => {
  // The first playlist may be waited for.
  await pass(15_000);
  say("MANIFEST_PARSED");
  await pass(9_000);
  say("FRAG_LOADING");
  await pass(9_000);
  say("FRAG_LOADED");
  await pass(9_000);
  expect(ended).toEqual([]);
  await pass(3_000);
  expect(ended).toHaveLength(1);
  expect(ended[0]).toBeInstanceOf(PlaybackFailed);
});

test("what has begun is not", async () => {
  say("MANIFEST_PARSED");
  say("FRAG_BUFFERED");
  await pass(60_000);
  expect(ended).toEqual([]);
});
