import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Verdict } from "../../src/server/status";
import { Session } from "../../src/webrtc/session";

/** A connection that believes itself connected for ever, as one does right after its machine woke. */
class DeafConnection {
  connectionState = "connected";
  iceConnectionState = "connected";
  onconnectionstatechange: (() => void) | null = null;
  oniceconnectionstatechange: (() => void) | null = null;
  closed = false;
  bytesReceived = 0;
  getStats = () => Promise.resolve([{ type: "candidate-pair", bytesReceived: this.bytesReceived }]);
  createOffer = () => Promise.resolve({ type: "offer", sdp: "v=0" });
  setLocalDescription = () => Promise.resolve();
  setRemoteDescription = () => Promise.resolve();
  getSenders = () => [];
  getReceivers = () => [];
  close = () => {
    this.closed = true;
  };
}

class Plain extends Session {
  protected override prepare(): void {}
  protected override judge(): Verdict {
    return { sentence: "", again: true };
  }
}

const posts: Headers[] = [];
let session: Plain;

beforeEach(async () => {
  posts.length = 0;
  vi.useFakeTimers();
  vi.stubGlobal("RTCPeerConnection", DeafConnection);
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    if (init.method === "POST") posts.push(new Headers(init.headers));
    const headers = { Location: `https://example.org/whep/show/${posts.length}` };
    const response = new Response("a=ice-lite\r\n", { status: 201, headers });
    return Promise.resolve(Object.defineProperty(response, "url", { value: url }));
  });
  session = new Plain({ endpoint: "https://example.org/whep/show" });
  session.start();
  await vi.advanceTimersByTimeAsync(100);
  expect(session.status.state).toBe("live");
});

afterEach(async () => {
  await session.stop();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** Lets the clock of the wall go on while no timer runs. */
async function sleep(ms: number): Promise<void> {
  vi.setSystemTime(Date.now() + ms);
  await vi.advanceTimersByTimeAsync(1_600);
}

test("a session that slept for five minutes replaces itself within two seconds of waking", async () => {
  const lost = session.pc as unknown as DeafConnection;
  await sleep(300_000);
  expect(lost.closed).toBe(true);
  expect(posts.map((headers) => headers.get("Replaces-Session"))).toEqual([
    null,
    "https://example.org/whep/show/1",
  ]);
  expect(session.status.state).toBe("live");
  expect(session.pc).not.toBe(lost);
});

test("a session keeps its connection across a nap that the server waits for", async () => {
  for (let i = 0; i < 5; i++) await sleep(20_000);
  expect(posts.length).toBe(1);
});

test("a session whose page runs on is never taken for one that slept", async () => {
  await vi.advanceTimersByTimeAsync(600_000);
  expect(posts.length).toBe(1);
});

test("a connection that brings nothing after the network has changed is replaced", async () => {
  const lost = session.pc as unknown as DeafConnection;
  lost.bytesReceived = 1_000;
  session.retryNow();
  await vi.advanceTimersByTimeAsync(4_000);
  expect(lost.closed).toBe(true);
  expect(posts.length).toBe(2);
});

test("a connection that goes on bringing something is kept", async () => {
  const alive = session.pc as unknown as DeafConnection;
  session.retryNow();
  await vi.advanceTimersByTimeAsync(1_000);
  alive.bytesReceived = 80;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(posts.length).toBe(1);
});
