// A page's share of the browser's one event connection.
//
// Browsers hold at most six connections to a host over HTTP/1.1. One per tab would leave the seventh tab, and
// every other request of the six, without any. So a shared worker holds one for all tabs, or one of the tabs.

import { token } from "../server/token";
import { connect } from "./event-source";
import { type FromHub, Hub, type StreamEvent, type ToHub } from "./hub";
import { openRelay, type Port } from "./relay";

/** What a page may want to hear. */
export interface Ear {
  event(event: StreamEvent): void;
  /** Whether events come from now on; those that were missed are not told. */
  up?(up: boolean): void;
}

/** A page that listens. */
export interface Listening {
  /** Whether events come at present. */
  readonly up: boolean;
  /** To be called from time to time: begins anew where nothing was heard for long. */
  revive(): void;
}

/** The hub asks whether its pages live more often than this. */
const DEAF_AFTER_MS = 100_000;

/** Listens to streams as long as the page lives; `*` is whatever is live. */
export function listen(names: readonly string[], ear: Ear): Listening {
  let up = false;
  let heardAt = Date.now();
  let port: Port | null = null;
  const say = (follow: readonly string[]) => port?.postMessage({ follow } satisfies ToHub);
  const turn = (now: boolean) => {
    if (up === now) return;
    up = now;
    ear.up?.(up);
  };
  const open = () => {
    port?.close();
    port = openPort();
    if (!port) return;
    port.onmessage = ({ data }: { readonly data: FromHub }) => {
      heardAt = Date.now();
      if ("ask" in data) say(names);
      else if ("up" in data) turn(data.up);
      else if (names.includes(data.event.stream) || names.includes("*")) ear.event(data.event);
    };
    say(names);
  };
  open();
  addEventListener("pagehide", () => say([]));
  addEventListener("pageshow", () => say(names));
  return {
    get up() {
      return up;
    },
    revive() {
      if (!up || Date.now() - heardAt <= DEAF_AFTER_MS) return;
      // A browser may end a worker without a word to its pages.
      turn(false);
      heardAt = Date.now();
      say([]);
      open();
    },
  };
}

function openPort(): Port | null {
  // Other tabs have other tokens: what this one may hear is its own.
  if (token !== null) return ownPort();
  if (!("SharedWorker" in globalThis)) return openRelay();
  try {
    const worker = new SharedWorker(new URL("./events.worker.ts", import.meta.url), {
      type: "module",
    });
    return portOf(worker.port);
  } catch {
    // A browser that keeps nothing for a framed page gives it no shared worker either.
    return null;
  }
}

/** A hub for this page alone. */
function ownPort(): Port {
  const hub = new Hub(connect);
  const port: Port = {
    onmessage: null,
    postMessage: (message) => hub.hear(tab, message),
    close: () => hub.close(),
  };
  const tab = { postMessage: (said: FromHub) => port.onmessage?.({ data: said }) };
  return port;
}

function portOf(inner: MessagePort): Port {
  const port: Port = {
    onmessage: null,
    postMessage: (message) => inner.postMessage(message),
    close: () => inner.close(),
  };
  inner.onmessage = ({ data }: MessageEvent<FromHub>) => port.onmessage?.({ data });
  return port;
}
