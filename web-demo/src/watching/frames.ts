// A watch over the frames on the screen: how many, when the latest came, and how old they are.

import { localMs, type ServerClock } from "../server/clock";
import { latencyMs, median, unixOfCapture } from "../webrtc/stats";

/** Follows the frames that one video element shows. */
export class FrameWatch {
  /** How many were seen on the screen. */
  count = 0;
  /** When the latest was shown, in the page's time. */
  lastAt = 0;
  private readonly latencies: number[] = [];

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly clock: ServerClock,
    /** When the frame on the screen was captured, where the protocol tells it otherwise than by the frame. */
    private readonly captured: () => number | null,
  ) {
    if ("requestVideoFrameCallback" in video) this.follow();
  }

  /** The median age of the latest frames; `null` where it is not known. */
  get latencyMs(): number | null {
    return median(this.latencies);
  }

  /** Forgets the ages: what comes next plays otherwise. */
  reset(): void {
    this.latencies.length = 0;
  }

  private follow(): void {
    const onframe: VideoFrameRequestCallback = (now, metadata) => {
      this.video.requestVideoFrameCallback(onframe);
      this.count++;
      this.lastAt = now;
      this.take(performance.timeOrigin + now, metadata.captureTime);
    };
    this.video.requestVideoFrameCallback(onframe);
  }

  private take(shownMs: number, captureTime: number | undefined): void {
    const offset = this.clock.current;
    // A browser reckons the capture time of a remote frame by its own wall clock: it is the sender's time.
    const ofFrame = captureTime === undefined ? null : performance.timeOrigin + captureTime;
    const capturedMs = ofFrame ?? this.captured();
    if (offset === null || capturedMs === null) return;
    // Without a time of its own a frame may be one of long ago, whose place in the stream tells when that was.
    const atMostMs = ofFrame === null ? Infinity : undefined;
    const latency = latencyMs({ shownMs, capturedMs, offsetMs: offset.offsetMs }, atMostMs);
    if (latency === null) return;
    this.latencies.push(latency);
    if (this.latencies.length > 60) this.latencies.shift();
  }
}

/** The age of the newest frame by the receiver's own books, for browsers whose frames carry no capture time. */
export function latencyOfReceiver(pc: RTCPeerConnection, clock: ServerClock): number | null {
  const offset = clock.current;
  const receiver = pc.getReceivers().find(({ track }) => track.kind === "video");
  const newest = receiver?.getSynchronizationSources()[0] as
    (RTCRtpSynchronizationSource & { captureTimestamp?: number; timestamp: number }) | undefined;
  if (offset === null || newest?.captureTimestamp === undefined) return null;
  return latencyMs({
    shownMs: newest.timestamp > 1e12 ? newest.timestamp : localMs(),
    capturedMs: unixOfCapture(newest.captureTimestamp),
    offsetMs: offset.offsetMs,
  });
}
