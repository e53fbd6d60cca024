// A maker of video tracks that keep their frame rate: the test pattern, and a screen with repeated frames.

import { localMs } from "../server/clock";
import type { Job, Report } from "./frames.worker";
import { drawPattern, FLASH_MS } from "./pattern";

/** A track with what keeps it going. */
export interface MadeTrack {
  readonly track: MediaStreamTrack;
  stop(): void;
}

/** The size and rate of the test pattern. */
export interface PatternSize {
  readonly width: number;
  readonly height: number;
  readonly fps: number;
}

/** The least frame rate of a shared screen, on which nothing may move for minutes. */
const SCREEN_FPS = 20;

/** The test pattern with a beep on every full second. */
export function patternStream(size: PatternSize): { stream: MediaStream; stop: () => void } {
  const beeper = new Beeper();
  const made = patternTrack(size, (unixMs) => beeper.beepAt(unixMs));
  const stop = () => {
    made.stop();
    beeper.stop();
  };
  return { stream: new MediaStream([made.track, beeper.track]), stop };
}

/** A screen's track, with its last frame repeated while nothing moves. */
export function steadyTrack(screen: MediaStreamTrack): MadeTrack {
  if (
    typeof MediaStreamTrackProcessor === "undefined" ||
    typeof MediaStreamTrackGenerator === "undefined"
  ) {
    return steadyByCanvas(screen);
  }
  const source = new MediaStreamTrackProcessor({ track: screen }).readable;
  const generator = new MediaStreamTrackGenerator({ kind: "video" });
  const sink = generator.writable;
  const worker = startWorker({ job: "repeat", source, sink, fps: SCREEN_FPS }, [source, sink]);
  return made(generator, worker, screen);
}

function patternTrack(size: PatternSize, onsecond: (unixMs: number) => void): MadeTrack {
  if (typeof MediaStreamTrackGenerator !== "undefined" && typeof OffscreenCanvas !== "undefined") {
    const generator = new MediaStreamTrackGenerator({ kind: "video" });
    const sink = generator.writable;
    const worker = startWorker({ job: "pattern", sink, ...size }, [sink]);
    worker.onmessage = ({ data }: MessageEvent<Report>) => {
      if ("second" in data) onsecond(data.second);
    };
    return made(generator, worker);
  }
  const { context, track, requestFrame } = canvasTrack(size.width, size.height);
  const worker = startWorker({ job: "tick", fps: size.fps });
  worker.onmessage = ({ data }: MessageEvent<Report>) => {
    if ("second" in data) return onsecond(data.second);
    drawPattern(context, { unixMs: localMs(), fps: size.fps });
    requestFrame();
  };
  return made(track, worker);
}

function steadyByCanvas(screen: MediaStreamTrack): MadeTrack {
  const video = document.createElement("video");
  video.muted = true;
  video.srcObject = new MediaStream([screen]);
  void video.play();
  const { width = 1280, height = 720 } = screen.getSettings();
  const { context, track, requestFrame } = canvasTrack(width, height);
  const worker = startWorker({ job: "tick", fps: SCREEN_FPS });
  worker.onmessage = () => {
    context.drawImage(video, 0, 0, width, height);
    requestFrame();
  };
  return made(track, worker, screen);
}

interface FrameRequester {
  requestFrame(): void;
}

function canvasTrack(width: number, height: number) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { alpha: false });
  const stream: Partial<FrameRequester> & MediaStream = canvas.captureStream(0);
  const track = stream.getVideoTracks()[0];
  if (!context || !track) throw new Error("this browser cannot make video from a canvas");
  // The standard has the method on the track; Firefox has it on the stream.
  const requester = "requestFrame" in track ? (track as Partial<FrameRequester>) : stream;
  if (!requester.requestFrame) throw new Error("this browser cannot time the frames of a canvas");
  return { context, track, requestFrame: () => requester.requestFrame?.() };
}

function startWorker(job: Job, transfer: Transferable[] = []): Worker {
  const worker = new Worker(new URL("./frames.worker.ts", import.meta.url), { type: "module" });
  worker.postMessage(job, transfer);
  return worker;
}

function made(track: MediaStreamTrack, worker: Worker, origin?: MediaStreamTrack): MadeTrack {
  const stop = () => {
    worker.terminate();
    track.stop();
    origin?.stop();
  };
  return { track, stop };
}

/** Sound for the flash: a short tone, placed by the audio clock. */
class Beeper {
  private readonly context = new AudioContext({ latencyHint: "interactive" });
  private readonly output = this.context.createMediaStreamDestination();
  private readonly wake = () => void this.context.resume().catch(() => undefined);

  constructor() {
    // Without a gesture a browser may keep the sound suspended; the first one starts it.
    addEventListener("pointerdown", this.wake);
    addEventListener("keydown", this.wake);
    this.wake();
  }

  get track(): MediaStreamTrack {
    const track = this.output.stream.getAudioTracks()[0];
    if (!track) throw new Error("this browser cannot make a sound track");
    return track;
  }

  beepAt(unixMs: number): void {
    const inS = (unixMs - localMs()) / 1_000;
    if (this.context.state !== "running" || inS < 0) return;
    const from = this.context.currentTime + inS;
    const tone = this.context.createOscillator();
    const volume = this.context.createGain();
    tone.frequency.value = 1_000;
    volume.gain.value = 0.3;
    tone.connect(volume).connect(this.output);
    tone.start(from);
    tone.stop(from + FLASH_MS / 1_000);
  }

  stop(): void {
    removeEventListener("pointerdown", this.wake);
    removeEventListener("keydown", this.wake);
    void this.context.close();
  }
}
