// A reader that turns WebRTC statistics into the figures people ask for: rates over the last interval.

/** What `RTCPeerConnection.getStats` resolves to, as far as it is read here. */
export type Report = { forEach(visit: (entry: Entry) => void): void };
/** One entry of a report. */
export type Entry = Readonly<Record<string, unknown>>;

/** Why an encoder does less than it was asked for. */
export type Limit = "none" | "cpu" | "bandwidth" | "other";

/** One layer as it is being sent. */
export interface LayerFigures {
  readonly rid: string;
  /** Whether frames are being sent now. */
  readonly sending: boolean;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  readonly bitrateBps: number;
  /** `null` where the browser does not count them. */
  readonly keyframes: number | null;
  /** `null` where the browser does not say. */
  readonly limit: Limit | null;
}

/** What a publisher sends. */
export interface PublisherFigures {
  /** Highest first. */
  readonly layers: readonly LayerFigures[];
  readonly audioBps: number;
  readonly roundTripMs: number | null;
  readonly codec: string;
}

/** What a viewer receives. */
export interface ViewerFigures {
  readonly videoBps: number;
  readonly audioBps: number;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  readonly frames: number;
  readonly freezes: number;
  readonly frozenS: number;
  readonly lost: number;
  /** Of all packets expected, 0 to 1. */
  readonly lostShare: number;
  /** Mean time in the video jitter buffer over the last interval. */
  readonly jitterBufferMs: number | null;
  readonly roundTripMs: number | null;
  readonly codec: string;
}

/** Remembers the last report, and makes figures from the next one. */
export class StatsReader {
  private last = new Map<string, Entry>();
  private entries = new Map<string, Entry>();

  /** The figures of a sending connection. */
  publisher(report: Report): PublisherFigures {
    this.take(report);
    const layers = this.ofType("outbound-rtp", "video").map((entry) => ({
      rid: text(entry, "rid"),
      sending: this.delta(entry, "framesEncoded") > 0,
      width: number(entry, "frameWidth"),
      height: number(entry, "frameHeight"),
      fps: number(entry, "framesPerSecond"),
      bitrateBps: this.bitsPerSecond(entry, "bytesSent"),
      keyframes: "keyFramesEncoded" in entry ? number(entry, "keyFramesEncoded") : null,
      limit: limitOf(text(entry, "qualityLimitationReason")),
    }));
    layers.sort((a, b) => b.width * b.height - a.width * a.height || a.rid.localeCompare(b.rid));
    const audio = this.ofType("outbound-rtp", "audio")[0];
    const video = this.ofType("outbound-rtp", "video")[0];
    return {
      layers,
      audioBps: audio ? this.bitsPerSecond(audio, "bytesSent") : 0,
      roundTripMs: this.roundTripMs(),
      codec: this.codecOf(video),
    };
  }

  /** The figures of a receiving connection. */
  viewer(report: Report): ViewerFigures {
    this.take(report);
    const audio = this.ofType("inbound-rtp", "audio")[0] ?? {};
    const video = this.ofType("inbound-rtp", "video")[0] ?? {};
    const lost = Math.max(0, number(audio, "packetsLost") + number(video, "packetsLost"));
    const received = number(audio, "packetsReceived") + number(video, "packetsReceived");
    const emitted = this.delta(video, "jitterBufferEmittedCount");
    return {
      videoBps: this.bitsPerSecond(video, "bytesReceived"),
      audioBps: this.bitsPerSecond(audio, "bytesReceived"),
      width: number(video, "frameWidth"),
      height: number(video, "frameHeight"),
      fps: number(video, "framesPerSecond"),
      frames: number(video, "framesDecoded"),
      freezes: number(video, "freezeCount"),
      frozenS: number(video, "totalFreezesDuration"),
      lost,
      lostShare: lost + received > 0 ? lost / (lost + received) : 0,
      jitterBufferMs:
        emitted > 0 ? (this.delta(video, "jitterBufferDelay") / emitted) * 1_000 : null,
      roundTripMs: this.roundTripMs(),
      codec: this.codecOf(video),
    };
  }

  private take(report: Report): void {
    this.last = this.entries;
    this.entries = new Map();
    report.forEach((entry) => this.entries.set(text(entry, "id"), entry));
  }

  private ofType(type: string, kind?: string): Entry[] {
    return [...this.entries.values()].filter(
      (entry) => entry["type"] === type && (kind === undefined || entry["kind"] === kind),
    );
  }

  private delta(entry: Entry, key: string): number {
    const before = this.last.get(text(entry, "id"));
    return before ? Math.max(0, number(entry, key) - number(before, key)) : 0;
  }

  private bitsPerSecond(entry: Entry, key: string): number {
    const elapsedMs = this.delta(entry, "timestamp");
    return elapsedMs > 0 ? (this.delta(entry, key) * 8_000) / elapsedMs : 0;
  }

  private roundTripMs(): number | null {
    const pair = this.ofType("candidate-pair").find((each) => each["nominated"] === true);
    const seconds = pair?.["currentRoundTripTime"];
    return typeof seconds === "number" ? seconds * 1_000 : null;
  }

  private codecOf(entry: Entry | undefined): string {
    const codec = this.entries.get(text(entry ?? {}, "codecId"));
    return text(codec ?? {}, "mimeType").replace(/^\w+\//, "");
  }
}

/** The middle value; `null` of nothing. */
export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

/** The times by which the age of a shown frame is judged. */
export interface FrameTimes {
  /** Local time at which it was shown. */
  readonly shownMs: number;
  /** Capture time, in the server's clock. */
  readonly capturedMs: number;
  /** Server time minus local time. */
  readonly offsetMs: number;
}

/**
 * From capture to the viewer's screen; `null` where the clocks make no sense. Who may have gone back in time is
 * `atMostMs` late.
 */
export function latencyMs(
  { shownMs, capturedMs, offsetMs }: FrameTimes,
  atMostMs = 60_000,
): number | null {
  const latency = shownMs + offsetMs - capturedMs;
  return latency > -50 && latency < atMostMs ? Math.max(0, latency) : null;
}

/** A capture timestamp as milliseconds since 1970, whether it counts from there or from 1900 as NTP does. */
export function unixOfCapture(timestampMs: number): number {
  const ntpToUnixMs = 2_208_988_800_000;
  return timestampMs > 3_000_000_000_000 ? timestampMs - ntpToUnixMs : timestampMs;
}

function limitOf(reason: string): Limit | null {
  if (reason === "") return null;
  return reason === "cpu" || reason === "bandwidth" || reason === "other" ? reason : "none";
}

function number(entry: Entry, key: string): number {
  const value = entry[key];
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

function text(entry: Entry, key: string): string {
  const value = entry[key];
  return typeof value === "string" ? value : "";
}
