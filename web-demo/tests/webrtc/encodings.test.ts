import { expect, test } from "vitest";
import {
  type CodecCapability,
  encodingsFor,
  preferCodec,
  soundCodecs,
} from "../../src/webrtc/encodings";

const wish = {
  codec: "H264",
  width: 1280,
  height: 720,
  bitrateBps: 2_500_000,
  simulcast: true,
} as const;

test("720p goes out in three layers, lowest first", () => {
  expect(encodingsFor(wish)).toEqual([
    { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
    { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 600_000 },
    { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 2_500_000 },
  ]);
});

test("a small picture has fewer layers, the best of them kept", () => {
  const rids = (width: number, height: number) =>
    encodingsFor({ ...wish, width, height }).map(({ rid }) => rid);
  expect(rids(640, 360)).toEqual(["h", "f"]);
  expect(rids(320, 180)).toEqual([undefined]);
});

test("VP9 and AV1 layers each get a scalability mode, VP8 and H.264 none", () => {
  const modes = (codec: "VP8" | "VP9" | "AV1") =>
    encodingsFor({ ...wish, codec }).map(({ scalabilityMode }) => scalabilityMode);
  expect(modes("VP9")).toEqual(["L1T1", "L1T1", "L1T1"]);
  expect(modes("AV1")).toEqual(["L1T1", "L1T1", "L1T1"]);
  expect(modes("VP8")).toEqual([undefined, undefined, undefined]);
});

test("without simulcast there is one encoding without a rid", () => {
  expect(encodingsFor({ ...wish, codec: "VP9", simulcast: false })).toEqual([
    { scaleResolutionDownBy: 1, maxBitrate: 2_500_000 },
  ]);
});

test("a scalable picture of VP9 or AV1 is one encoding", () => {
  const scalable = { ...wish, scalability: "L3T3_KEY" } as const;
  expect(encodingsFor({ ...scalable, codec: "AV1" })).toEqual([
    { scaleResolutionDownBy: 1, maxBitrate: 2_500_000, scalabilityMode: "L3T3_KEY" },
  ]);
  expect(encodingsFor(scalable)).toHaveLength(3);
});

test("no layer is given more than the whole", () => {
  for (const { maxBitrate = 0 } of encodingsFor({ ...wish, bitrateBps: 150_000 })) {
    expect(maxBitrate).toBeLessThanOrEqual(150_000);
  }
});

test("H.264 is offered with packetization mode 1 first, and with retransmission", () => {
  const h264 = (mode: number, profile: string): CodecCapability => ({
    mimeType: "video/H264",
    clockRate: 90_000,
    sdpFmtpLine: `level-asymmetry-allowed=1;packetization-mode=${mode};profile-level-id=${profile}`,
  });
  const offered = preferCodec(
    [
      { mimeType: "video/VP8", clockRate: 90_000 },
      { mimeType: "video/rtx", clockRate: 90_000 },
      h264(0, "42e01f"),
      h264(1, "42001f"),
      h264(1, "42e01f"),
      { mimeType: "video/red", clockRate: 90_000 },
    ],
    "H264",
  );
  expect(offered.map(({ mimeType, sdpFmtpLine }) => sdpFmtpLine ?? mimeType)).toEqual([
    "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f",
    "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f",
    "video/rtx",
  ]);
});

test("VP9 is offered with profile 0 first", () => {
  const vp9 = (profile: number) => ({
    mimeType: "video/VP9",
    clockRate: 90_000,
    sdpFmtpLine: `profile-id=${profile}`,
  });
  expect(preferCodec([vp9(2), vp9(0)], "VP9").map(({ sdpFmtpLine }) => sdpFmtpLine)).toEqual([
    "profile-id=0",
    "profile-id=2",
  ]);
});

test("a codec that the browser lacks gives nothing to offer", () => {
  expect(preferCodec([{ mimeType: "video/rtx", clockRate: 90_000 }], "AV1")).toEqual([]);
});

test("sound is Opus alone, or behind the format that repeats it", () => {
  const codecs = ["audio/PCMU", "audio/opus", "audio/red"].map((mimeType) => ({ mimeType }));
  const names = (redundant: boolean) => soundCodecs(codecs, redundant).map((it) => it.mimeType);
  expect(names(false)).toEqual(["audio/opus"]);
  expect(names(true)).toEqual(["audio/red", "audio/opus"]);
  expect(soundCodecs([{ mimeType: "audio/opus" }], true)).toHaveLength(1);
});
