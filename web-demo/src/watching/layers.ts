// The menu of layers: what of a stream's picture a viewer can choose, in words.

import { bitrateText } from "../page/page";
import type { LayerInfo } from "../server/api";
import type { LayerChoice } from "../webrtc/whep";

/** One line of the menu. */
export interface SizeEntry {
  /** Tells it from the others; empty for the highest there is. */
  readonly key: string;
  readonly choice: LayerChoice;
  readonly label: string;
  readonly detail: string;
}

/** One frame rate. */
export interface RateEntry {
  readonly temporalLayerId: number;
  readonly fps: number;
}

/** The sizes to choose from: simulcast layers, and the spatial layers of a scalable one. */
export function sizesOf(layers: readonly LayerInfo[]): SizeEntry[] {
  return layers.flatMap((layer) => {
    const spatial = [...new Set(layer.parts.map((part) => part.spatial_layer_id))];
    const rid = layer.rid === null ? {} : { rid: layer.rid };
    if (spatial.length < 2) {
      if (layer.rid === null) return [];
      const detail = layer.active ? detailOf(layer.height, layer.bitrate_bps) : "not sent";
      return [{ key: layer.rid, choice: rid, label: layer.rid, detail }];
    }
    return spatial.reverse().map((id) => {
      const part = layer.parts.findLast((part) => part.spatial_layer_id === id);
      const name = `S${id}`;
      return {
        key: layer.rid === null ? name : `${layer.rid} ${name}`,
        choice: { ...rid, spatialLayerId: id },
        label: layer.rid === null ? name : `${layer.rid} ${name}`,
        detail: detailOf(part?.height ?? null, part?.bitrate_bps ?? 0),
      };
    });
  });
}

/** The frame rates to choose from, lowest first; empty where there is only one. */
export function ratesOf(layers: readonly LayerInfo[]): RateEntry[] {
  const fps = new Map<number, number>();
  for (const part of layers.flatMap((layer) => layer.parts)) {
    fps.set(part.temporal_layer_id, Math.max(fps.get(part.temporal_layer_id) ?? 0, part.fps));
  }
  const rates = [...fps].map(([temporalLayerId, fps]) => ({ temporalLayerId, fps }));
  rates.sort((a, b) => a.temporalLayerId - b.temporalLayerId);
  return rates.length < 2 ? [] : rates;
}

function detailOf(height: number | null, bitrateBps: number): string {
  return [height ? `${height}p` : "", bitrateText(bitrateBps)].filter(Boolean).join(" · ");
}
