import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { parseLinks } from "../../src/server/http";
import { eventsOf, type WhepEvent, WhepEvents } from "../../src/webrtc/whep-events";

const LINK =
  '<stun:a>; rel="ice-server", </whep/a/1/sse>; rel="urn:ietf:params:whep:ext:core:server-sent-events"; events="active, layers,reconnect"';
const BASE = "https://live.example/whep/a";

/** Stands for the browser's. */
class FakeSource {
  static made: FakeSource[] = [];
  readonly listeners = new Map<string, (event: { data: string }) => void>();
  closed = false;

  constructor(readonly url: string) {
    FakeSource.made.push(this);
  }

  addEventListener(type: string, listener: (event: { data: string }) => void): void {
    this.listeners.set(type, listener);
  }

  close(): void {
    this.closed = true;
  }
}

describe("the events of a WHEP session", () => {
  const fetched: { url: string; init: RequestInit }[] = [];
  let answer: () => Response;

  beforeEach(() => {
    FakeSource.made = [];
    fetched.length = 0;
    answer = () => new Response(null, { status: 201, headers: { Location: "/whep/a/1/sse/x" } });
    vi.stubGlobal("EventSource", FakeSource);
    vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
      fetched.push({ url, init });
      const response = answer();
      Object.defineProperty(response, "url", { value: url });
      return Promise.resolve(response);
    });
  });
  afterEach(() => void vi.unstubAllGlobals());

  test("the Link names where they are and which there are", () => {
    expect(eventsOf(parseLinks(LINK))).toEqual({
      target: "/whep/a/1/sse",
      types: ["active", "layers", "reconnect"],
    });
    expect(eventsOf(parseLinks('<stun:a>; rel="ice-server"'))).toBeNull();
  });

  test("only what is wanted and offered is asked for, and told", async () => {
    const told: WhepEvent[] = [];
    const events = new WhepEvents(["layers", "viewercount"], (event) => told.push(event));
    await events.open(parseLinks(LINK), BASE);
    expect(fetched[0]?.url).toBe("https://live.example/whep/a/1/sse");
    expect(fetched[0]?.init).toMatchObject({ method: "POST", body: '["layers"]' });
    const [source] = FakeSource.made;
    expect(source?.url).toBe("https://live.example/whep/a/1/sse/x");
    expect([...(source?.listeners.keys() ?? [])]).toEqual(["layers"]);
    source?.listeners.get("layers")?.({ data: '{"1":[]}' });
    expect(told).toEqual([{ type: "layers", data: { "1": [] } }]);
    events.close();
    expect(source?.closed).toBe(true);
    source?.listeners.get("layers")?.({ data: "{}" });
    expect(told).toHaveLength(1);
  });

  test("a server without them, or that refuses, just tells nothing", async () => {
    const events = new WhepEvents(["layers"], () => undefined);
    await events.open([], BASE);
    expect(fetched).toHaveLength(0);
    answer = () => new Response(null, { status: 503 });
    await events.open(parseLinks(LINK), BASE);
    answer = () => {
      throw new TypeError("no network");
    };
    await events.open(parseLinks(LINK), BASE);
    expect(FakeSource.made).toHaveLength(0);
  });

  test("an answer that comes after the end opens nothing", async () => {
    const events = new WhepEvents(["layers"], () => undefined);
    const opening = events.open(parseLinks(LINK), BASE);
    events.close();
    await opening;
    expect(FakeSource.made).toHaveLength(0);
  });

  test("the next session's events replace the last one's", async () => {
    const events = new WhepEvents(["layers"], () => undefined);
    await events.open(parseLinks(LINK), BASE);
    await events.open(parseLinks(LINK), BASE);
    expect(FakeSource.made.map(({ closed }) => closed)).toEqual([true, false]);
  });
});
