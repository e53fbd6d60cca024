// A playback that shows a stream's segments in a video element: what HLS and DASH have in common. No library.

/** One quality of the stream. */
export interface Level {
  /** Tells it from the others, also across epochs: "720p". */
  readonly key: string;
  readonly width: number;
  readonly height: number;
  readonly bitrateBps: number;
}

/** How a stream arrives in segments. */
export interface SegmentFigures {
  readonly level: Level | null;
  readonly width: number;
  readonly height: number;
  /** What lies ahead of the picture on the screen. */
  readonly bufferS: number;
  readonly frames: number;
  readonly dropped: number;
  /** How often and how long the picture waited for media. */
  readonly stalls: number;
  readonly stalledS: number;
  readonly rate: number;
}

/** Where in the stream's window the picture on the screen stands. */
export interface Position {
  /** How far one can go back from the live place. */
  readonly windowS: number;
  /** How far behind the live place it is; 0 is live. */
  readonly behindS: number;
  /** Whether it follows the live place: it does until the viewer goes back. */
  readonly following: boolean;
}

/** What a playback tells. */
export interface PlaybackListener {
  /** There is something to play. */
  media(): void;
  /** Media has arrived. */
  started(): void;
  /** The qualities to choose from are known, or are others. */
  levels(): void;
}

/** One stretch of a stream being played. */
export interface Playback {
  /** Resolves when it has been played to its end, and rejects where it cannot go on. */
  readonly done: Promise<void>;
  /** The qualities, lowest first. */
  readonly levels: readonly Level[];
  readonly hasSound: boolean;
  readonly hasPicture: boolean;
  /** When what is on the screen was captured, in milliseconds since 1970 by the server's clock. */
  readonly playingMs: number | null;
  /** How it arrives. */
  readonly figures: SegmentFigures;
  /** Where it stands; `null` until that is known. */
  readonly position: Position | null;
  /** Takes a quality by its key from the next segment on; `null`, or one that is not there, leaves it to the network. */
  select(key: string | null): void;
  /** Goes to the live place and stays there. */
  goLive(): void;
  /** Goes to a place so far behind the live one. */
  seek(behindS: number): void;
  /** Stops following the live place, as a viewer who pauses does. */
  stay(): void;
  /** Asks for media again at once, where it was given up. */
  retry(): void;
  /** Lets go of the video element. */
  destroy(): void;
}

/** Why a playback cannot go on. */
export class PlaybackFailed extends Error {
  constructor(
    message: string,
    /** The server's refusal, where it was one. */
    readonly status: number | null,
    readonly retryAfterS?: number | undefined,
  ) {
    super(message);
  }
}

/** What goes wrong with media, for people: of a `stream`, or of a `recording`. */
export function sentencesOf(what: "stream" | "recording") {
  return {
    missing: `The ${what}’s media does not arrive.`,
    unplayable: `This browser cannot play what the ${what} is encoded with.`,
    failed: `The browser could not play the ${what}’s media.`,
  };
}

/** The stretch had ended before anything was played of it. */
export class EndedBefore extends Error {}

/** Further behind the live place than this a jump is better than playing a little faster. */
export const JUMP_BEYOND_S = 2.5;
/** After a jump the buffer is given so long to fill. */
export const JUMPS_APART_MS = 8_000;
/** So far behind the live place, what follows it still counts as live. */
export const LIVE_WITHIN_S = 1.5;
/** What follows the live place plays a tenth faster until it is there; whoever went back stays back. */
export const CATCH_UP_RATE = 1.1;
/** What one guesses of a network before anything was measured. */
export const FIRST_GUESS_BPS = 2_500_000;

/** Where a playback stands, of the live place and of how far back one can go. Times are of one timeline. */
export function positionOf(
  at: { readonly liveS: number; readonly firstS: number; readonly nowS: number },
  following: boolean,
): Position {
  const behindS = Math.max(0, at.liveS - at.nowS);
  return {
    windowS: Math.max(0, at.liveS - at.firstS),
    behindS: following && behindS < LIVE_WITHIN_S ? 0 : behindS,
    following,
  };
}

/** Qualities with names that hold across epochs, in the order that they come in. */
export function levelsOf(
  levels: readonly { readonly width: number; readonly height: number; readonly bitrate: number }[],
): Level[] {
  const taken = new Set<string>();
  return levels.map(({ width, height, bitrate }) => {
    const name = height > 0 ? `${height}p` : "Sound";
    let key = name;
    for (let i = 2; taken.has(key); i++) key = `${name} (${i})`;
    taken.add(key);
    return { key, width, height, bitrateBps: bitrate };
  });
}

/** How far the media reaches that a video element holds from its present place on. */
export function bufferedS(video: HTMLVideoElement): number {
  const { buffered, currentTime } = video;
  for (let i = 0; i < buffered.length; i++) {
    if (buffered.start(i) <= currentTime && buffered.end(i) > currentTime) {
      return buffered.end(i) - currentTime;
    }
  }
  return 0;
}

/** A book of the times that a video element waited for media. */
export class Stalls {
  private times = 0;
  private ms = 0;
  private since: number | null = null;

  constructor(
    private readonly video: HTMLVideoElement,
    /** Whether what plays has begun: what comes before is no stall. */
    private readonly begun: () => boolean,
    signal: AbortSignal,
  ) {
    video.addEventListener("waiting", () => this.stall(), { signal });
    for (const event of ["playing", "seeking", "pause"]) {
      video.addEventListener(event, () => this.resume(), { signal });
    }
  }

  /** How often it waited. */
  get count(): number {
    return this.times;
  }

  /** How long, all in all. */
  get seconds(): number {
    return (this.ms + (this.since === null ? 0 : performance.now() - this.since)) / 1_000;
  }

  private stall(): void {
    const { seeking, paused } = this.video;
    if (!this.begun() || seeking || paused || this.since !== null) return;
    this.times++;
    this.since = performance.now();
  }

  private resume(): void {
    if (this.since === null) return;
    this.ms += performance.now() - this.since;
    this.since = null;
  }
}

/** What a video element tells of how a stream arrives. */
export function figuresOf(
  video: HTMLVideoElement,
  level: Level | null,
  stalls: Stalls,
): SegmentFigures {
  const quality = video.getVideoPlaybackQuality();
  return {
    level,
    width: video.videoWidth,
    height: video.videoHeight,
    bufferS: bufferedS(video),
    frames: quality.totalVideoFrames,
    dropped: quality.droppedVideoFrames,
    stalls: stalls.count,
    stalledS: stalls.seconds,
    rate: video.playbackRate,
  };
}
