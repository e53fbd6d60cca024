import { expect, test } from "vitest";
import type { LayerInfo, PartInfo } from "../../src/server/api";
import { ratesOf, sizesOf } from "../../src/watching/layers";

const layer = (rid: string | null, height: number, parts: PartInfo[] = []): LayerInfo => ({
  rid,
  active: true,
  bitrate_bps: height * 1_000,
  width: (height * 16) / 9,
  height,
  fps: 30,
  keyframes: 1,
  packets_lost: 0,
  gop_ms: null,
  parts,
});

const part = (spatial: number, temporal: number): PartInfo => ({
  spatial_layer_id: spatial,
  temporal_layer_id: temporal,
  bitrate_bps: (spatial + 1) * 100_000 + temporal * 10_000,
  width: 320 << spatial,
  height: 180 << spatial,
  fps: temporal === 0 ? 15 : 30,
});

test("a plain picture leaves nothing to choose", () => {
  expect(sizesOf([layer(null, 720)])).toEqual([]);
  expect(ratesOf([layer(null, 720)])).toEqual([]);
});

test("simulcast layers are chosen by their rids", () => {
  const layers = [layer("f", 720), { ...layer("h", 360), active: false }];
  expect(sizesOf(layers)).toEqual([
    { key: "f", choice: { rid: "f" }, label: "f", detail: "720p · 720 kbit/s" },
    { key: "h", choice: { rid: "h" }, label: "h", detail: "not sent" },
  ]);
});

test("a scalable picture is chosen by its spatial layers, highest first, at full rate", () => {
  const layers = [layer(null, 360, [part(0, 0), part(0, 1), part(1, 0), part(1, 1)])];
  expect(sizesOf(layers)).toEqual([
    { key: "S1", choice: { spatialLayerId: 1 }, label: "S1", detail: "360p · 210 kbit/s" },
    { key: "S0", choice: { spatialLayerId: 0 }, label: "S0", detail: "180p · 110 kbit/s" },
  ]);
  expect(ratesOf(layers)).toEqual([
    { temporalLayerId: 0, fps: 15 },
    { temporalLayerId: 1, fps: 30 },
  ]);
});

test("simulcast layers with frame rates keep their rids", () => {
  const layers = [layer("f", 720, [part(0, 0), part(0, 1)])];
  expect(sizesOf(layers).map(({ key }) => key)).toEqual(["f"]);
  expect(ratesOf(layers)).toHaveLength(2);
});
