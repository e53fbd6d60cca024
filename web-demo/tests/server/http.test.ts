import { describe, expect, test } from "vitest";
import {
  iceServersOf,
  parseLinks,
  parseRetryAfter,
  problemOf,
  sentence,
} from "../../src/server/http";

describe("Link headers", () => {
  test("several header lines joined by commas give one link each", () => {
    const links = parseLinks(
      '<stun:a.example>; rel="ice-server", <turn:b.example?transport=udp>; rel="ice-server"; username="u"; credential="p,;q"',
    );
    expect(links.map((link) => link.target)).toEqual([
      "stun:a.example",
      "turn:b.example?transport=udp",
    ]);
    expect(links[1]?.params).toEqual({ rel: "ice-server", username: "u", credential: "p,;q" });
  });

  test("only ice servers become ice servers", () => {
    const links = parseLinks(
      '<https://x/layer>; rel="urn:ietf:params:whep:ext:core:layer", <stun:a>; rel=ice-server, <turn:b>; rel="ice-server"; username="u"; credential="p\\"q"',
    );
    expect(iceServersOf(links)).toEqual([
      { urls: "stun:a" },
      { urls: "turn:b", username: "u", credential: 'p"q' },
    ]);
  });

  test("nonsense and nothing give no links", () => {
    expect(parseLinks(null)).toEqual([]);
    expect(parseLinks("rel=ice-server; <x")).toEqual([]);
  });
});

describe("Retry-After", () => {
  test.each([
    ["2", 2],
    [" 30 ", 30],
    ["Thu, 01 Jan 1970 00:00:10 GMT", 5],
    ["Thu, 01 Jan 1970 00:00:01 GMT", 0],
    ["soon", undefined],
    ["", undefined],
    [null, undefined],
  ])("%j at 5 s is %j seconds", (value, seconds) => {
    expect(parseRetryAfter(value, 5_000)).toBe(seconds);
  });
});

describe("problems", () => {
  test("the detail of problem+json becomes a sentence", async () => {
    const body = JSON.stringify({
      type: "about:blank",
      title: "Full",
      detail: "the server is full",
    });
    const problem = await problemOf(
      new Response(body, {
        status: 503,
        headers: { "Content-Type": "application/problem+json", "Retry-After": "4" },
      }),
    );
    expect(problem).toMatchObject({ status: 503, retryAfterS: 4, message: "The server is full." });
    expect(problem.type).toBe("about:blank");
  });

  test("an answer without a body still says something", async () => {
    const problem = await problemOf(new Response("x", { status: 500, statusText: "Oops" }));
    expect(problem.message).toBe("The server answered 500 Oops.");
  });

  test("a sentence keeps its own full stop", () => {
    expect(sentence(" done. ")).toBe("Done.");
  });
});
