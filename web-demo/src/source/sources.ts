// A source that a host chooses: camera and microphone, screen, or the test pattern. Failures are sentences.

import { patternStream, steadyTrack } from "./tracks";

/** Where picture and sound come from. */
export type SourceKind = "camera" | "screen" | "pattern";

/** An open source. */
export interface Source {
  readonly kind: SourceKind;
  readonly stream: MediaStream;
  readonly width: number;
  readonly height: number;
  stop(): void;
}

/** A device's id; "" for the browser's choice, "none" for none. */
export type DeviceChoice = string;

/** What to open. */
export interface SourceWish {
  readonly kind: SourceKind;
  readonly height: number;
  readonly camera: DeviceChoice;
  readonly microphone: DeviceChoice;
}

/** The devices there are, by kind. Names are known only after permission. */
export interface Devices {
  readonly cameras: readonly MediaDeviceInfo[];
  readonly microphones: readonly MediaDeviceInfo[];
}

/** A failure to open a source; `message` is a sentence a host can act on. */
export class SourceProblem extends Error {}

const FPS = 30;

/** Opens a source. Rejects with a `SourceProblem`. */
export async function openSource(wish: SourceWish): Promise<Source> {
  const width = Math.round((wish.height * 16) / 9 / 2) * 2;
  const { height } = wish;
  if (wish.kind === "pattern") {
    const { stream, stop } = patternStream({ width, height, fps: FPS });
    return { kind: "pattern", stream, width, height, stop };
  }
  if (wish.kind === "screen") return openScreen(width, height);
  const stream = await capture(wish, width);
  const settings = stream.getVideoTracks()[0]?.getSettings() ?? {};
  return {
    kind: "camera",
    stream,
    width: settings.width ?? width,
    height: settings.height ?? height,
    stop: () => stopAll(stream),
  };
}

/** Opens one device more, to take the place of a track that is in use. */
export async function openDevice(
  kind: "audio" | "video",
  device: DeviceChoice,
  height: number,
): Promise<MediaStreamTrack> {
  const wish: SourceWish = {
    kind: "camera",
    height,
    camera: kind === "video" ? device : "none",
    microphone: kind === "audio" ? device : "none",
  };
  const track = (await capture(wish, Math.round((height * 16) / 9))).getTracks()[0];
  if (!track) throw new SourceProblem("The device gave no track.");
  return track;
}

/** Lists cameras and microphones. */
export async function listDevices(): Promise<Devices> {
  const all = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  const named = all.filter((device) => device.deviceId !== "");
  return {
    cameras: named.filter((device) => device.kind === "videoinput"),
    microphones: named.filter((device) => device.kind === "audioinput"),
  };
}

/** What a failed capture means, as a sentence. `wanted` is what was asked for, as in "camera". */
export function captureProblem(errorName: string, wanted: string): string {
  switch (errorName) {
    case "NotAllowedError":
      return wanted === "screen"
        ? "No screen was chosen. Choose “Screen” again and pick a screen, a window or a tab."
        : `Permission for the ${wanted} was denied. Allow it in the browser’s address bar, then try again.`;
    case "NotFoundError":
      return `No ${wanted} was found. Connect one, choose “None” in the menu, or use the test pattern.`;
    case "NotReadableError":
    case "AbortError":
      return `The ${wanted} is in use by another program, or its driver failed. Close the other program, then try again.`;
    case "OverconstrainedError":
      return `The chosen ${wanted} is gone or cannot do this. Choose another one in the menu.`;
    case "SecurityError":
      return `The browser’s settings or the page’s policy forbid the ${wanted}.`;
    case "InvalidStateError":
      return `The browser wants a click in this page before it opens the ${wanted}. Try again.`;
    default:
      return `The ${wanted} could not be opened (${errorName || "unknown error"}). Try again, or use the test pattern.`;
  }
}

async function capture(
  { camera, microphone, height }: SourceWish,
  width: number,
): Promise<MediaStream> {
  const devices = mediaDevices("camera");
  if (camera === "none" && microphone === "none") {
    throw new SourceProblem("Choose a camera or a microphone: both are set to “None”.");
  }
  const exactly = (id: DeviceChoice) => (id === "" ? {} : { deviceId: { exact: id } });
  const video =
    camera === "none"
      ? false
      : {
          ...exactly(camera),
          width: { ideal: width },
          height: { ideal: height },
          frameRate: { ideal: FPS },
        };
  const audio = microphone === "none" ? false : exactly(microphone);
  const wanted = video && audio ? "camera and microphone" : video ? "camera" : "microphone";
  try {
    return await devices.getUserMedia({ video, audio });
  } catch (error) {
    throw new SourceProblem(captureProblem(nameOf(error), wanted));
  }
}

async function openScreen(width: number, height: number): Promise<Source> {
  const devices = mediaDevices("screen");
  if (!("getDisplayMedia" in devices)) {
    throw new SourceProblem("This browser cannot share a screen. Use a desktop browser.");
  }
  let captured: MediaStream;
  try {
    captured = await devices.getDisplayMedia({
      video: {
        width: { max: width },
        height: { max: height },
        frameRate: { ideal: FPS, max: FPS },
      },
      audio: true,
    });
  } catch (error) {
    throw new SourceProblem(captureProblem(nameOf(error), "screen"));
  }
  const screen = captured.getVideoTracks()[0];
  if (!screen) throw new SourceProblem("The browser shared no picture.");
  const steady = steadyTrack(screen);
  // The track that is sent outlives the one captured: ending the share in the browser's bar ends both.
  screen.onended = () => {
    steady.track.dispatchEvent(new Event("ended"));
  };
  const settings = screen.getSettings();
  return {
    kind: "screen",
    stream: new MediaStream([steady.track, ...captured.getAudioTracks()]),
    width: settings.width ?? width,
    height: settings.height ?? height,
    stop: () => {
      steady.stop();
      stopAll(captured);
    },
  };
}

function mediaDevices(wanted: string): MediaDevices {
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (devices) return devices;
  throw new SourceProblem(
    `The browser gives a page a ${wanted} only over HTTPS or on localhost. Open this page that way, or use the test pattern.`,
  );
}

function stopAll(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

function nameOf(error: unknown): string {
  return error instanceof DOMException ? error.name : "";
}
