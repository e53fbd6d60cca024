// A follower of one stream for pages: by events, else by asking every two seconds.

import { pollWhileVisible } from "../page/page";
import { fetchStream, type StreamInfo, type TrackInfo } from "../server/api";
import { type StreamEvent } from "./hub";
import { listen } from "./listen";

/** Where a stream stands: its media arrives, its publisher is away and may come back, or there is none. */
export type Phase = "active" | "lost" | "inactive";

/** What a page knows of a stream. */
export interface Followed {
  /** `null` until the server has told. */
  readonly phase: Phase | null;
  readonly viewers: number | null;
  /** Beside them, over HLS. */
  readonly hlsViewers: number;
  /** And over DASH. */
  readonly dashViewers: number;
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

/** Follows a stream as long as the page lives. `viaEvents` says whether events come at present. */
export function follow(name: string, listener: Listener): { readonly viaEvents: boolean } {
  let followed: Followed = {
    phase: null,
    viewers: null,
    hlsViewers: 0,
    dashViewers: 0,
    tracks: [],
  };
  const change = (part: Partial<Followed>) => {
    followed = { ...followed, ...part };
    listener.changed(followed);
  };
  const listening = listen([name], {
    event: (event) => {
      const part = partOf(event);
      if (part) change(part);
      if (event.type === "active") listener.active?.();
      if (event.type === "reconnect") listener.reconnect?.();
    },
  });
  pollWhileVisible(ASK_EVERY_MS, async () => {
    listening.revive();
    if (listening.up) return;
    const before = followed.phase;
    const info = await fetchStream(name);
    if (listening.up) return;
    change(partOfInfo(info));
    if (followed.phase === "active" && before !== null && before !== "active") listener.active?.();
  });
  return {
    get viaEvents() {
      return listening.up;
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
      return { phase: "inactive", viewers: null, hlsViewers: 0, dashViewers: 0, tracks: [] };
    case "hlsviewercount":
      return { hlsViewers: event.hlsviewercount ?? 0 };
    case "dashviewercount":
      return { dashViewers: event.dashviewercount ?? 0 };
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
  if (info === null)
    return { phase: "inactive", viewers: null, hlsViewers: 0, dashViewers: 0, tracks: [] };
  return {
    phase: info.live ? "active" : "lost",
    viewers: info.viewers,
    hlsViewers: info.hls_viewers,
    dashViewers: info.dash_viewers,
    tracks: info.tracks,
  };
}
