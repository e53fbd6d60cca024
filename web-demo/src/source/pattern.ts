// A test pattern that draws a moving picture with a clock that people and machines can read.
//
// `drawPattern` works on any 2D canvas, in a page or in a worker. All places are shares of width and height.

import { encodeStrip, STRIP_COLUMNS, STRIP_ROW_HEIGHT, STRIP_ROWS, stripTime } from "./strip";

/** The square that is white for the first tenth of every second, while the beep sounds. */
export const FLASH = { x: 0.78, y: 0.24, width: 0.16, height: 0.28 } as const;
/** How long flash and beep last. */
export const FLASH_MS = 100;

type Canvas2d = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** A moment of the pattern. */
export interface Moment {
  /** Milliseconds since 1970. */
  readonly unixMs: number;
  readonly fps: number;
}

/** Draws one frame over the whole canvas. */
export function drawPattern(context: Canvas2d, { unixMs, fps }: Moment): void {
  const { width, height } = context.canvas;
  const second = (unixMs % 1_000) / 1_000;
  context.fillStyle = "#10262e";
  context.fillRect(0, 0, width, height);
  drawBars(context);
  drawWave(context, unixMs);
  drawDial(context, second);

  const flash = unixMs % 1_000 < FLASH_MS;
  context.fillStyle = flash ? "#ffffff" : "#000000";
  context.fillRect(FLASH.x * width, FLASH.y * height, FLASH.width * width, FLASH.height * height);

  context.fillStyle = "#f2f7f8";
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.font = `600 ${0.12 * height}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace`;
  context.fillText(clockText(unixMs), 0.22 * width, 0.34 * height);
  context.font = `${0.045 * height}px ui-sans-serif, system-ui, sans-serif`;
  context.fillStyle = "#9fb9c1";
  context.fillText(`${width} × ${height}, ${fps} frames/s`, 0.223 * width, 0.46 * height);

  drawStrip(context, unixMs);
}

/** The time of day with milliseconds. */
export function clockText(unixMs: number): string {
  const time = new Date(unixMs);
  const two = (value: number) => String(value).padStart(2, "0");
  const milliseconds = String(time.getMilliseconds()).padStart(3, "0");
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${milliseconds}`;
}

function drawBars(context: Canvas2d): void {
  const { width, height } = context.canvas;
  const colours = ["#bfbfbf", "#bfbf00", "#00bfbf", "#00bf00", "#bf00bf", "#bf0000", "#0000bf"];
  colours.forEach((colour, i) => {
    context.fillStyle = colour;
    const from = Math.round((i * width) / colours.length);
    const to = Math.round(((i + 1) * width) / colours.length);
    context.fillRect(from, 0, to - from, 0.14 * height);
  });
}

/** Water: columns that rise and fall as a wave runs through, and a ball that floats on it. */
function drawWave(context: Canvas2d, unixMs: number): void {
  const { width, height } = context.canvas;
  const columns = 40;
  const level = (share: number) =>
    0.7 + 0.035 * Math.sin(share * 9 + unixMs / 500) + 0.025 * Math.sin(share * 23 - unixMs / 330);
  context.fillStyle = "#1d7f95";
  for (let i = 0; i < columns; i++) {
    const top = level(i / columns) * height;
    context.fillRect((i * width) / columns, top, width / columns - 2, 0.82 * height - top);
  }
  const sweep = (unixMs % 8_000) / 4_000;
  const place = sweep < 1 ? sweep : 2 - sweep;
  const radius = 0.04 * height;
  context.fillStyle = "#ffb454";
  context.beginPath();
  context.arc(radius + place * (width - 2 * radius), level(place) * height - radius, radius, 0, 7);
  context.fill();
}

/** A dial whose hand goes round once in a second. */
function drawDial(context: Canvas2d, second: number): void {
  const { width, height } = context.canvas;
  const [x, y, radius] = [0.11 * width, 0.38 * height, 0.13 * height];
  const angle = (second - 0.25) * 2 * Math.PI;
  context.lineWidth = 0.012 * height;
  context.strokeStyle = "#35535d";
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.stroke();
  context.strokeStyle = "#f2f7f8";
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
  context.stroke();
}

function drawStrip(context: Canvas2d, unixMs: number): void {
  const { width, height } = context.canvas;
  const top = Math.round((1 - STRIP_ROWS * STRIP_ROW_HEIGHT) * height);
  context.fillStyle = "#000000";
  context.fillRect(0, top, width, height - top);
  context.fillStyle = "#ffffff";
  encodeStrip(stripTime(unixMs)).forEach((bit, i) => {
    if (!bit) return;
    const column = i % STRIP_COLUMNS;
    const row = Math.floor(i / STRIP_COLUMNS);
    const [x0, x1] = [column, column + 1].map((at) => Math.round((at * width) / STRIP_COLUMNS));
    const [y0, y1] = [row, row + 1].map((at) =>
      Math.round(top + (at * (height - top)) / STRIP_ROWS),
    );
    context.fillRect(x0 ?? 0, y0 ?? 0, (x1 ?? 0) - (x0 ?? 0), (y1 ?? 0) - (y0 ?? 0));
  });
}
