import { expect, test } from "vitest";
import { partOf, partOfInfo } from "../../src/events/follow";

test("events and the API's answers come to the same", () => {
  const track = { mid: "1", kind: "video", codec: "VP8", layers: [] } as const;
  const info = {
    name: "a",
    live: true,
    uptime_ms: 5,
    viewers: 3,
    hls_viewers: 2,
    dash_viewers: 1,
    tracks: [track],
    warnings: [],
  };
  expect(partOfInfo(info)).toEqual({
    ...partOf({ type: "active", stream: "a" }),
    ...partOf({ type: "viewercount", stream: "a", viewercount: 3 }),
    ...partOf({ type: "hlsviewercount", stream: "a", hlsviewercount: 2 }),
    ...partOf({ type: "dashviewercount", stream: "a", dashviewercount: 1 }),
    ...partOf({ type: "layers", stream: "a", tracks: [track] }),
  });
  expect(partOfInfo({ ...info, live: false }).phase).toBe("lost");
  expect(partOf({ type: "lost", stream: "a" })).toEqual({ phase: "lost" });
  expect(partOfInfo(null)).toEqual(partOf({ type: "inactive", stream: "a" }));
  expect(partOf({ type: "reconnect", stream: "a" })).toBeNull();
});
