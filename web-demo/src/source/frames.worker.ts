// A worker that makes frames: its timers run at full rate even where the page is in the background.

import { drawPattern } from "./pattern";

/** What a page asks for; one job per worker. */
export type Job =
  /** Draws the test pattern into a track. */
  | { job: "pattern"; sink: WritableStream<VideoFrame>; width: number; height: number; fps: number }
  /** Passes frames on, repeating the last one where none comes. */
  | {
      job: "repeat";
      source: ReadableStream<VideoFrame>;
      sink: WritableStream<VideoFrame>;
      fps: number;
    }
  /** Only reports the time, for browsers that cannot make tracks in a worker. */
  | { job: "tick"; fps: number };

/** What the worker reports: a moment to draw, or a full second that comes in half a second. */
export type Report = { tick: number } | { second: number };

onmessage = ({ data }: MessageEvent<Job>) => {
  switch (data.job) {
    case "pattern":
      return pattern(data);
    case "repeat":
      return void repeat(data);
    case "tick":
      return everyFrame(data.fps, (unixMs) => report({ tick: unixMs }));
  }
};

function report(message: Report): void {
  postMessage(message);
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Calls `draw` on the grid of full seconds divided by the frame rate, so that one frame starts each second. */
function everyFrame(fps: number, draw: (unixMs: number) => void): void {
  let announced = 0;
  const next = () => {
    const unixMs = now();
    draw(unixMs);
    const second = Math.ceil((unixMs + 400) / 1_000) * 1_000;
    if (second > announced) {
      announced = second;
      report({ second });
    }
    const interval = 1_000 / fps;
    const after = Math.floor(now() / interval + 1) * interval;
    // Rounded up: a browser that cuts fractions off would come early, and draw the same moment twice.
    setTimeout(next, Math.max(0, Math.ceil(after - now())));
  };
  next();
}

function pattern({ sink, width, height, fps }: Extract<Job, { job: "pattern" }>): void {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { alpha: false, desynchronized: true });
  if (!context) throw new Error("this browser draws no canvas in a worker");
  const writer = sink.getWriter();
  everyFrame(fps, () => {
    if ((writer.desiredSize ?? 0) <= 0) return;
    drawPattern(context, { unixMs: now(), fps });
    const frame = new VideoFrame(canvas, { timestamp: Math.round(performance.now() * 1_000) });
    writer.write(frame).catch(() => close());
  });
}

async function repeat({ source, sink, fps }: Extract<Job, { job: "repeat" }>): Promise<void> {
  const reader = source.getReader();
  const writer = sink.getWriter();
  let last: VideoFrame | null = null;
  let sentAt = 0;
  const send = () => {
    if (!last || (writer.desiredSize ?? 0) <= 0) return;
    sentAt = performance.now();
    const frame = new VideoFrame(last, { timestamp: Math.round(sentAt * 1_000) });
    writer.write(frame).catch(() => close());
  };
  const timer = setInterval(() => {
    if (performance.now() - sentAt >= 900 / fps) send();
  }, 250 / fps);
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    last?.close();
    last = value;
    send();
  }
  clearInterval(timer);
  last?.close();
  await writer.close().catch(() => undefined);
}
