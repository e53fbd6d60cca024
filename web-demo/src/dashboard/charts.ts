// Charts of the last quarter of an hour, in the colours of the page.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { bitrateText } from "../page/page";
import type { History } from "./admin";

/** A line: its name and one number per sample. */
interface Line {
  readonly label: string;
  readonly values: readonly (number | null)[];
}

/** What a chart shows of a history. */
interface Kind {
  readonly lines: (history: History) => Line[];
  readonly text: (value: number) => string;
  /** The axis reaches at least so far. */
  readonly atLeast: number;
}

const KINDS: Record<string, Kind> = {
  layers: {
    lines: (history) =>
      history.layers.map((layer) => ({
        label: layerName(layer.stream, layer.kind, layer.rid),
        values: layer.bitrate_bps,
      })),
    text: bitrateText,
    atLeast: 100_000,
  },
  viewers: {
    lines: ({ viewers }) => [
      { label: "WHEP", values: viewers.whep },
      { label: "HLS", values: viewers.hls },
      { label: "DASH", values: viewers.dash },
    ],
    text: (value) => `${Math.round(value)}`,
    atLeast: 4,
  },
  loss: {
    lines: ({ loss }) => [{ label: "lost", values: loss }],
    text: (value) => `${(value * 100).toFixed(value < 0.0995 ? 1 : 0)} %`,
    atLeast: 0.02,
  },
  cpu: {
    lines: ({ shards }) => shards.map((values, shard) => ({ label: `shard ${shard}`, values })),
    text: (value) => `${Math.round(value * 100)} %`,
    atLeast: 0.1,
  },
};

/** What a layer is called in a legend. */
export function layerName(stream: string | null, kind: string | null, rid: string | null): string {
  if (stream === null) return "all others";
  return `${stream} ${rid ?? (kind === "audio" ? "sound" : "picture")}`;
}

/** One chart in its place. */
export class Chart {
  readonly #kind: Kind;
  readonly #place: HTMLElement;
  #plot: uPlot | null = null;
  #labels = "";
  #last: History | null = null;

  constructor(kind: keyof typeof KINDS, place: HTMLElement) {
    this.#kind = KINDS[kind]!;
    this.#place = place;
    new ResizeObserver(() => this.#fit()).observe(place);
    // Colours are read when a chart is made.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#labels = "";
      if (this.#last !== null) this.show(this.#last);
    });
  }

  show(history: History): void {
    this.#last = history;
    // One sample is no line, and uPlot would draw a whole day around it.
    if (history.at_unix_ms.length < 2) return;
    const lines = this.#kind.lines(history);
    const at = history.at_unix_ms.map((ms) => ms / 1000);
    const data = [at, ...lines.map((line) => [...line.values])] as uPlot.AlignedData;
    const labels = JSON.stringify(lines.map((line) => line.label));
    if (this.#plot === null || labels !== this.#labels) {
      this.#plot?.destroy();
      this.#labels = labels;
      this.#plot = new uPlot(this.#options(lines), data, this.#place);
      return;
    }
    // A legend that follows the pointer goes on doing so.
    this.#plot.setData(data);
  }

  #fit(): void {
    const width = this.#place.clientWidth;
    if (width > 0) this.#plot?.setSize({ width, height: HEIGHT });
  }

  #options(lines: readonly Line[]): uPlot.Options {
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const { text, atLeast } = this.#kind;
    const axis = {
      stroke: colour("--quiet"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1 },
      font: "12px system-ui, sans-serif",
    };
    return {
      width: Math.max(200, this.#place.clientWidth),
      height: HEIGHT,
      cursor: { y: false, drag: { x: false, y: false } },
      legend: { live: lines.length <= MANY },
      scales: {
        x: { time: true, range: (_, min, max) => [Math.min(min, max - WINDOW_S), max] },
        y: { range: (_, __, max) => [0, Math.max(atLeast, (max ?? 0) * 1.1)] },
      },
      axes: [
        { ...axis, values: "{HH}:{mm}", space: 70 },
        { ...axis, size: 78, values: (_, values) => values.map(text) },
      ],
      series: [
        { value: "{HH}:{mm}:{ss}" },
        ...lines.map((line, index) => ({
          label: line.label,
          stroke: lineColour(index),
          width: 2,
          points: { show: false },
          value: (_: uPlot, value: number | null) => (value === null ? "–" : text(value)),
        })),
      ],
    };
  }
}

/** Colours that lie apart, and stand out on dark and light. */
function lineColour(index: number): string {
  return `hsl(${Math.round(191 + index * 137.5) % 360} 62% 48%)`;
}

const HEIGHT = 200;
const WINDOW_S = 15 * 60;
/** With more lines a legend that changes under the pointer would jump. */
const MANY = 6;
