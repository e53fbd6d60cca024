import { expect, test } from "vitest";
import { addressed, refusalSentence, tokenIn, withToken } from "../../src/server/token";

test("a link carries its token in the fragment or the query", () => {
  const rows: [string, string, string | null][] = [
    ["", "", null],
    ["?token=a.b-c", "", "a.b-c"],
    ["?x=1&token=a", "#token=b", "b"],
    ["", "#x", null],
  ];
  for (const [search, hash, want] of rows) expect(tokenIn(search, hash)).toBe(want);
});

test("only requests to the page's own server carry it", () => {
  const base = "https://live.example/watch/a";
  const sent = (url: string, headers?: HeadersInit) =>
    withToken(url, headers, "t", base).get("Authorization");
  expect(sent("/whep/a")).toBe("Bearer t");
  expect(sent("https://live.example/whep/a")).toBe("Bearer t");
  expect(sent("https://other.example/whep/a")).toBe(null);
  expect(sent("/whep/a", { Authorization: "Bearer own" })).toBe("Bearer own");
  expect(withToken("/whep/a", undefined, null, base).get("Authorization")).toBe(null);
});

test("where no header can be sent it goes into the query", () => {
  expect(addressed("/hls/a/index.m3u8", "t/1")).toBe("/hls/a/index.m3u8?token=t%2F1");
  expect(addressed("/api/v1/events?stream=a", "t")).toBe("/api/v1/events?stream=a&token=t");
  expect(addressed("/x", null)).toBe("/x");
});

test("a refusal is a sentence to act on", () => {
  expect(refusalSentence(401, null) ?? "").toMatch(/ask its host for a link/);
  expect(refusalSentence(401, "t") ?? "").toMatch(/expired/);
  expect(refusalSentence(403, "t") ?? "").toMatch(/something else/);
  expect(refusalSentence(404, "t")).toBe(null);
});
