import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { bytesText, familyText, lengthText, qualityText } from "../../src/recordings/words";
import {
  continued,
  deleteRecording,
  fetchRecording,
  fetchRecordings,
  type Recording,
  renewed,
} from "../../src/server/recordings";

function recording(id: string, minute: number): Recording {
  return {
    id,
    stream: "cam",
    state: "ready",
    began: `2026-11-29T07:${String(minute).padStart(2, "0")}:00.000Z`,
    ended: null,
    duration_s: 1,
    bytes: 1,
    error: null,
    renditions: [],
    hls: "",
    dash: "",
    download: "",
  };
}

const ids = (all: readonly Recording[]) => all.map(({ id }) => id).join("");
const [a, b, c, d, e] = [..."abcde"].map((id, at) => recording(id, 50 - at)) as [
  Recording,
  Recording,
  Recording,
  Recording,
  Recording,
];

test("the newest that are asked for again take the place of what was known of them", () => {
  const grown = { ...b, duration_s: 9 };
  const rows: [known: Recording[], items: Recording[], next: string | null, expected: string][] = [
    [[], [a, b], "b", "ab"],
    // One is new, older ones stay.
    [[b, c, d, e], [a, b], "b", "abcde"],
    // One of the newest was deleted.
    [[a, b, c, d, e], [a, c], "c", "acde"],
    // All of them are new.
    [[d, e], [a, b], "b", "abde"],
    // There is no more than these.
    [[a, b, c, d, e], [a, b], null, "ab"],
    [[a, b], [], null, ""],
  ];
  for (const [known, items, next, expected] of rows) {
    expect(ids(renewed(known, { items, next }))).toBe(expected);
  }
  expect(renewed([a, b], { items: [a, grown], next: "b" })[1]?.duration_s).toBe(9);
});

test("older ones come behind, each of them once", () => {
  expect(ids(continued([a, b], { items: [c, d], next: "d" }))).toBe("abcd");
  expect(ids(continued([a, b, c], { items: [c, d], next: null }))).toBe("abcd");
});

test("lengths and sizes are told as people tell them", () => {
  expect([-1, 0, 12.4, 59.6, 65, 3_599, 3_600, 7_509].map(lengthText)).toEqual([
    "0 s",
    "0 s",
    "12 s",
    "1:00 min",
    "1:05 min",
    "59:59 min",
    "1:00:00 h",
    "2:05:09 h",
  ]);
  expect([0, 123, 640_000, 999_499, 999_500, 12_345_678, 3.4e9, 5e15].map(bytesText)).toEqual([
    "0 kB",
    "0 kB",
    "640 kB",
    "999 kB",
    "1.0 MB",
    "12 MB",
    "3.4 GB",
    "5000 TB",
  ]);
});

test("qualities are told highest first, and codecs once", () => {
  const video = (height: number | null, codecs = "avc1.42c01f") =>
    ({ name: "v", kind: "video", codecs, width: null, height }) as const;
  const audio = {
    name: "a",
    kind: "audio",
    codecs: "mp4a.40.2",
    width: null,
    height: null,
  } as const;
  expect(qualityText([video(180), video(720), video(360), audio])).toBe(
    "720p, 360p, 180p · H.264 and AAC",
  );
  expect(qualityText([audio])).toBe("AAC");
  expect(qualityText([video(null, "av01.0.05M.08")])).toBe("AV1");
  expect(qualityText([])).toBe("");
  expect(["hvc1.1.6.L93", "vp09.00.31.08", "opus", "xyz1.2"].map(familyText)).toEqual([
    "H.265",
    "VP9",
    "Opus",
    "xyz1.2",
  ]);
});

let answer: () => Response;
let sent: [method: string | undefined, url: string][] = [];

beforeEach(() => {
  sent = [];
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    sent.push([init.method, url]);
    return answer();
  });
});

afterEach(() => void vi.unstubAllGlobals());

const problem = (status: number, detail: string) => () =>
  new Response(JSON.stringify({ detail }), {
    status,
    headers: { "Content-Type": "application/problem+json" },
  });

test("a page is asked for by stream and by where the last one ended", async () => {
  answer = () => Response.json({ items: [a], next: null });
  expect((await fetchRecordings("my.cam", "x-1", 25)).items).toEqual([a]);
  await fetchRecordings(null, null, 25);
  expect(sent).toEqual([
    ["GET", "/api/v1/recordings?limit=25&stream=my.cam&after=x-1"],
    ["GET", "/api/v1/recordings?limit=25"],
  ]);
});

test("one that is gone is no recording, and needs no deleting", async () => {
  answer = problem(404, "there is no such recording");
  expect(await fetchRecording("x")).toBeNull();
  await deleteRecording("x");
  answer = problem(500, "the disk does not answer");
  await expect(fetchRecording("x")).rejects.toThrow("The disk does not answer.");
});

test("who may not delete is told what to do, and what is being recorded why not yet", async () => {
  answer = problem(403, "no");
  await expect(deleteRecording("x")).rejects.toThrow(/Only an administrator/);
  answer = problem(409, "it is being recorded");
  await expect(deleteRecording("x")).rejects.toThrow("It is being recorded.");
});
