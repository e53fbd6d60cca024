// The server's list of streams, as its API gives it.

import { problemOf, request } from "./http";

/** One encoding of a track. */
export interface LayerInfo {
  readonly rid: string | null;
  readonly active: boolean;
  readonly bitrate_bps: number;
  readonly width: number | null;
  readonly height: number | null;
  readonly fps: number;
  readonly keyframes: number;
  readonly packets_lost: number;
  /** From keyframe to keyframe, or since the latest. */
  readonly gop_ms: number | null;
  /** The parts of a scalable layer, lowest first; else empty. */
  readonly parts: readonly PartInfo[];
}

/** A part of a scalable layer: a spatial and temporal layer with all below them. */
export interface PartInfo {
  readonly spatial_layer_id: number;
  readonly temporal_layer_id: number;
  readonly bitrate_bps: number;
  readonly width: number | null;
  readonly height: number | null;
  readonly fps: number;
}

/** One media source of a stream. */
export interface TrackInfo {
  readonly mid: string;
  readonly kind: "audio" | "video";
  readonly codec: string;
  /** Highest first. */
  readonly layers: readonly LayerInfo[];
}

/** What one publisher sends under one name. */
export interface StreamInfo {
  readonly name: string;
  /** `false` while the publisher is away and may come back. */
  readonly live: boolean;
  readonly uptime_ms: number;
  readonly viewers: number;
  /** Over HLS, as players say. */
  readonly hls_viewers: number;
  /** Over DASH, as players say. */
  readonly dash_viewers: number;
  readonly tracks: readonly TrackInfo[];
  /** What the host should change, in sentences. */
  readonly warnings: readonly string[];
}

/** The live streams, by name. */
export async function fetchStreams(): Promise<StreamInfo[]> {
  const response = await request("/api/v1/streams", { cache: "no-store" }, 5_000);
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as StreamInfo[];
}

/** One stream; `null` where it is not live. */
export async function fetchStream(name: string): Promise<StreamInfo | null> {
  const url = `/api/v1/streams/${encodeURIComponent(name)}`;
  const response = await request(url, { cache: "no-store" }, 5_000);
  if (response.status === 404) return null;
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as StreamInfo;
}
