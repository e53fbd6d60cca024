// A playback that shows one epoch of a stream's HLS in a video element, by hls.js: from the multivariant playlist
// to the end of its media playlists. What comes after it is up to hls.ts.

import type Hls from "hls.js";
import type { ErrorData } from "hls.js";
import { parseRetryAfter } from "../server/http";
import {
  CATCH_UP_RATE,
  EndedBefore,
  FIRST_GUESS_BPS,
  figuresOf,
  JUMP_BEYOND_S,
  JUMPS_APART_MS,
  levelsOf,
  type Playback,
  PlaybackFailed,
  type PlaybackListener,
  type Position,
  positionOf,
  type SegmentFigures,
  sentencesOf,
} from "./playback";
import { SegmentPlayback } from "./segment-playback";

/** hls.js, loaded. */
export type HlsModule = typeof import("hls.js");

const SAY = sentencesOf("stream");

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

/** Nothing was loaded for so long, and nothing plays yet. */
const NEVER_BEGAN_MS = 10_000;

/** One epoch being played. */
export class HlsPlayback extends SegmentPlayback implements Playback {
  private readonly hls: Hls;
  private jumpedAt = -Infinity;
  private recoveredAt = -Infinity;
  /** When it last got on with its beginning; `null` until it knows what there is. */
  private movedAt: number | null = null;

  constructor(
    private readonly module: HlsModule,
    video: HTMLVideoElement,
    url: string,
    tell: PlaybackListener,
  ) {
    super(video, tell);
    const { default: Player, Events } = module;
    this.hls = new Player({
      lowLatencyMode: true,
      maxLiveSyncPlaybackRate: CATCH_UP_RATE,
      liveSyncOnStallIncrease: 0.5,
      liveDurationInfinity: true,
      // What was played is left to the browser to drop: hls.js 1.7.4 forgets the parts of the segment at the edge when
      // it drops some while another part is being appended, and then waits for them for ever.
      backBufferLength: Infinity,
      abrEwmaDefaultEstimate: FIRST_GUESS_BPS,
      playlistLoadPolicy: PLAYLISTS,
      // A worker of its own would need another file; fMP4 passes through nearly untouched.
      enableWorker: false,
    });
    for (const event of [
      Events.MANIFEST_PARSED,
      Events.FRAG_LOADING,
      Events.FRAG_LOADED,
    ] as const) {
      this.hls.on(event, () => void (this.movedAt = performance.now()));
    }
    this.hls.on(Events.MANIFEST_PARSED, () => this.tell.media());
    this.hls.on(Events.MANIFEST_PARSED, () => this.takeLevels());
    this.hls.on(Events.LEVELS_UPDATED, () => this.takeLevels());
    this.hls.on(Events.FRAG_BUFFERED, () => this.start());
    this.hls.on(Events.LEVEL_LOADED, (_, { details }) => {
      if (!details.live && !this.started) this.finish(new EndedBefore());
    });
    this.hls.on(Events.ERROR, (_, data) => this.fail(data));
    this.listen("ended", () => this.finish());
    this.hls.attachMedia(video);
    this.hls.loadSource(url);
  }

  get hasSound(): boolean {
    const { audioTracks, levels } = this.hls;
    return audioTracks.length > 0 || levels.some(({ audioCodec }) => Boolean(audioCodec));
  }

  get hasPicture(): boolean {
    const { levels } = this.hls;
    return levels.length === 0 || levels.some(({ videoCodec, width }) => videoCodec || width);
  }

  get playingMs(): number | null {
    return this.hls.playingDate?.getTime() ?? null;
  }

  get figures(): SegmentFigures {
    return figuresOf(this.video, this.known[this.hls.currentLevel] ?? null, this.stalls);
  }

  get position(): Position | null {
    const details = this.hls.latestLevelDetails;
    const liveS = this.hls.liveSyncPosition;
    if (!details || liveS === null || !this.started) return null;
    const { currentTime: nowS } = this.video;
    return positionOf({ liveS, firstS: details.fragmentStart, nowS }, this.following);
  }

  select(key: string | null): void {
    this.hls.loadLevel = this.known.findIndex((level) => level.key === key);
  }

  goLive(): void {
    this.follow(true);
    this.toLive();
  }

  seek(behindS: number): void {
    const live = this.hls.liveSyncPosition;
    if (live === null) return;
    if (behindS < 1) return this.goLive();
    this.follow(false);
    const first = this.hls.latestLevelDetails?.fragmentStart ?? 0;
    this.video.currentTime = Math.max(first, live - behindS);
  }

  retry(): void {
    if (this.video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA) this.hls.startLoad();
  }

  protected release(): void {
    this.hls.destroy();
  }

  protected follow(following: boolean): void {
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

  private takeLevels(): void {
    this.known = levelsOf(this.hls.levels);
    this.tell.levels();
  }

  /** Catches up where it fell behind, and finds the end where the browser does not tell it. */
  protected look(): void {
    if (!this.started) return this.lookAtBeginning();
    const details = this.hls.latestLevelDetails;
    const { currentTime, paused, seeking } = this.video;
    if (!details) return;
    if (!details.live && currentTime >= details.edge - 0.25) return this.finish();
    const live = this.hls.liveSyncPosition;
    if (!details.live || !this.following || paused || seeking || live === null) return;
    if (live - currentTime <= JUMP_BEYOND_S) return;
    if (performance.now() - this.jumpedAt > JUMPS_APART_MS) this.toLive();
  }

  /** hls.js may wait for ever for what it does not load: it is begun anew then. */
  private lookAtBeginning(): void {
    if (this.movedAt === null || performance.now() - this.movedAt <= NEVER_BEGAN_MS) return;
    this.finish(new PlaybackFailed(SAY.missing, null));
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
      ? SAY.unplayable
      : data.details === ErrorDetails.LEVEL_EMPTY_ERROR
        ? "The stream has just begun."
        : data.type === ErrorTypes.NETWORK_ERROR
          ? SAY.missing
          : SAY.failed;
    const status = data.response?.code || null;
    this.finish(new PlaybackFailed(sentence, status, retryAfterOf(data.networkDetails)));
  }
}

/** When the server wants to be asked again, where its refusal says it. */
function retryAfterOf(details: unknown): number | undefined {
  if (!("XMLHttpRequest" in globalThis) || !(details instanceof XMLHttpRequest)) return undefined;
  return parseRetryAfter(details.getResponseHeader("Retry-After"));
}
