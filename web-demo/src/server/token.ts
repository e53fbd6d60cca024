// The token that a link carries: `?token=…`, or `#token=…`, which never reaches a log.
//
// It goes with every request to this server as `Authorization: Bearer`; where a browser can send no header,
// as an event source and the first playlist of a player, it goes into the query.

/** The token in an address; `null` where there is none. */
export function tokenIn(search: string, hash: string): string | null {
  return (
    new URLSearchParams(hash.replace(/^#/, "")).get("token") ??
    new URLSearchParams(search).get("token")
  );
}

/** The token of this page. */
export const token: string | null =
  "location" in globalThis ? tokenIn(location.search, location.hash) : null;

/** The headers of a request with the token added, where it goes to this server. */
export function withToken(
  url: string,
  headers: HeadersInit | undefined,
  bearer: string | null = token,
  base: string = globalThis.location?.href ?? "",
): Headers {
  const all = new Headers(headers);
  if (bearer === null || all.has("Authorization")) return all;
  if (new URL(url, base).origin === new URL(base).origin) {
    all.set("Authorization", `Bearer ${bearer}`);
  }
  return all;
}

/** An address with the token in its query. */
export function addressed(url: string, bearer: string | null = token): string {
  if (bearer === null) return url;
  return `${url}${url.includes("?") ? "&" : "?"}token=${encodeURIComponent(bearer)}`;
}

/** The address of another page of ours, which is given this page's token where no log sees it. */
export function withPageToken(path: string, bearer: string | null = token): string {
  return bearer === null ? path : `${path}#token=${encodeURIComponent(bearer)}`;
}

/** What a person can do about a request that was refused for want of permission; else `null`. */
export function refusalSentence(status: number, bearer: string | null = token): string | null {
  if (status === 401 && bearer === null) {
    return "This stream is not open to everybody: ask its host for a link.";
  }
  if (status === 401) return "This link has expired or is not valid: ask the host for a new one.";
  if (status === 403)
    return "This link is for something else: ask the host for one for this stream.";
  return null;
}
