// A port to the hub where there are no shared workers (Chrome on Android): one tab holds the connection, and
// the others hear of it over a broadcast channel.
//
// Whoever has the browser's lock of that name is the hub. A tab that is closed loses it by itself, one that is
// frozen gives it away; the next in line then calls the roll, and all tabs say again what they follow.

import { connect } from "./event-source";
import { type Connect, type FromHub, Hub, type Tab, type ToHub } from "./hub";

/** A page's end of its talk with the hub. A `MessagePort` is one. */
export interface Port {
  postMessage(message: ToHub): void;
  onmessage: ((event: { readonly data: FromHub }) => void) | null;
  close(): void;
}

/** What goes over the channel; tabs have numbers. */
type Message =
  | { readonly to: "hub"; readonly from: number; readonly said: ToHub }
  | { readonly to: number; readonly said: FromHub }
  /** A hub begins its work. */
  | { readonly to: "all" };

/** What of the browser a relay needs; tests bring their own. */
export interface Means {
  channel(): BroadcastChannel;
  /** Runs `work` once nobody else runs it; `signal` leaves the queue. */
  alone(work: () => Promise<void>, signal: AbortSignal): Promise<void>;
  connect: Connect;
}

const NAME = "whitewater-events";

/** The browser's means; `null` where it lacks one of them, as over plain HTTP from another machine. */
export function browserMeans(): Means | null {
  if (!("BroadcastChannel" in globalThis) || !globalThis.navigator?.locks) return null;
  return {
    channel: () => new BroadcastChannel(NAME),
    alone: (work, signal) => navigator.locks.request(NAME, { signal }, work),
    connect,
  };
}

/** One tab's port. It is a candidate for the hub as long as it is open. */
export class Relay implements Port {
  onmessage: Port["onmessage"] = null;
  private readonly number = Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);
  private readonly channel: BroadcastChannel;
  private said: ToHub | null = null;
  private candidacy: AbortController | null = null;

  constructor(private readonly means: Means) {
    this.channel = means.channel();
    this.channel.onmessage = ({ data }: MessageEvent<Message>) => {
      if (data.to === this.number) this.onmessage?.({ data: data.said });
      else if (data.to === "all" && this.said) this.postMessage(this.said);
    };
    this.stand();
  }

  postMessage(said: ToHub): void {
    this.said = said;
    const message: Message = { to: "hub", from: this.number, said };
    this.channel.postMessage(message);
  }

  /** Stands for election. */
  stand(): void {
    if (this.candidacy) return;
    const candidacy = new AbortController();
    this.candidacy = candidacy;
    this.means
      .alone(() => serve(this.means, candidacy.signal), candidacy.signal)
      .catch(() => undefined);
  }

  /** Gives the hub away, or leaves the queue for it. */
  resign(): void {
    this.candidacy?.abort();
    this.candidacy = null;
  }

  close(): void {
    this.resign();
    this.channel.close();
  }
}

/** Opens a port that gives the hub away while its page is frozen; `null` where the browser cannot. */
export function openRelay(): Port | null {
  const means = browserMeans();
  if (!means) return null;
  const relay = new Relay(means);
  document.addEventListener("freeze", () => relay.resign());
  document.addEventListener("resume", () => relay.stand());
  return relay;
}

/** Is the hub until the signal comes. */
function serve(means: Means, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const channel = means.channel();
  const hub = new Hub(means.connect);
  const tabs = new Map<number, Tab>();
  const tell = (message: Message) => channel.postMessage(message);
  channel.onmessage = ({ data }: MessageEvent<Message>) => {
    if (data.to !== "hub") return;
    const { from, said } = data;
    const tab = tabs.get(from) ?? { postMessage: (said: FromHub) => tell({ to: from, said }) };
    if (said.follow.length > 0) tabs.set(from, tab);
    else tabs.delete(from);
    hub.hear(tab, said);
  };
  tell({ to: "all" });
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => {
      hub.close();
      channel.close();
      resolve();
    });
  });
}
