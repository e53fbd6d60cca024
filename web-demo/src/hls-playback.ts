// A playback that shows one epoch of a stream's HLS in a video element, by hls.js: from the multivariant playlist
// to the end of its media playlists. What comes after it is up to hls.ts.

import type Hls from "hls.js";
import type { ErrorData, Level as HlsLevel } from "hls.js";
import { parseRetryAfter } from "./http";

/** hls.js, loaded. */
export type HlsModule = typeof import("hls.js");

/** One quality of the stream. */
export interface Level {
  /** Tells it from the others, also across epochs: "720p". */
  readonly key: string;
  readonly width: number;
  readonly height: number;
  readonly bitrateBps: number;
}

/** How a stream arrives over HLS. */
export interface HlsFigures {
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

/** The playlist had ended before anything was played of it. */
export class EndedBefore extends Error {}

/** Further behind the live place than this a jump is better than playing a tenth faster. */
const JUMP_BEYOND_S = 2.5;
/** After a jump the buffer is given so long to fill. */
const JUMPS_APART_MS = 8_000;
/** So far behind the live place, what follows it still counts as live. */
const LIVE_WITHIN_S = 1.5;
/** What follows the live place plays a tenth faster until it is there; whoever went back stays back. */
const CATCH_UP_RATE = 1.1;
/** What one guesses of a network before anything was measured. */
const FIRST_GUESS_BPS = 2_500_000;

/** Playlists are asked for again soon: one that has only parts yet does for hls.js only with its first segment. */
const PLAYLISTS = {
  default: {
    maxTimeToFirstByteMs: 10_000,
    maxLoadTimeMs: 20_000,
    timeoutRetry: { maxNumRetry: 2, retryDelayMs: 0, maxRetryDelayMs: 0 },
    errorRetry: {
      maxNumRetry: 6,
      retryDelayMs: 500,
      maxRetryDelayMs: 1_000,
      backoff: "linear" as const,
    },
  },
};

/** One epoch being played. `done` resolves when it has been played to its end, and rejects where it cannot go on. */
export class Playback {
  readonly done: Promise<void>;

  private readonly hls: Hls;
  private readonly looking: ReturnType<typeof setInterval>;
  private readonly listening = new AbortController();
  private finish: (error?: Error) => void = () => undefined;
  private known: Level[] = [];
  private started = false;
  private following = true;
  private jumpedAt = -Infinity;
  private recoveredAt = -Infinity;
  private stalls = 0;
  private stalledMs = 0;
  private stalledAt: number | null = null;

  constructor(
    private readonly module: HlsModule,
    private readonly video: HTMLVideoElement,
    url: string,
    private readonly tell: PlaybackListener,
  ) {
    this.done = new Promise((resolve, reject) => {
      this.finish = (error) => (error ? reject(error) : resolve());
    });
    // Whoever only destroys it does not ask how it ended.
    this.done.catch(() => undefined);
    const { default: Player, Events } = module;
    this.hls = new Player({
      lowLatencyMode: true,
      maxLiveSyncPlaybackRate: CATCH_UP_RATE,
      liveSyncOnStallIncrease: 0.5,
      liveDurationInfinity: true,
      backBufferLength: 30,
      abrEwmaDefaultEstimate: FIRST_GUESS_BPS,
      playlistLoadPolicy: PLAYLISTS,
      // A worker of its own would need another file; fMP4 passes through nearly untouched.
      enableWorker: false,
    });
    this.hls.on(Events.MANIFEST_PARSED, () => this.tell.media());
    this.hls.on(Events.MANIFEST_PARSED, () => this.takeLevels());
    this.hls.on(Events.LEVELS_UPDATED, () => this.takeLevels());
    this.hls.on(Events.FRAG_BUFFERED, () => this.start());
    this.hls.on(Events.LEVEL_LOADED, (_, { details }) => {
      if (!details.live && !this.started) this.finish(new EndedBefore());
    });
    this.hls.on(Events.ERROR, (_, data) => this.fail(data));
    this.listen("ended", () => this.finish());
    this.listen("waiting", () => this.stall());
    for (const event of ["playing", "seeking", "pause"]) this.listen(event, () => this.resume());
    this.looking = setInterval(() => this.look(), 1_000);
    this.hls.attachMedia(video);
    this.hls.loadSource(url);
  }

  /** Lets go of the video element. */
  destroy(): void {
    clearInterval(this.looking);
    this.listening.abort();
    this.hls.destroy();
    this.video.playbackRate = 1;
  }

  /** The qualities, lowest first. */
  get levels(): readonly Level[] {
    return this.known;
  }

  /** Whether there is sound. */
  get hasSound(): boolean {
    const { audioTracks, levels } = this.hls;
    return audioTracks.length > 0 || levels.some(({ audioCodec }) => Boolean(audioCodec));
  }

  /** Whether there is a picture. */
  get hasPicture(): boolean {
    const { levels } = this.hls;
    return levels.length === 0 || levels.some(({ videoCodec, width }) => videoCodec || width);
  }

  /** When what is on the screen was captured, in milliseconds since 1970 by the server's clock. */
  get playingMs(): number | null {
    return this.hls.playingDate?.getTime() ?? null;
  }

  /** How it arrives. */
  get figures(): HlsFigures {
    const { buffered, currentTime, videoWidth, videoHeight, playbackRate } = this.video;
    const quality = this.video.getVideoPlaybackQuality();
    const stalling = this.stalledAt === null ? 0 : performance.now() - this.stalledAt;
    let bufferS = 0;
    for (let i = 0; i < buffered.length; i++) {
      const holds = buffered.start(i) <= currentTime && buffered.end(i) > currentTime;
      if (holds) bufferS = buffered.end(i) - currentTime;
    }
    return {
      level: this.known[this.hls.currentLevel] ?? null,
      width: videoWidth,
      height: videoHeight,
      bufferS,
      frames: quality.totalVideoFrames,
      dropped: quality.droppedVideoFrames,
      stalls: this.stalls,
      stalledS: (this.stalledMs + stalling) / 1_000,
      rate: playbackRate,
    };
  }

  /** Where it stands; `null` until that is known. */
  get position(): Position | null {
    const details = this.hls.latestLevelDetails;
    const live = this.hls.liveSyncPosition;
    if (!details || live === null || !this.started) return null;
    const behindS = Math.max(0, live - this.video.currentTime);
    return {
      windowS: Math.max(0, live - details.fragmentStart),
      behindS: this.following && behindS < LIVE_WITHIN_S ? 0 : behindS,
      following: this.following,
    };
  }

  /** Takes a quality by its key from the next segment on; `null`, or one that is not there, leaves it to the network. */
  select(key: string | null): void {
    this.hls.loadLevel = this.known.findIndex((level) => level.key === key);
  }

  /** Goes to the live place and stays there. */
  goLive(): void {
    this.follow(true);
    this.toLive();
  }

  /** Goes to a place so far behind the live one. */
  seek(behindS: number): void {
    const live = this.hls.liveSyncPosition;
    if (live === null) return;
    if (behindS < 1) return this.goLive();
    this.follow(false);
    const first = this.hls.latestLevelDetails?.fragmentStart ?? 0;
    this.video.currentTime = Math.max(first, live - behindS);
  }

  /** Stops following the live place, as a viewer who pauses does. */
  stay(): void {
    this.follow(false);
  }

  /** Asks for media again at once, where it was given up. */
  retry(): void {
    if (this.video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA) this.hls.startLoad();
  }

  private follow(following: boolean): void {
    this.following = following;
    this.hls.config.maxLiveSyncPlaybackRate = following ? CATCH_UP_RATE : 1;
    if (!following) this.video.playbackRate = 1;
  }

  private toLive(): void {
    const live = this.hls.liveSyncPosition;
    if (live === null) return;
    this.jumpedAt = performance.now();
    this.video.currentTime = live;
  }

  private start(): void {
    if (this.started) return;
    this.started = true;
    this.tell.started();
  }

  private takeLevels(): void {
    this.known = levelsOf(this.hls.levels);
    this.tell.levels();
  }

  /** Catches up where it fell behind, and finds the end where the browser does not tell it. */
  private look(): void {
    const details = this.hls.latestLevelDetails;
    const { currentTime, paused, seeking } = this.video;
    if (!details || !this.started) return;
    if (!details.live && currentTime >= details.edge - 0.25) return this.finish();
    const live = this.hls.liveSyncPosition;
    if (!details.live || !this.following || paused || seeking || live === null) return;
    if (live - currentTime <= JUMP_BEYOND_S) return;
    if (performance.now() - this.jumpedAt > JUMPS_APART_MS) this.toLive();
  }

  private stall(): void {
    if (!this.started || this.video.seeking || this.video.paused || this.stalledAt !== null) return;
    this.stalls++;
    this.stalledAt = performance.now();
  }

  private resume(): void {
    if (this.stalledAt === null) return;
    this.stalledMs += performance.now() - this.stalledAt;
    this.stalledAt = null;
  }

  private fail(data: ErrorData): void {
    if (!data.fatal) return;
    const { ErrorTypes, ErrorDetails } = this.module;
    const unplayable = data.details === ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR;
    const again = performance.now() - this.recoveredAt > 10_000;
    if (data.type === ErrorTypes.MEDIA_ERROR && !unplayable && again) {
      this.recoveredAt = performance.now();
      return this.hls.recoverMediaError();
    }
    this.hls.stopLoad();
    const sentence = unplayable
      ? "This browser cannot play what the stream is encoded with."
      : data.details === ErrorDetails.LEVEL_EMPTY_ERROR
        ? "The stream has just begun."
        : data.type === ErrorTypes.NETWORK_ERROR
          ? "The stream’s media does not arrive."
          : "The browser could not play the stream’s media.";
    const status = data.response?.code || null;
    this.finish(new PlaybackFailed(sentence, status, retryAfterOf(data.networkDetails)));
  }

  private listen(event: string, then: () => void): void {
    this.video.addEventListener(event, then, { signal: this.listening.signal });
  }
}

/** The qualities of hls.js with names that hold across epochs. */
export function levelsOf(
  levels: readonly Pick<HlsLevel, "width" | "height" | "bitrate">[],
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

function retryAfterOf(details: unknown): number | undefined {
  if (!("XMLHttpRequest" in globalThis) || !(details instanceof XMLHttpRequest)) return undefined;
  return parseRetryAfter(details.getResponseHeader("Retry-After"));
}
