// A hub that shares one event connection among all tabs of a browser. No DOM: events.worker.ts gives it ports.
//
// Tabs say which streams they follow. The hub holds one connection for all of them, and opens it anew when the
// set of streams changes: the server then tells how each of them stands. A tab that dies says nothing, so the
// hub asks all of them from time to time and forgets those that do not answer.

/** What the server tells of one stream; the members that an event has beside `stream` are its own. */
export interface StreamEvent {
  readonly type: EventName;
  readonly stream: string;
  readonly viewercount?: number;
  readonly hlsviewercount?: number;
  readonly dashviewercount?: number;
  readonly tracks?: readonly unknown[];
}

/** The events of `GET /api/v1/events`. */
export const EVENT_NAMES = [
  "active",
  "lost",
  "inactive",
  "reconnect",
  "viewercount",
  "hlsviewercount",
  "dashviewercount",
  "layers",
] as const;
export type EventName = (typeof EVENT_NAMES)[number];

/** The name of whatever is live. */
const ALL_LIVE = "*";

/** What a tab tells the hub: which streams it follows, none when it leaves. Also its answer to `ask`. */
export interface ToHub {
  readonly follow: readonly string[];
}

/** What the hub tells a tab. */
export type FromHub =
  /** Something happened, or stands so. */
  | { readonly event: StreamEvent }
  /** Whether the connection is up. */
  | { readonly up: boolean }
  /** Asks for the tab's `ToHub`. */
  | { readonly ask: true };

/** One tab, as far as the hub is concerned. */
export interface Tab {
  postMessage(message: FromHub): void;
}

/** A connection to the server. */
export interface Source {
  close(): void;
}

/** Opens a connection that follows streams. It keeps itself up until it is closed. */
export type Connect = (
  streams: readonly string[],
  on: { event: (event: StreamEvent) => void; up: (up: boolean) => void },
) => Source;

/** Streams that one connection may name; further ones are not followed, and their tabs ask by themselves. */
const MAX_STREAMS = 64;
/** Changes of the set are collected for so long: a page that reloads leaves and comes back. */
const SETTLE_MS = 50;
/** So often tabs are asked whether they live. */
const ASK_EVERY_MS = 30_000;
/** So many questions may stay without an answer: a busy tab is not a dead one. */
const MAX_UNANSWERED = 3;

/** The hub of one browser. */
export class Hub {
  private readonly tabs = new Map<Tab, { follow: readonly string[]; unanswered: number }>();
  private streams: readonly string[] = [];
  private source: Source | null = null;
  private up = false;
  private settling: ReturnType<typeof setTimeout> | undefined;
  private asking: ReturnType<typeof setInterval> | undefined;
  /** What holds of each stream, for tabs that come later. */
  private readonly standing = new Map<string, Map<string, StreamEvent>>();

  constructor(private readonly connect: Connect) {}

  /** Takes in what a tab says. */
  hear(tab: Tab, { follow }: ToHub): void {
    if (follow.length === 0) this.tabs.delete(tab);
    else {
      const before = this.tabs.get(tab)?.follow ?? [];
      this.tabs.set(tab, { follow, unanswered: 0 });
      const fresh = follow.filter((stream) => !before.includes(stream));
      if (fresh.length > 0) this.greet(tab, fresh);
    }
    this.settle();
  }

  private greet(tab: Tab, streams: readonly string[]): void {
    tab.postMessage({ up: this.up && streams.every((stream) => this.streams.includes(stream)) });
    const told = streams.includes(ALL_LIVE) ? this.standing.keys() : streams;
    for (const stream of told) {
      for (const event of this.standing.get(stream)?.values() ?? []) tab.postMessage({ event });
    }
  }

  /** Ends it: its tabs hear nothing more of it. */
  close(): void {
    clearTimeout(this.settling);
    clearInterval(this.asking);
    this.source?.close();
    this.source = null;
    this.tabs.clear();
  }

  private settle(): void {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.reconnect(), SETTLE_MS);
    if (this.tabs.size > 0) this.asking ??= setInterval(() => this.ask(), ASK_EVERY_MS);
    else {
      clearInterval(this.asking);
      this.asking = undefined;
    }
  }

  private reconnect(): void {
    const wanted = new Set([...this.tabs.values()].flatMap(({ follow }) => follow));
    const streams = [...wanted].sort().slice(0, MAX_STREAMS);
    if (streams.join() === this.streams.join()) return;
    this.streams = streams;
    this.source?.close();
    this.source = null;
    this.up = false;
    for (const stream of this.standing.keys()) {
      if (!streams.includes(stream) && !streams.includes(ALL_LIVE)) this.standing.delete(stream);
    }
    if (streams.length === 0) return;
    const source = this.connect(streams, {
      event: (event) => this.source === source && this.take(event),
      up: (up) => this.source === source && this.turn(up),
    });
    this.source = source;
  }

  private turn(up: boolean): void {
    this.up = up;
    // What stood before the connection was lost is told again by the next one.
    if (!up) this.standing.clear();
    for (const [tab, { follow }] of this.tabs) {
      tab.postMessage({ up: up && follow.every((stream) => this.streams.includes(stream)) });
    }
  }

  private take(event: StreamEvent): void {
    this.remember(event);
    for (const [tab, { follow }] of this.tabs) {
      if (follow.includes(event.stream) || follow.includes(ALL_LIVE)) tab.postMessage({ event });
    }
  }

  private remember(event: StreamEvent): void {
    const stands = this.standing.get(event.stream) ?? new Map<string, StreamEvent>();
    this.standing.set(event.stream, stands);
    switch (event.type) {
      case "inactive":
        stands.clear();
        stands.set("phase", event);
        // Of all that is live, what is over is not remembered.
        if (!this.streams.includes(event.stream)) this.standing.delete(event.stream);
        return;
      case "active":
      case "lost":
        stands.set("phase", event);
        return;
      case "viewercount":
      case "hlsviewercount":
      case "dashviewercount":
      case "layers":
        stands.set(event.type, event);
        return;
      case "reconnect":
        // It is about sessions that were open when it was told.
        return;
    }
  }

  private ask(): void {
    for (const [tab, state] of this.tabs) {
      if (state.unanswered++ >= MAX_UNANSWERED) this.tabs.delete(tab);
      else tab.postMessage({ ask: true });
    }
    this.settle();
  }
}
