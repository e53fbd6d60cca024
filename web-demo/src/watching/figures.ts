// The watch page's panel of figures: what is measured of WHEP and of segments, in words.

import { bitrateText, codecText, durationText, make, setText, sizeText } from "../page/page";
import type { SegmentFigures } from "../segments/playback";
import type { ViewerFigures } from "../webrtc/stats";
import { type SegmentProtocol, titleOf } from "./protocol";

/** What the panel shows, as numbers. */
export type Figures =
  | ({ readonly protocol: "whep"; readonly latencyMs: number | null } & ViewerFigures)
  | ({ readonly protocol: SegmentProtocol; readonly latencyMs: number | null } & SegmentFigures);

type Rows = readonly (readonly [label: string, text: string])[];

/** The rows of a list of figures. */
export class FigurePanel {
  private values = new Map<string, HTMLElement>();

  constructor(private readonly list: HTMLDListElement) {}

  /** Shows figures; dashes where there are none yet. */
  show(protocol: Figures["protocol"], figures: Figures | null): void {
    const rows =
      protocol === "whep"
        ? whepRows(figures?.protocol === "whep" ? figures : null)
        : segmentRows(figures === null || figures.protocol === "whep" ? null : figures);
    const labels = rows.map(([label]) => label);
    if (labels.join() !== [...this.values.keys()].join()) this.build(labels);
    for (const [label, text] of rows) {
      const value = this.values.get(label);
      if (value) setText(value, text);
    }
  }

  private build(labels: readonly string[]): void {
    this.values = new Map(labels.map((label) => [label, make("dd")]));
    const lines = [...this.values].map(([label, value], at) =>
      make("div", at === 0 ? "chief" : "", make("dt", "", label), value),
    );
    this.list.replaceChildren(...lines);
  }
}

/** The rows of WHEP. */
export function whepRows(f: Extract<Figures, { protocol: "whep" }> | null): Rows {
  if (f === null) return dashes(WHEP_LABELS);
  const lost = `${f.lost} (${(f.lostShare * 100).toFixed(2)} %)`;
  return named(WHEP_LABELS, [
    latencyText(f.latencyMs),
    "WHEP (WebRTC)",
    sizeText(f.width, f.height),
    f.fps.toFixed(0),
    f.frames.toLocaleString("en"),
    bitrateText(f.videoBps + f.audioBps),
    f.freezes === 0 ? "none" : `${f.freezes}, ${f.frozenS.toFixed(1)} s`,
    f.lost === 0 ? "none" : lost,
    f.jitterBufferMs === null ? "–" : `${f.jitterBufferMs.toFixed(0)} ms`,
    f.roundTripMs === null ? "–" : `${f.roundTripMs.toFixed(f.roundTripMs < 10 ? 1 : 0)} ms`,
    codecText(f.codec) || "–",
  ]);
}

/** The rows of HLS and DASH. */
export function segmentRows(f: Exclude<Figures, { protocol: "whep" }> | null): Rows {
  if (f === null) return dashes(SEGMENT_LABELS);
  return named(SEGMENT_LABELS, [
    latencyText(f.latencyMs),
    titleOf(f.protocol),
    sizeText(f.width, f.height),
    f.level ? `${f.level.key} · ${bitrateText(f.level.bitrateBps)}` : "–",
    `${f.bufferS.toFixed(1)} s`,
    f.frames.toLocaleString("en"),
    f.dropped === 0 ? "none" : f.dropped.toLocaleString("en"),
    f.stalls === 0 ? "none" : `${f.stalls}, ${f.stalledS.toFixed(1)} s`,
    f.rate === 1 ? "normal" : `${f.rate.toFixed(2)} ×`,
  ]);
}

/** "180 ms", or from a second on "1.9 s"; of who went back in time "5 min" or "2 h 5 min". */
export function latencyText(ms: number | null): string {
  if (ms === null) return "–";
  if (ms >= 60_000) return durationText(ms);
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

function named(labels: readonly string[], texts: readonly string[]): Rows {
  return labels.map((label, at) => [label, texts[at] ?? "–"] as const);
}

function dashes(labels: readonly string[]): Rows {
  return named(labels, []);
}

const WHEP_LABELS = [
  "Latency",
  "Protocol",
  "Resolution",
  "Frames/s",
  "Frames",
  "Bit rate",
  "Freezes",
  "Lost packets",
  "Jitter buffer",
  "Round trip",
  "Codec",
];

const SEGMENT_LABELS = [
  "Latency",
  "Protocol",
  "Resolution",
  "Level",
  "Buffer",
  "Frames",
  "Dropped frames",
  "Stalls",
  "Speed",
];
