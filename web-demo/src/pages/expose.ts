// A view of a page for its console: `window.whitewater`.

import type { SessionState } from "../server/status";
import type { Protocol } from "../watching/protocol";

/** What tests and curious people may read in the console. Nothing in it can be changed. */
export interface Whitewater {
  /** The session's state. */
  readonly state: SessionState;
  /** How a stream is watched; publishers have none. */
  readonly protocol?: Protocol;
  /** The present connection. */
  readonly pc: RTCPeerConnection | null;
  /** The URL of the session on the server. */
  readonly session: string | null;
  /** The figures that the page shows, as numbers. */
  readonly figures: unknown;
  /** Whether the server's events arrive; otherwise the page asks for what it wants to know. */
  readonly events?: boolean;
}

/** Makes `window.whitewater` from getters. */
export function expose(view: Whitewater): void {
  Object.defineProperty(window, "whitewater", { value: Object.freeze(view) });
}
