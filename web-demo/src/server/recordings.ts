// A client of the server's recordings. No DOM.

import { type HttpProblem, problemOf, request } from "./http";
import { token } from "./token";

/** A quality or sound of a recording. */
export interface RenditionInfo {
  readonly name: string;
  readonly kind: "audio" | "video";
  readonly codecs: string;
  readonly width: number | null;
  readonly height: number | null;
}

/** One recording. */
export interface Recording {
  readonly id: string;
  readonly stream: string;
  readonly state: "recording" | "ready" | "failed";
  /** ISO 8601. */
  readonly began: string;
  readonly ended: string | null;
  readonly duration_s: number;
  readonly bytes: number;
  /** What went wrong, as a sentence. */
  readonly error: string | null;
  readonly renditions: readonly RenditionInfo[];
  readonly hls: string;
  readonly dash: string;
  readonly download: string;
}

/** Some recordings, newest first. */
export interface Page {
  readonly items: readonly Recording[];
  /** The id after which there are more; `null` at the end. */
  readonly next: string | null;
}

/** The administrator's token that the dashboard keeps in this tab. */
export const ADMIN_KEY = "whitewater-admin-token";

/** The token of requests: this page's, or the one that the dashboard was given in this tab. */
export function bearer(): string | null {
  return token ?? globalThis.sessionStorage?.getItem(ADMIN_KEY) ?? null;
}

/** Recordings of one stream, or of all; `after` is an id to go on after. */
export async function fetchRecordings(
  stream: string | null,
  after: string | null,
  limit: number,
): Promise<Page> {
  const query = new URLSearchParams({ limit: String(limit) });
  if (stream !== null) query.set("stream", stream);
  if (after !== null) query.set("after", after);
  return (await (await send("GET", `/api/v1/recordings?${query}`)).json()) as Page;
}

/** One recording; `null` where there is none of this id. */
export async function fetchRecording(id: string): Promise<Recording | null> {
  try {
    return (await (await send("GET", pathOf(id))).json()) as Recording;
  } catch (error) {
    if ((error as Partial<HttpProblem>).status === 404) return null;
    throw error;
  }
}

/** Deletes one for good. One that is gone already is no problem. */
export async function deleteRecording(id: string): Promise<void> {
  try {
    await send("DELETE", pathOf(id));
  } catch (error) {
    const { status } = error as Partial<HttpProblem>;
    if (status === 401 || status === 403) throw new Error(ADMINISTRATORS_ONLY);
    if (status !== 404) throw error;
  }
}

/**
 * What is known after the newest recordings were asked for again: those, and behind them what was known of
 * older ones.
 */
export function renewed(known: readonly Recording[], page: Page): Recording[] {
  const last = page.items.at(-1);
  if (page.next === null || last === undefined) return [...page.items];
  const listed = new Set(page.items.map(({ id }) => id));
  const end = Date.parse(last.began);
  const older = known.filter(({ id, began }) => !listed.has(id) && Date.parse(began) < end);
  return [...page.items, ...older];
}

/** What is known after older ones were asked for. */
export function continued(known: readonly Recording[], page: Page): Recording[] {
  const listed = new Set(known.map(({ id }) => id));
  return [...known, ...page.items.filter(({ id }) => !listed.has(id))];
}

async function send(method: string, url: string): Promise<Response> {
  const headers = new Headers();
  const secret = bearer();
  if (secret !== null) headers.set("Authorization", `Bearer ${secret}`);
  const response = await request(url, { method, headers, cache: "no-store" }, 8_000);
  if (!response.ok) throw await problemOf(response);
  return response;
}

function pathOf(id: string): string {
  return `/api/v1/recordings/${encodeURIComponent(id)}`;
}

const ADMINISTRATORS_ONLY =
  "Only an administrator may delete recordings: sign in on the dashboard, and come back from there.";
