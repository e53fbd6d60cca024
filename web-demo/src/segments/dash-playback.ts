// A playback that shows a stream's DASH in a video element, by dash.js: from the manifest to the end that it tells.
// Epochs are periods of one manifest, so that it goes on through them. What comes after its end is up to dash.ts.

import type { MediaPlayerClass, MediaPlayerErrorEvent, Representation } from "dashjs";
import {
  CATCH_UP_RATE,
  EndedBefore,
  FIRST_GUESS_BPS,
  figuresOf,
  JUMP_BEYOND_S,
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

/** dash.js, loaded. */
export type DashModule = typeof import("dashjs");

/** What a manifest tells of its end, parsed by dash.js. */
interface Manifest {
  readonly mediaPresentationDuration?: number;
}

/** What dash.js tells of a request that failed. */
interface Failed {
  readonly request?: { readonly startTime?: number; readonly duration?: number };
  readonly response?: { readonly status?: number };
}

const SAY = sentencesOf("stream");

/** A picture that stands still for so long is begun anew. */
const STUCK_MS = 12_000;
/** The first picture may take longer. */
const NEVER_BEGAN_MS = 20_000;

/** One manifest being played. */
export class DashPlayback extends SegmentPlayback implements Playback {
  private readonly player: MediaPlayerClass;
  private representations: readonly Representation[] = [];
  /** How far behind the clock the live place is: what dash.js aims at until somebody seeks. */
  private delayS: number | null = null;
  private movedAt = performance.now();
  private stoodAtS = 0;

  constructor(
    private readonly module: DashModule,
    video: HTMLVideoElement,
    url: string,
    tell: PlaybackListener,
  ) {
    super(video, tell);
    const { events } = module.MediaPlayer;
    this.player = module.MediaPlayer().create();
    this.player.updateSettings({
      debug: { logLevel: module.Debug.LOG_LEVEL_NONE as 0 },
      streaming: {
        // Nothing is left behind in the browser.
        lastBitrateCachingInfo: { enabled: false },
        lastMediaSettingsCachingInfo: { enabled: false },
        // The manifest names the server's clock. A cache's `Date` may be old.
        utcSynchronization: { useManifestDateHeaderTimeSource: false },
        liveCatchup: {
          enabled: true,
          maxDrift: JUMP_BEYOND_S,
          playbackRate: { min: -0.04, max: CATCH_UP_RATE - 1 },
        },
        buffer: { bufferToKeep: 30 },
        abr: { initialBitrate: { video: FIRST_GUESS_BPS / 1_000 } },
      },
    });
    this.player.on(events.MANIFEST_LOADED, () => this.takeEnd());
    this.player.on(events.STREAM_INITIALIZED, () => this.takeStream());
    this.player.on(events.PERIOD_SWITCH_COMPLETED, () => this.takeLevels());
    this.player.on(events.PLAYBACK_ENDED, () => this.finish());
    this.player.on(events.ERROR, (event) => this.fail(event as MediaPlayerErrorEvent));
    this.listen("loadeddata", () => this.start());
    this.player.initialize(video, url, false);
    // Nobody else's clock is asked.
    this.player.clearDefaultUTCTimingSources();
  }

  get hasSound(): boolean {
    return this.player.isReady() && this.player.getTracksFor("audio").length > 0;
  }

  get hasPicture(): boolean {
    if (!this.player.isReady() || this.delayS === null) return true;
    return this.player.getTracksFor("video").length > 0;
  }

  get playingMs(): number | null {
    return this.started && this.player.isReady() ? this.player.timeAsUTC() * 1_000 : null;
  }

  get figures(): SegmentFigures {
    const shown = this.started ? this.player.getCurrentRepresentationForType("video") : null;
    const at = this.representations.findIndex(({ id }) => id === shown?.id);
    return figuresOf(this.video, this.known[at] ?? null, this.stalls);
  }

  get position(): Position | null {
    const live = this.liveS;
    const firstS = this.started ? this.player.getDvrWindow().start : undefined;
    if (live === null || firstS === undefined) return null;
    return positionOf({ liveS: live, firstS, nowS: this.video.currentTime }, this.following);
  }

  select(key: string | null): void {
    const at = this.known.findIndex((level) => level.key === key);
    const chosen = this.representations[at];
    const automatic = chosen === undefined;
    this.player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: automatic } } } });
    if (chosen) this.player.setRepresentationForTypeById("video", chosen.id);
  }

  goLive(): void {
    this.follow(true);
    this.player.seekToOriginalLive();
  }

  seek(behindS: number): void {
    const live = this.liveS;
    if (live === null) return;
    if (behindS < 1) return this.goLive();
    this.follow(false);
    this.player.seek(Math.max(0, live - behindS - this.player.getDvrWindow().start));
  }

  retry(): void {
    if (this.started) this.player.refreshManifest(() => undefined);
  }

  /** The live place, on the timeline of the video element. */
  private get liveS(): number | null {
    if (!this.started || this.delayS === null) return null;
    const latency = this.player.getCurrentLiveLatency();
    return Number.isFinite(latency) ? this.video.currentTime + latency - this.delayS : null;
  }

  protected release(): void {
    // dash.js leaves listeners behind that wait to set a rate, and fail once it is gone: they are served before.
    this.video.dispatchEvent(new Event("canplay"));
    this.player.destroy();
  }

  protected follow(following: boolean): void {
    if (this.following === following) return;
    this.following = following;
    this.player.updateSettings({ streaming: { liveCatchup: { enabled: following } } });
  }

  protected override start(): void {
    if (!this.started) this.movedAt = performance.now();
    super.start();
  }

  private takeStream(): void {
    this.takeEnd();
    if (this.delayS === null) {
      this.delayS = this.player.getTargetLiveDelay();
      this.tell.media();
    }
    this.takeLevels();
  }

  /** A manifest that had its end from the beginning tells of what is over. */
  private takeEnd(): void {
    if (!this.started && this.endS !== null) this.finish(new EndedBefore());
  }

  /** Where the stream ends, on the manifest's timeline; `null` while it goes on. */
  private get endS(): number | null {
    const manifest = this.player.getManifest() as Manifest | null;
    const end = manifest?.mediaPresentationDuration;
    return end !== undefined && Number.isFinite(end) ? end : null;
  }

  private takeLevels(): void {
    const found = [...this.player.getRepresentationsByType("video")];
    found.sort((a, b) => a.bandwidth - b.bandwidth);
    this.representations = found;
    this.known = levelsOf(
      found.map(({ width, height, bandwidth }) => ({ width, height, bitrate: bandwidth })),
    );
    this.tell.levels();
  }

  /** Finds the end where the browser does not tell it, and what stands still for too long. */
  protected look(): void {
    const { currentTime, paused, seeking } = this.video;
    const end = this.endS;
    if (this.started && end !== null && currentTime >= end - 0.25) return this.finish();
    const moved = currentTime !== this.stoodAtS || (this.started && paused) || seeking;
    this.stoodAtS = currentTime;
    if (moved) this.movedAt = performance.now();
    const patience = this.started ? STUCK_MS : NEVER_BEGAN_MS;
    if (performance.now() - this.movedAt > patience) {
      this.finish(new PlaybackFailed(SAY.missing, null));
    }
  }

  private fail({ error }: MediaPlayerErrorEvent): void {
    const { errors } = this.module.MediaPlayer;
    const data = (error.data ?? {}) as Failed;
    switch (error.code) {
      // What is missing in the middle is passed over; what does not come at the live place is begun anew.
      case errors.DOWNLOAD_ERROR_ID_CONTENT_CODE:
      case errors.DOWNLOAD_ERROR_ID_INITIALIZATION_CODE:
        if (this.passOver(data)) return;
        return this.finish(new PlaybackFailed(SAY.missing, null));
      case errors.TIME_SYNC_FAILED_ERROR_CODE:
        return;
      case errors.MANIFEST_LOADER_LOADING_FAILURE_ERROR_CODE:
      case errors.DOWNLOAD_ERROR_ID_MANIFEST_CODE:
        return this.finish(new PlaybackFailed(SAY.missing, data.response?.status || null));
      case errors.MANIFEST_ERROR_ID_NOSTREAMS_CODE:
      case errors.MEDIASOURCE_TYPE_UNSUPPORTED_CODE:
        return this.finish(new PlaybackFailed(SAY.unplayable, null));
      default:
        return this.finish(new PlaybackFailed(SAY.failed, null));
    }
  }

  /** Whether it can go on behind a segment that there is not. */
  private passOver({ request }: Failed): boolean {
    const live = this.liveS;
    if (live === null || request?.startTime === undefined) return false;
    const next = request.startTime + (request.duration ?? 0);
    if (!Number.isFinite(next) || next >= live) return false;
    this.player.seek(Math.max(0, next - this.player.getDvrWindow().start));
    return true;
  }
}
