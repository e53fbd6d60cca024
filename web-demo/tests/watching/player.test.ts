import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Status } from "../../src/server/status";
import { Player } from "../../src/watching/player";
import type { Rule } from "../../src/watching/protocol";

/** A viewer of either kind, as far as a player is concerned. */
interface Fake {
  onstatus: ((status: Status) => void) | null;
  onabsent?: () => void;
  options: Record<string, unknown>;
  running: boolean;
}

const made: { whep: Fake[]; hls: Fake[]; dash: Fake[] } = vi.hoisted(() => ({
  whep: [],
  hls: [],
  dash: [],
}));

vi.mock("../../src/webrtc/whep", () => ({
  WhepViewer: class {
    onstatus = null;
    running = false;
    constructor(readonly options: Record<string, unknown>) {
      made.whep.push(this);
    }
    start(): void {
      this.running = true;
    }
    leave(): void {
      this.running = false;
    }
  },
}));
vi.mock("../../src/segments/hls", () => ({
  HlsViewer: class {
    onstatus = null;
    running = false;
    constructor(readonly options: Record<string, unknown>) {
      made.hls.push(this);
    }
    start(): void {
      this.running = true;
    }
    stop(): void {
      this.running = false;
    }
  },
}));
vi.mock("../../src/segments/dash", () => ({
  DashViewer: class {
    onstatus = null;
    running = false;
    constructor(readonly options: Record<string, unknown>) {
      made.dash.push(this);
    }
    start(): void {
      this.running = true;
    }
    stop(): void {
      this.running = false;
    }
  },
}));

const live: Status = { state: "live", sentence: "" };
const failed = (cause: Status["cause"]): Status => ({ state: "connecting", sentence: "x", cause });

function start(rule: Rule): Player {
  const player = new Player({ name: "a", video: {} as HTMLVideoElement, rule });
  player.start();
  return player;
}

beforeEach(() => {
  made.whep.length = made.hls.length = made.dash.length = 0;
  vi.stubGlobal("RTCPeerConnection", class {});
});

afterEach(() => vi.unstubAllGlobals());

for (const cause of ["unconnected", "full"] as const) {
  test(`a viewer whose first attempt ends ${cause} goes on by HLS`, () => {
    const player = start("auto");
    expect([player.protocol, player.why]).toEqual(["whep", "default"]);
    made.whep[0]?.onstatus?.(failed(cause));
    expect([player.protocol, player.why, player.detail]).toEqual(["hls", cause, "x"]);
    expect(made.whep[0]?.running).toBe(false);
    expect(made.hls[0]?.running).toBe(true);
  });
}

test("a viewer who was live keeps to WHEP until three attempts in a row have failed", () => {
  const player = start("auto");
  const say = (status: Status) => made.whep[0]?.onstatus?.(status);
  say(live);
  say(failed("unconnected"));
  say(failed("unconnected"));
  say(live);
  for (const expected of ["whep", "whep", "hls"]) {
    say(failed("unconnected"));
    expect(player.protocol).toBe(expected);
  }
});

test("a stream that is not live, and a server that is away, are no reason for HLS", () => {
  const player = start("auto");
  made.whep[0]?.onstatus?.({ state: "waiting", sentence: "" });
  made.whep[0]?.onstatus?.({ state: "connecting", sentence: "The server cannot be reached." });
  expect(player.protocol).toBe("whep");
});

test("an address that forbids HLS is obeyed, and waits as long as a connection may take", () => {
  const player = start("whep");
  expect(made.whep[0]?.options["connectWithinMs"]).toBeUndefined();
  made.whep[0]?.onstatus?.(failed("full"));
  expect(player.protocol).toBe("whep");
  expect(player.status).toMatchObject({ sentence: "x" });
  expect(player.hasChoice).toBe(false);
});

test("an address that asks for HLS opens no session of WHEP", () => {
  const player = start("hls");
  expect([player.protocol, player.why, player.hasChoice]).toEqual(["hls", "asked", true]);
  expect(made.whep).toHaveLength(0);
  expect(made.hls[0]?.options["url"]).toBe("/hls/a/index.m3u8");
});

test("an address that asks for DASH is given it, and real time beside it", () => {
  const player = start("dash");
  expect([player.protocol, player.why, player.other]).toEqual(["dash", "asked", "dash"]);
  expect([made.whep.length, made.hls.length]).toEqual([0, 0]);
  expect(made.dash[0]?.options["url"]).toBe("/dash/a/manifest.mpd");
  player.choose("whep");
  expect([made.dash[0]?.running, made.whep[0]?.running]).toEqual([false, true]);
  // Where that fails the viewer is back where it came from.
  made.whep[0]?.onstatus?.(failed("full"));
  expect([player.protocol, made.dash[1]?.running]).toEqual(["dash", true]);
  made.dash[1]?.onabsent?.();
  expect([player.protocol, player.why, player.hasChoice]).toEqual(["whep", "alone", false]);
});

test("the viewer's choice replaces the one viewer by the other", () => {
  const player = start("auto");
  player.choose("hls");
  expect([player.why, made.whep[0]?.running, made.hls[0]?.running]).toEqual([
    "chosen",
    false,
    true,
  ]);
  // What the viewer that was left still has to say is nobody's business.
  made.whep[0]?.onstatus?.(live);
  expect(player.status.state).toBe("idle");
  player.choose("whep");
  expect([player.protocol, made.hls[0]?.running, made.whep[1]?.running]).toEqual([
    "whep",
    false,
    true,
  ]);
});

test("where the server gives no HLS, WHEP goes on and nothing else is offered", () => {
  const player = start("auto");
  made.whep[0]?.onstatus?.(failed("full"));
  made.hls[0]?.onabsent?.();
  expect([player.protocol, player.why, player.hasChoice]).toEqual(["whep", "alone", false]);
  made.whep[1]?.onstatus?.(failed("full"));
  expect(player.protocol).toBe("whep");
});

test("a browser without WebRTC begins with HLS", () => {
  vi.stubGlobal("RTCPeerConnection", undefined);
  Reflect.deleteProperty(globalThis, "RTCPeerConnection");
  const player = start("auto");
  expect([player.protocol, player.why, player.hasChoice]).toEqual(["hls", "unable", false]);
});
