// A WHEP client that watches a stream, waits for it, and comes back by itself. No DOM.
//
//     const viewer = new WhepViewer({ endpoint: "/whep/demo" });
//     viewer.onmedia = (stream) => { video.srcObject = stream; };
//     viewer.onstatus = ({ state, sentence }) => console.log(state, sentence);
//     viewer.start();
//     await viewer.selectLayer("h");   // a simulcast layer by its rid; null for the highest
//     addEventListener("pagehide", () => viewer.leave());
//
// With `events` in the options it also reads the session's server-sent events, where the server has them:
//
//     const viewer = new WhepViewer({ endpoint: "/whep/demo", events: ["viewercount", "reconnect"] });
//     viewer.onevent = ({ type, data }) => console.log(type, data);
//
// On `reconnect` it opens a new session by itself. Each viewer's events are one more HTTP connection: over
// HTTP/1.1 a browser has six per host, for all tabs together. Without `events` nothing is held open between
// attempts. Needs: whep.ts, whep-events.ts, session.ts, and of ../server/ status.ts, http.ts, token.ts.

import { type HttpProblem, type Link, problemOf, request } from "../server/http";
import type { Verdict } from "../server/status";
import {
  enableCaptureTime,
  enableDependencyDescriptor,
  Session,
  type SessionOptions,
} from "./session";
import { type WhepEvent, WhepEvents, type WhepEventType } from "./whep-events";

/** The type of a refusal by a server that is about to stop. */
const CLOSING = "urn:whitewater:closing";

/** What is watched, and how. */
export interface WhepOptions extends SessionOptions {
  /** The events to ask for; none where it is absent. */
  readonly events?: readonly WhepEventType[] | undefined;
}

/** How long one kind of media is waited for before the other is shown alone. */
const ALONE_AFTER_MS = 1_500;

/** What a viewer asks for; what is left out is up to the server. */
export interface LayerChoice {
  /** A simulcast layer. */
  readonly rid?: string;
  /** The highest spatial layer of a scalable picture. */
  readonly spatialLayerId?: number;
  /** The highest temporal layer. */
  readonly temporalLayerId?: number;
}

/** A viewer's session. */
export class WhepViewer extends Session {
  /** Called with what there is to play: on every connection, and when a kind of media joins or is missing. */
  onmedia: ((stream: MediaStream) => void) | null = null;

  /** Called with each event of the session, where `events` were asked for. */
  onevent: ((event: WhepEvent) => void) | null = null;

  private choice: LayerChoice = {};
  private presenter: ReturnType<typeof setTimeout> | undefined;
  private readonly events: WhepEvents | null;

  constructor(options: WhepOptions) {
    super(options);
    const { events } = options;
    this.events = events ? new WhepEvents(events, (event) => this.take(event)) : null;
  }

  /** The layer asked for; `null` for the highest. */
  get selectedLayer(): string | null {
    return this.choice.rid ?? null;
  }

  /** All that was asked for. */
  get selected(): LayerChoice {
    return this.choice;
  }

  /** Asks for a layer by rid, or with `null` for the highest there is. Kept across connections. */
  async selectLayer(rid: string | null): Promise<void> {
    await this.select(rid === null ? {} : { rid });
  }

  /** Asks for a layer and how much of it; nothing named is everything. Kept across connections. */
  async select(choice: LayerChoice): Promise<void> {
    this.choice = choice;
    if (this.location === null || this.status.state !== "live") return;
    const response = await request(`${this.location}/layer`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(choice),
    });
    if (!response.ok) throw await problemOf(response);
  }

  protected override prepare(pc: RTCPeerConnection): void {
    clearTimeout(this.presenter);
    let presented = "";
    const transceivers = (["audio", "video"] as const).map((kind) =>
      pc.addTransceiver(kind, { direction: "recvonly" }),
    );
    const tracks = transceivers.map((transceiver) => transceiver.receiver.track);
    const present = (chosen: MediaStreamTrack[]) => {
      const ids = chosen.map((track) => track.id).join();
      if (chosen.length === 0 || ids === presented || pc !== this.pc) return;
      presented = ids;
      this.onmedia?.(new MediaStream(chosen));
    };
    for (const transceiver of transceivers) {
      enableCaptureTime(transceiver);
      enableDependencyDescriptor(transceiver);
      const { receiver } = transceiver;
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
      // A track is muted until its first packet. A player given one that never gets any may never start.
      receiver.track.onunmute = () => {
        if (presented !== "") return present(tracks.filter((track) => !track.muted));
        present(tracks);
        this.presenter = setTimeout(
          () => present(tracks.filter((track) => !track.muted)),
          ALONE_AFTER_MS,
        );
      };
    }
  }

  protected override opened(links: readonly Link[], base: string): void {
    void this.events?.open(links, base);
  }

  protected override released(): void {
    this.events?.close();
  }

  private take(event: WhepEvent): void {
    this.onevent?.(event);
    if (event.type === "reconnect") this.reopen();
  }

  protected override connected(): void {
    if (Object.keys(this.choice).length === 0) return;
    // A layer that is gone leaves the viewer with the highest one, which is what a new session gets.
    void this.select(this.choice).catch(() => undefined);
  }

  protected override judge(problem: HttpProblem): Verdict {
    return verdictOf(problem);
  }
}

/** What to do after a request for a session was refused. */
export function verdictOf(problem: HttpProblem): Verdict {
  const retryAfterMs = problem.retryAfterS === undefined ? undefined : problem.retryAfterS * 1_000;
  switch (problem.status) {
    case 409:
      return { sentence: "", again: true, state: "waiting", afterMs: retryAfterMs ?? 2_000 };
    case 404:
      return { sentence: "There cannot be a stream of this name.", again: false };
    case 422: {
      const sentence = `This browser cannot play the stream: ${problem.message}`;
      return { sentence, again: true, state: "waiting", afterMs: retryAfterMs ?? 10_000 };
    }
    case 429:
    case 503: {
      // A server that stops is not full: it, or another one, is back soon.
      const isFull = problem.status === 503 && problem.type !== CLOSING;
      const cause = isFull ? "full" : undefined;
      const { message: sentence } = problem;
      return { sentence, again: true, state: "waiting", afterMs: retryAfterMs, cause };
    }
    default:
      return { sentence: problem.message, again: problem.status >= 500 };
  }
}
