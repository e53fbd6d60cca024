// A client of what the API has for administrators. No DOM.

import type { StreamInfo } from "../server/api";
import { HttpProblem, parseLinks, problemOf, request } from "../server/http";
import type { Page } from "../server/recordings";

/** The layer that a viewer gets. */
export interface SelectedLayer {
  readonly rid: string | null;
  readonly spatial_layer_id: number | null;
  readonly temporal_layer_id: number | null;
  readonly automatic: boolean;
}

/** A track of a session. */
export interface SessionTrack {
  readonly kind: "audio" | "video";
  readonly codec: string | null;
  readonly bitrate_bps: number;
  readonly loss: number | null;
  readonly rids: readonly string[];
  readonly layer: SelectedLayer | null;
}

/** A session of WHIP or WHEP. */
export interface Session {
  readonly id: string;
  readonly stream: string;
  readonly side: "publish" | "watch";
  readonly state: "connecting" | "connected" | "silent";
  readonly address: string | null;
  readonly transport: "udp" | "tcp" | null;
  readonly uptime_ms: number;
  readonly expires_in_s: number | null;
  readonly bitrate_in_bps: number;
  readonly bitrate_out_bps: number;
  readonly loss: number | null;
  readonly round_trip_ms: number | null;
  readonly tracks: readonly SessionTrack[];
}

/** The last quarter of an hour: lists of one number per sample. */
export interface History {
  readonly interval_s: number;
  readonly at_unix_ms: readonly number[];
  readonly streams: readonly number[];
  readonly viewers: {
    readonly whep: readonly number[];
    readonly hls: readonly (number | null)[];
    readonly dash: readonly (number | null)[];
  };
  readonly bitrate_in_bps: readonly number[];
  readonly bitrate_out_bps: readonly number[];
  readonly loss: readonly (number | null)[];
  readonly layers: readonly {
    readonly stream: string | null;
    readonly kind: string | null;
    readonly rid: string | null;
    readonly bitrate_bps: readonly (number | null)[];
  }[];
  readonly shards: readonly (readonly (number | null)[])[];
}

/** The token does not let its bearer in. `message` says what to do. */
export class NotAllowed extends Error {
  override readonly name = "NotAllowed";
}

/** Requests with an administrator's token; `null` for a server that needs none. */
export class Admin {
  constructor(readonly token: string | null) {}

  streams = () => this.#get<StreamInfo[]>("/api/v1/streams");
  history = () => this.#get<History>("/api/v1/history");

  /** All sessions, page by page. */
  async sessions(): Promise<Session[]> {
    const all: Session[] = [];
    let next: string | undefined = "/api/v1/sessions?limit=1000";
    while (next !== undefined) {
      const response = await this.#send("GET", next);
      all.push(...((await response.json()) as Session[]));
      const links = parseLinks(response.headers.get("Link"));
      next = links.find((link) => link.params["rel"] === "next")?.target;
    }
    return all;
  }

  async kick(session: string): Promise<void> {
    await this.#send("DELETE", `/api/v1/sessions/${encodeURIComponent(session)}`);
  }

  async end(stream: string): Promise<void> {
    await this.#send("DELETE", `/api/v1/streams/${encodeURIComponent(stream)}/publisher`);
  }

  async keyframe(stream: string): Promise<void> {
    await this.#send("POST", `/api/v1/streams/${encodeURIComponent(stream)}/keyframe`);
  }

  /** Those of these live streams that are being recorded, with the ids of their recordings. */
  async recorded(live: readonly string[]): Promise<Map<string, string>> {
    const { items, next } = await this.#recordings("limit=100");
    const all = [...items];
    // One that has gone on for long stands behind many that began later.
    const rest = next === null ? [] : live.filter((name) => !all.some((it) => it.stream === name));
    for (const name of rest) {
      all.push(...(await this.#recordings(`limit=1&stream=${encodeURIComponent(name)}`)).items);
    }
    const now = all.filter(({ state }) => state === "recording");
    return new Map(now.map(({ stream, id }) => [stream, id]));
  }

  async #recordings(query: string): Promise<Page> {
    try {
      return await this.#get<Page>(`/api/v1/recordings?${query}`);
    } catch (error) {
      // A server that keeps no recordings has a dashboard all the same.
      const isOff = error instanceof HttpProblem && [404, 409].includes(error.status);
      if (isOff) return { items: [], next: null };
      throw error;
    }
  }

  async record(stream: string): Promise<void> {
    await this.#send("POST", `/api/v1/streams/${encodeURIComponent(stream)}/recording`);
  }

  async stopRecording(stream: string): Promise<void> {
    await this.#send("DELETE", `/api/v1/streams/${encodeURIComponent(stream)}/recording`);
  }

  /** Chooses a viewer's layer; `null` lets its network choose. */
  async choose(session: string, rid: string | null): Promise<void> {
    const url = `/api/v1/sessions/${encodeURIComponent(session)}/layer`;
    await (rid === null ? this.#send("DELETE", url) : this.#send("PUT", url, { rid }));
  }

  async #get<T>(url: string): Promise<T> {
    return (await (await this.#send("GET", url)).json()) as T;
  }

  async #send(method: string, url: string, body?: unknown): Promise<Response> {
    const headers = new Headers();
    if (this.token !== null) headers.set("Authorization", `Bearer ${this.token}`);
    if (body !== undefined) headers.set("Content-Type", "application/json");
    const init: RequestInit = { method, headers, cache: "no-store" };
    if (body !== undefined) init.body = JSON.stringify(body);
    const response = await request(url, init, 8_000);
    if (response.ok) return response;
    const why = whyNot(response.status, this.token !== null);
    if (why !== null) throw new NotAllowed(why);
    throw await problemOf(response);
  }
}

/** What a person does about a refusal for want of permission; else `null`. */
export function whyNot(status: number, hasToken: boolean): string | null {
  if (status === 401 && !hasToken) return "This server asks for an administrator’s token.";
  if (status === 401) {
    return "The token has expired, or is not of this server: make a new one and enter it here.";
  }
  if (status === 403) {
    return "This token is not an administrator’s: make one with --admin and enter it here.";
  }
  return null;
}

/** A sentence about whatever went wrong. */
export function sentenceOf(error: unknown): string {
  if (error instanceof HttpProblem && error.status === 404) return "It has ended meanwhile.";
  return error instanceof Error ? error.message : String(error);
}
