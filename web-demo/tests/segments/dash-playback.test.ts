import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { DashPlayback, type DashModule } from "../../src/segments/dash-playback";
import { EndedBefore, PlaybackFailed } from "../../src/segments/playback";

/** What dash.js has of a stream at present. */
let manifest: { mediaPresentationDuration?: number };
let latencyS: number;
let settings: Record<string, any>[];
let calls: unknown[][];
let handlers: Map<string, (event: unknown) => void>;

const errors = {
  DOWNLOAD_ERROR_ID_CONTENT_CODE: 27,
  DOWNLOAD_ERROR_ID_INITIALIZATION_CODE: 28,
  DOWNLOAD_ERROR_ID_MANIFEST_CODE: 25,
  MANIFEST_LOADER_LOADING_FAILURE_ERROR_CODE: 11,
  MANIFEST_ERROR_ID_NOSTREAMS_CODE: 32,
  MEDIASOURCE_TYPE_UNSUPPORTED_CODE: 35,
  TIME_SYNC_FAILED_ERROR_CODE: 16,
};
const events = Object.fromEntries(
  [
    "MANIFEST_LOADED",
    "STREAM_INITIALIZED",
    "PERIOD_SWITCH_COMPLETED",
    "PLAYBACK_ENDED",
    "ERROR",
  ].map((name) => [name, name]),
);
const representation = (id: string, height: number, bandwidth: number) => ({
  id,
  width: (height * 16) / 9,
  height,
  bandwidth,
});

const fake = {
  on: (event: string, handler: (event: unknown) => void) => void handlers.set(event, handler),
  updateSettings: (more: Record<string, any>) => void settings.push(more),
  initialize: () => undefined,
  clearDefaultUTCTimingSources: () => void calls.push(["clear"]),
  destroy: () => void calls.push(["destroy"]),
  isReady: () => true,
  timeAsUTC: () => video.currentTime,
  getManifest: () => manifest,
  getTargetLiveDelay: () => 2,
  getCurrentLiveLatency: () => latencyS,
  getDvrWindow: () => ({ start: 1_000 }),
  getRepresentationsByType: () => [
    representation("v0", 720, 2_500_000),
    representation("v1", 360, 600_000),
  ],
  setRepresentationForTypeById: (...of: unknown[]) => void calls.push(["set", ...of]),
  seek: (offset: number) => void calls.push(["seek", offset]),
  seekToOriginalLive: () => void calls.push(["live"]),
};
const module = {
  MediaPlayer: Object.assign(() => ({ create: () => fake }), { events, errors }),
  Debug: { LOG_LEVEL_NONE: 0 },
} as unknown as DashModule;

class Video extends EventTarget {
  currentTime = 0;
  paused = false;
  seeking = false;
  playbackRate = 1;
}

let video: Video;
let told: string[];
let playback: DashPlayback;
const say = (event: string, about?: unknown) => handlers.get(event)?.(about);
const missing = (startTime: number) =>
  say("ERROR", { error: { code: 27, data: { request: { startTime, duration: 2 } } } });

/** It has begun, 3 s behind the clock, which is one behind the live place. */
function begin(): void {
  say("STREAM_INITIALIZED");
  video.currentTime = 1_117;
  latencyS = 3;
  video.dispatchEvent(new Event("loadeddata"));
}

beforeEach(() => {
  vi.useFakeTimers();
  [manifest, latencyS, settings, calls, told] = [{}, NaN, [], [], []];
  handlers = new Map();
  video = new Video();
  playback = new DashPlayback(
    module,
    video as unknown as HTMLVideoElement,
    "/dash/a/manifest.mpd",
    {
      media: () => void told.push("media"),
      started: () => void told.push("started"),
      levels: () => void told.push("levels"),
    },
  );
});

afterEach(() => {
  playback.destroy();
  vi.useRealTimers();
});

test("nobody else's clock is asked, and nothing is kept in the browser", () => {
  expect(calls).toEqual([["clear"]]);
  expect(settings[0]?.["streaming"]).toMatchObject({
    lastBitrateCachingInfo: { enabled: false },
    lastMediaSettingsCachingInfo: { enabled: false },
  });
});

test("qualities are told lowest first, and taken by their names", () => {
  begin();
  expect(told).toEqual(["media", "levels", "started"]);
  expect(playback.levels.map(({ key }) => key)).toEqual(["360p", "720p"]);
  playback.select("720p");
  expect(calls.at(-1)).toEqual(["set", "video", "v0"]);
  const automatic = () => settings.at(-1)?.["streaming"].abr.autoSwitchBitrate.video;
  expect(automatic()).toBe(false);
  playback.select(null);
  expect(automatic()).toBe(true);
});

test("the live place is as far behind the clock as dash.js aims at", () => {
  begin();
  // It is 1120 by the clock: live is 1118, and the window begins at 1000.
  expect(playback.position).toEqual({ windowS: 118, behindS: 0, following: true });
  expect(playback.playingMs).toBe(1_117_000);
  playback.seek(60);
  expect(calls.at(-1)).toEqual(["seek", 58]);
  expect(playback.position?.following).toBe(false);
  expect(settings.at(-1)).toEqual({ streaming: { liveCatchup: { enabled: false } } });
  playback.goLive();
  expect(calls.at(-1)).toEqual(["live"]);
  expect(settings.at(-1)).toEqual({ streaming: { liveCatchup: { enabled: true } } });
});

test("a stream that was over before anything played is told from one that ends", async () => {
  manifest = { mediaPresentationDuration: 900 };
  say("MANIFEST_LOADED");
  await expect(playback.done).rejects.toBeInstanceOf(EndedBefore);
});

test("it ends where the manifest comes to say so", async () => {
  begin();
  manifest = { mediaPresentationDuration: 1_117.2 };
  vi.advanceTimersByTime(1_000);
  await expect(playback.done).resolves.toBeUndefined();
});

test("a segment that is missing is passed over, unless it is the live one", async () => {
  begin();
  playback.seek(60);
  missing(1_050);
  expect(calls.at(-1)).toEqual(["seek", 52]);
  missing(1_117);
  await expect(playback.done).rejects.toBeInstanceOf(PlaybackFailed);
});

test("a manifest that is refused says with which status", async () => {
  begin();
  say("ERROR", { error: { code: 16, data: null } });
  say("ERROR", { error: { code: 25, data: { response: { status: 404 } } } });
  await expect(playback.done).rejects.toMatchObject({ status: 404 });
});

test("a picture that stands still is begun anew, but not for who pauses", async () => {
  begin();
  video.paused = true;
  vi.advanceTimersByTime(60_000);
  let ended = false;
  playback.done.catch(() => (ended = true));
  await Promise.resolve();
  expect(ended).toBe(false);
  video.paused = false;
  vi.advanceTimersByTime(14_000);
  await expect(playback.done).rejects.toThrow("The stream’s media does not arrive.");
});
