// A follower of streams for pages: over the browser's one event connection, else by asking every two seconds.
//
// Browsers hold at most six connections to a host over HTTP/1.1. One per tab would leave the seventh tab, and
// every other request of the six, without any. So a shared worker holds one for all tabs. Where there are no
// shared workers (Chrome on Android), or while that connection is down, the API is asked instead.

import { fetchStream, type StreamInfo, type TrackInfo } from "./api";
import { type FromHub, type StreamEvent, type ToHub } from "./hub";
import { pollWhileVisible } from "./page";

/** Where a stream stands: its media arrives, its publisher is away and may come back, or there is none. */
export type Phase = "active" | "lost" | "inactive";

/** What a page knows of a stream. */
export interface Followed {
  /** `null` until the server has told. */
  readonly phase: Phase | null;
  readonly viewers: number | null;
  readonly tracks: readonly TrackInfo[];
}

/** What a page may want to know at once. */
export interface Listener {
  /** Something differs from before, or was told again. */
  changed(followed: Followed): void;
  /** The stream's media arrives: now, or again. */
  active?(): void;
  /** The publisher came back with other tracks or codecs: a viewer needs a new session. */
  reconnect?(): void;
}

/** While events do not come, the API is asked so often. */
const ASK_EVERY_MS = 2_000;

/** The worker asks whether its pages live more often than this. */
const DEAF_AFTER_MS = 100_000;

/** Follows a stream as long as the page lives. `viaEvents` says whether events come at present. */
export function follow(name: string, listener: Listener): { readonly viaEvents: boolean } {
  let followed: Followed = { phase: null, viewers: null, tracks: [] };
  let up = false;
  const change = (part: Partial<Followed>) => {
    followed = { ...followed, ...part };
    listener.changed(followed);
  };
  let heardAt = Date.now();
  let port: MessagePort | null = null;
  const say = (names: readonly string[]) => port?.postMessage({ follow: names } satisfies ToHub);
  const listen = () => {
    port?.close();
    port = openPort();
    if (!port) return;
    port.onmessage = ({ data }: MessageEvent<FromHub>) => {
      heardAt = Date.now();
      if ("ask" in data) say([name]);
      else if ("up" in data) up = data.up;
      else if (data.event.stream === name) {
        const part = partOf(data.event);
        if (part) change(part);
        if (data.event.type === "active") listener.active?.();
        if (data.event.type === "reconnect") listener.reconnect?.();
      }
    };
    say([name]);
  };
  listen();
  addEventListener("pagehide", () => say([]));
  addEventListener("pageshow", () => say([name]));
  pollWhileVisible(ASK_EVERY_MS, async () => {
    if (up && Date.now() - heardAt > DEAF_AFTER_MS) {
      // A browser may end a worker without a word to its pages.
      up = false;
      heardAt = Date.now();
      say([]);
      listen();
    }
    if (up) return;
    const before = followed.phase;
    const info = await fetchStream(name);
    if (up) return;
    change(partOfInfo(info));
    if (followed.phase === "active" && before !== null && before !== "active") listener.active?.();
  });
  return {
    get viaEvents() {
      return up;
    },
  };
}

/** What an event changes of what is known; `null` where it changes nothing that stays. */
export function partOf(event: StreamEvent): Partial<Followed> | null {
  switch (event.type) {
    case "active":
    case "lost":
      return { phase: event.type };
    case "inactive":
      return { phase: "inactive", viewers: null, tracks: [] };
    case "viewercount":
      return { viewers: event.viewercount ?? null };
    case "layers":
      return { tracks: (event.tracks ?? []) as readonly TrackInfo[] };
    case "reconnect":
      return null;
  }
}

/** The same from an answer of the API; `null` is a stream that is not live. */
export function partOfInfo(info: StreamInfo | null): Followed {
  if (info === null) return { phase: "inactive", viewers: null, tracks: [] };
  return {
    phase: info.live ? "active" : "lost",
    viewers: info.viewers,
    tracks: info.tracks,
  };
}

function openPort(): MessagePort | null {
  if (!("SharedWorker" in globalThis)) return null;
  try {
    return new SharedWorker(new URL("./events.worker.ts", import.meta.url), { type: "module" })
      .port;
  } catch {
    // A browser that keeps nothing for a framed page gives it no shared worker either.
    return null;
  }
}
