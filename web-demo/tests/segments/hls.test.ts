import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { HlsViewer } from "../../src/segments/hls";
import { levelsOf, PlaybackFailed, type PlaybackListener } from "../../src/segments/playback";
import type { Status } from "../../src/server/status";

/** A playback that a test ends as it likes. */
interface Played {
  readonly tell: PlaybackListener;
  readonly selected: (string | null)[];
  finish: (error?: Error) => void;
  destroyed: boolean;
}

const played: Played[] = vi.hoisted(() => []);

vi.mock("hls.js", () => ({ default: { isSupported: () => true } }));
vi.mock(import("../../src/segments/hls-playback"), async (original) => {
  class HlsPlayback {
    readonly done: Promise<void>;
    private readonly record: Played;

    constructor(_module: unknown, _video: unknown, _url: string, tell: PlaybackListener) {
      let finish: Played["finish"] = () => undefined;
      this.done = new Promise((resolve, reject) => {
        finish = (error) => (error ? reject(error) : resolve());
      });
      this.record = { tell, selected: [], finish, destroyed: false };
      played.push(this.record);
    }

    select(key: string | null): void {
      this.record.selected.push(key);
    }

    retry(): void {}

    destroy(): void {
      this.record.destroyed = true;
    }
  }
  return { ...(await original()), HlsPlayback: HlsPlayback as never };
});

/** What the server answers, one after the other; the last one for ever. Null is no answer at all. */
let answers: (() => Response | null)[] = [];
let asked = 0;
let seen: Status[] = [];
let viewer: HlsViewer;

const playlist = () => new Response("#EXTM3U\n");
const away = () => null;
const problem = (status: number, detail: string, retryAfter?: number) => () =>
  new Response(JSON.stringify({ detail }), {
    status,
    headers: {
      "Content-Type": "application/problem+json",
      ...(retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) }),
    },
  });

// The first import takes real time; those that follow find it loaded.
beforeAll(() => import("hls.js"));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  played.length = asked = 0;
  seen = [];
  vi.stubGlobal("fetch", async () => {
    const answer = answers[Math.min(asked++, answers.length - 1)]?.();
    if (!answer) throw new TypeError("no network");
    return answer;
  });
  viewer = new HlsViewer({ url: "/hls/a/index.m3u8", video: {} as HTMLVideoElement });
  viewer.onstatus = (status) => seen.push(status);
});

afterEach(() => {
  viewer.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const states = () => seen.map(({ state }) => state);
const realTimeout = globalThis.setTimeout;

/** Lets everything happen that waits for no timer. */
async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => realTimeout(resolve, 0));
}

async function pass(ms: number): Promise<void> {
  vi.advanceTimersByTime(ms);
  await settle();
}

test("a stream that is not live is asked for again when the server says, and then plays", async () => {
  answers = [
    problem(404, "no such stream is live", 3),
    problem(503, "HLS is being started", 1),
    playlist,
  ];
  viewer.start();
  await settle();
  expect(seen.at(-1)).toMatchObject({ state: "waiting", sentence: "", retryInMs: 3_000 });
  await pass(2_999);
  expect(asked).toBe(1);
  await pass(1);
  expect(seen.at(-1)).toMatchObject({
    state: "waiting",
    sentence: "HLS is being started.",
    retryInMs: 1_000,
  });
  await pass(1_000);
  expect(played).toHaveLength(1);
  played[0]?.tell.started();
  expect(states()).toEqual(["connecting", "waiting", "waiting", "live"]);
});

test("an epoch that has been played to its end is followed by the next, with the same quality", async () => {
  answers = [playlist];
  viewer.start();
  await settle();
  viewer.select("360p");
  played[0]?.tell.started();
  played[0]?.finish();
  await settle();
  await pass(0);
  expect(played).toHaveLength(2);
  expect(played[0]?.destroyed).toBe(true);
  played[1]?.tell.levels();
  expect(played[1]?.selected).toEqual(["360p"]);
});

test("while the network is away the last picture stays, and the pauses grow", async () => {
  answers = [playlist, away, away, playlist];
  viewer.start();
  await settle();
  played[0]?.tell.started();
  played[0]?.finish(new PlaybackFailed("The stream’s media does not arrive.", null));
  await settle();
  expect(seen.at(-1)).toMatchObject({ state: "reconnecting", retryInMs: 500 });
  await pass(500);
  expect(seen.at(-1)).toMatchObject({ state: "reconnecting", retryInMs: 1_000 });
  expect(played[0]?.destroyed).toBe(false);
  viewer.retryNow();
  await settle();
  expect(seen.at(-1)).toMatchObject({ retryInMs: 2_000 });
  viewer.retryNow();
  await settle();
  expect(played).toHaveLength(2);
  expect(played[0]?.destroyed).toBe(true);
});

test("media that is gone leads to the multivariant playlist after a pause, not in a hot loop", async () => {
  answers = [playlist];
  viewer.start();
  await settle();
  played[0]?.finish(new PlaybackFailed("The stream’s media does not arrive.", 404));
  await settle();
  expect(seen.at(-1)).toMatchObject({ sentence: "", retryInMs: 500 });
  expect(asked).toBe(1);
});

test("the picture goes away when the stream is over", async () => {
  answers = [playlist, problem(404, "no such stream is live")];
  viewer.start();
  await settle();
  played[0]?.tell.started();
  played[0]?.finish();
  await settle();
  await pass(0);
  expect(seen.at(-1)).toMatchObject({ state: "waiting", retryInMs: 2_000 });
  expect(played[0]?.destroyed).toBe(true);
});

test("a server that knows no HLS is told from a stream that is not live", async () => {
  answers = [
    () =>
      new Response("<p>Nothing is here", { status: 404, headers: { "Content-Type": "text/html" } }),
  ];
  const absent = vi.fn();
  viewer.onabsent = absent;
  viewer.start();
  await settle();
  expect(absent).toHaveBeenCalledOnce();
  expect(seen.at(-1)).toMatchObject({ state: "stopped", sentence: "This server gives no HLS." });
});

test("whoever leaves is not asked for again", async () => {
  answers = [problem(404, "no such stream is live", 1)];
  viewer.start();
  await settle();
  viewer.stop();
  await pass(10_000);
  expect(asked).toBe(1);
  expect(states().at(-1)).toBe("stopped");
});

test("qualities are named by their height, and told apart where heights are equal", () => {
  const level = (height: number, bitrate: number) => ({
    width: (height * 16) / 9,
    height,
    bitrate,
  });
  const levels = levelsOf([level(0, 64_000), level(360, 1), level(720, 2), level(720, 3)]);
  expect(levels.map(({ key }) => key)).toEqual(["Sound", "360p", "720p", "720p (2)"]);
});
