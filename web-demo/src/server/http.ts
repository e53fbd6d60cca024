// A reader that turns HTTP answers of WHIP and WHEP servers into plain values. No DOM. Needs: token.ts.

import { refusalSentence, withToken } from "./token";

/** One value of a `Link` header: its target and its parameters, names in lower case. */
export interface Link {
  readonly target: string;
  readonly params: Readonly<Record<string, string>>;
}

/** An answer other than the one asked for. `message` is a sentence to show. */
export class HttpProblem extends Error {
  override readonly name = "HttpProblem";

  constructor(
    readonly status: number,
    message: string,
    /** How long the server asks to wait, in seconds. */
    readonly retryAfterS?: number | undefined,
    /** What tells the problem from others of its status, where the server says it. */
    readonly type = "",
  ) {
    super(message);
  }
}

/** The server could not be reached at all. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";

  constructor() {
    super("The server cannot be reached.");
  }
}

/** Fetches with a deadline; a failure of the network becomes `Unreachable`. */
export async function request(url: string, init: RequestInit = {}, timeoutMs = 10_000) {
  try {
    const headers = withToken(url, init.headers);
    return await fetch(url, { ...init, headers, signal: AbortSignal.timeout(timeoutMs) });
  } catch {
    throw new Unreachable();
  }
}

/** Reads `application/problem+json` (RFC 9457), or makes a sentence from the status. */
export async function problemOf(response: Response): Promise<HttpProblem> {
  const retryAfterS = parseRetryAfter(response.headers.get("Retry-After"));
  const refused = refusalSentence(response.status);
  if (refused !== null) return new HttpProblem(response.status, refused, retryAfterS);
  let [detail, type] = ["", ""];
  if (response.headers.get("Content-Type")?.includes("json")) {
    const body: unknown = await response.json().catch(() => null);
    detail = textOf(body, "detail") || textOf(body, "title");
    type = textOf(body, "type");
  }
  return new HttpProblem(
    response.status,
    detail
      ? sentence(detail)
      : `The server answered ${response.status} ${response.statusText}`.trim() + ".",
    retryAfterS,
    type,
  );
}

/** Parses `Retry-After`: seconds or an HTTP date. */
export function parseRetryAfter(value: string | null, nowMs = Date.now()): number | undefined {
  if (value === null || value.trim() === "") return undefined;
  if (/^\s*\d+\s*$/.test(value)) return Number(value);
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, (at - nowMs) / 1000);
}

/** Parses a `Link` header (RFC 8288), however many header lines were joined into it. */
export function parseLinks(header: string | null): Link[] {
  const links: Link[] = [];
  let rest = header ?? "";
  for (;;) {
    const target = /^[\s,]*<([^>]*)>/.exec(rest);
    if (!target) return links;
    rest = rest.slice(target[0].length);
    const params: Record<string, string> = {};
    for (;;) {
      const param = /^\s*;\s*([^\s=;,]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,]*)))?/.exec(rest);
      if (!param) break;
      rest = rest.slice(param[0].length);
      const quoted = param[2]?.replace(/\\(.)/g, "$1");
      params[(param[1] ?? "").toLowerCase()] ??= quoted ?? param[3] ?? "";
    }
    links.push({ target: target[1] ?? "", params });
  }
}

/** The ICE servers that a server hands out (RFC 9725 section 4.6). */
export function iceServersOf(links: readonly Link[]): RTCIceServer[] {
  return links
    .filter((link) => link.params["rel"]?.split(/\s+/).includes("ice-server"))
    .map(({ target, params }) => ({
      urls: target,
      ...(params["username"] === undefined ? {} : { username: params["username"] }),
      ...(params["credential"] === undefined ? {} : { credential: params["credential"] }),
    }));
}

/** Makes a server's message read as a sentence. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

function textOf(body: unknown, key: string): string {
  const value: unknown =
    typeof body === "object" && body !== null ? Reflect.get(body, key) : undefined;
  return typeof value === "string" ? value : "";
}
