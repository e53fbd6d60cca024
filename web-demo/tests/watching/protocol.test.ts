import { expect, test } from "vitest";
import {
  dashPath,
  givesUp,
  hlsPath,
  protocolText,
  ruleOf,
  waitingText,
  type Why,
} from "../../src/watching/protocol";

test("an address forces HLS, forbids it, or leaves it to the page", () => {
  const rows: [string, string][] = [
    ["", "auto"],
    ["?muted=0", "auto"],
    ["?protocol=", "auto"],
    ["?protocol=rtmp", "auto"],
    ["?protocol=dash", "dash"],
    ["?protocol=hls", "hls"],
    ["?muted=0&protocol=whep", "whep"],
  ];
  for (const [search, rule] of rows) expect(ruleOf(search), search).toBe(rule);
});

test("whoever has seen no picture yet is handed over at once, others after three failures in a row", () => {
  expect([0, 1, 2, 3].map((failures) => givesUp(failures, false))).toEqual([
    false,
    true,
    true,
    true,
  ]);
  expect([0, 1, 2, 3].map((failures) => givesUp(failures, true))).toEqual([
    false,
    false,
    false,
    true,
  ]);
});

test("every way to play is a sentence that says why", () => {
  const whys: Why[] = ["default", "asked", "chosen", "unable", "alone", "unconnected", "full"];
  for (const why of whys) {
    expect(protocolText("whep", why)).toMatch(/^(In|[A-Z].* in) real time over WebRTC.*\.$/);
    expect(protocolText("hls", why)).toMatch(/^(HLS|[A-Z].* HLS), about two seconds behind.*\.$/);
    expect(protocolText("dash", why, "dash")).not.toMatch(/HLS/);
  }
  expect(new Set(whys.map((why) => protocolText("hls", why))).size).toBe(whys.length);
  expect(protocolText("whep", "default")).toBe("In real time over WebRTC.");
  expect(protocolText("dash", "asked")).toBe(
    "DASH, about two seconds behind, as the address asks.",
  );
  expect(protocolText("whep", "alone", "dash")).toBe(
    "This server gives no DASH: playing in real time over WebRTC.",
  );
  expect(protocolText("hls", "unconnected")).toBe(
    "WebRTC could not connect from here: playing HLS, about two seconds behind.",
  );
});

test("a stream that is live without HLS is told from one that is not live", () => {
  const notLive = "Not live yet. It starts here by itself.";
  expect(waitingText("whep", false)).toBe(notLive);
  expect(waitingText("whep", true)).toBe(notLive);
  expect(waitingText("hls", false)).toBe(notLive);
  expect(waitingText("hls", true)).toMatch(/live, but there is no HLS/);
  expect(waitingText("dash", true)).toMatch(/live, but there is no DASH/);
});

test("a stream's playlist and its manifest have addresses of their own", () => {
  expect(dashPath("my.show-1_a")).toBe("/dash/my.show-1_a/manifest.mpd");
  expect(hlsPath("my.show-1_a")).toBe("/hls/my.show-1_a/index.m3u8");
});
