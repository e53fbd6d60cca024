// A reader of a WHEP session's server-sent events (the WHEP draft's server-sent-events extension). No DOM.
//
//     const events = new WhepEvents(["layers"], ({ type, data }) => console.log(type, data));
//     await events.open(parseLinks(response.headers.get("Link")), response.url);   // the answer to the POST
//     events.close();
//
// A server without the extension, or one that refuses, just tells nothing. Needs: whep-events.ts, and of ../server/
// http.ts, token.ts.

import { type Link, request } from "../server/http";

/** The types that there are. A server may have fewer. */
export type WhepEventType = "active" | "inactive" | "layers" | "viewercount" | "reconnect";

/** One event. `data` is what the server sent as JSON. */
export interface WhepEvent {
  readonly type: WhepEventType;
  readonly data: unknown;
}

/** The extension's name in `Link` headers. */
const EXTENSION = "urn:ietf:params:whep:ext:core:server-sent-events";

/** The events of one session after the other. */
export class WhepEvents {
  private source: EventSource | null = null;
  /** Counts `open` and `close`, so that a late answer finds that it is late. */
  private turn = 0;

  constructor(
    private readonly types: readonly WhepEventType[],
    private readonly onevent: (event: WhepEvent) => void,
  ) {}

  /** Asks for the events of a session just opened, and reads them. Never throws. */
  async open(links: readonly Link[], base: string): Promise<void> {
    this.close();
    const turn = this.turn;
    const offered = eventsOf(links);
    const types = this.types.filter((type) => offered?.types.includes(type));
    if (!offered || types.length === 0) return;
    try {
      const response = await request(new URL(offered.target, base).href, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(types),
      });
      const location = response.headers.get("Location");
      if (response.status !== 201 || location === null || turn !== this.turn) return;
      this.read(new URL(location, response.url).href, types);
    } catch {
      // Events are extra: the picture comes without them.
    }
  }

  /** Stops reading. The server drops the events with their session. */
  close(): void {
    this.turn++;
    this.source?.close();
    this.source = null;
  }

  private read(url: string, types: readonly WhepEventType[]): void {
    // It comes back by itself until the session has ended: then the server answers 404 and it gives up.
    const source = new EventSource(url);
    this.source = source;
    for (const type of types) {
      source.addEventListener(type, ({ data }: MessageEvent<string>) => {
        if (this.source === source) this.onevent({ type, data: JSON.parse(data) as unknown });
      });
    }
  }
}

/** Where a server offers events, and which; `null` where it offers none. */
export function eventsOf(
  links: readonly Link[],
): { readonly target: string; readonly types: readonly string[] } | null {
  const link = links.find(({ params }) => params["rel"]?.split(/\s+/).includes(EXTENSION));
  if (!link) return null;
  const types = (link.params["events"] ?? "").split(",").map((type) => type.trim());
  return { target: link.target, types: types.filter((type) => type !== "") };
}
