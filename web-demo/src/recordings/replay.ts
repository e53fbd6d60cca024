// A player that shows a recording in a video element, from its beginning, also while it still grows.

import type Hls from "hls.js";
import type { HlsModule } from "../segments/hls-playback";
import { FIRST_GUESS_BPS, type Level, levelsOf, sentencesOf } from "../segments/playback";

const SAY = sentencesOf("recording");

/** What a replay tells. */
export interface ReplayListener {
  /** The qualities to choose from are known, or are others. */
  levels(levels: readonly Level[]): void;
  /** There is a picture. */
  started(): void;
  /** It cannot go on; a sentence says why. */
  failed(sentence: string): void;
}

/** What has just begun may lack the first segments of a quality: it is tried so often, with such pauses. */
const TRIES = 6;
const TRY_EVERY_MS = 2_000;

/** One recording being played. */
export class Replay {
  private hls: Hls | null = null;
  private gone = false;
  private recovered = false;
  private hasStarted = false;
  private tries = 1;
  /** Where there is something to play, in seconds. */
  private beginsS = 0;
  private trying: ReturnType<typeof setTimeout> | undefined;
  private readonly listening = new AbortController();

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly url: string,
    private readonly tell: ReplayListener,
  ) {
    const { signal } = this.listening;
    const start = () => {
      this.hasStarted = true;
      this.tell.started();
    };
    video.addEventListener("loadeddata", start, { signal });
    const seek = () => {
      if (video.currentTime < this.beginsS) video.currentTime = this.beginsS;
    };
    video.addEventListener("seeking", seek, { signal });
    void this.begin();
  }

  /** Takes the quality at this place in the list; -1 leaves it to the network. */
  select(at: number): void {
    if (!this.hls) return;
    if (at < 0) this.hls.nextLevel = at;
    // What is asked for is seen at once, also where the rest has been loaded already.
    else this.hls.currentLevel = at;
  }

  /** Lets go of the video element. */
  destroy(): void {
    this.gone = true;
    clearTimeout(this.trying);
    this.listening.abort();
    this.hls?.destroy();
    this.video.removeAttribute("src");
    this.video.load();
  }

  private async begin(): Promise<void> {
    try {
      const module = await import("hls.js");
      if (this.gone) return;
      if (module.default.isSupported()) this.play(module);
      else this.playNatively();
    } catch {
      if (!this.gone) this.tell.failed("The player could not be loaded.");
    }
  }

  private play(module: HlsModule): void {
    const { default: Player, ErrorDetails, ErrorTypes, Events } = module;
    const hls = new Player({
      // What grows is played from its beginning too.
      startPosition: 0,
      lowLatencyMode: false,
      abrEwmaDefaultEstimate: FIRST_GUESS_BPS,
      // A worker of its own would need another file; fMP4 passes through nearly untouched.
      enableWorker: false,
    });
    this.hls = hls;
    hls.on(Events.MANIFEST_PARSED, () => this.tell.levels(levelsOf(hls.levels)));
    hls.on(Events.BUFFER_APPENDED, () => this.findBeginning());
    hls.on(Events.ERROR, (_, data) => {
      if (!data.fatal) return;
      const unplayable = data.details === ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR;
      if (data.type === ErrorTypes.MEDIA_ERROR && !unplayable && !this.recovered) {
        this.recovered = true;
        return hls.recoverMediaError();
      }
      hls.stopLoad();
      const isEmpty = data.details === ErrorDetails.LEVEL_EMPTY_ERROR;
      const mayCome = isEmpty || data.type === ErrorTypes.NETWORK_ERROR;
      if (mayCome && !this.hasStarted && this.tries++ < TRIES) {
        this.trying = setTimeout(() => {
          hls.destroy();
          this.play(module);
        }, TRY_EVERY_MS);
        return;
      }
      const missing = data.type === ErrorTypes.NETWORK_ERROR ? SAY.missing : SAY.failed;
      this.tell.failed(refusalOf(data.response?.code) ?? (unplayable ? SAY.unplayable : missing));
    });
    hls.attachMedia(this.video);
    hls.loadSource(this.url);
  }

  /** Where sound begins later than the picture, or the other way round, there is nothing to play before. */
  private findBeginning(): void {
    const { buffered, currentTime, readyState, seeking } = this.video;
    if (this.hasStarted || seeking || readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) return;
    if (buffered.length > 0 && currentTime < buffered.start(0)) {
      this.beginsS = buffered.start(0);
      this.video.currentTime = this.beginsS;
    }
  }

  /** Leaves it to a browser that has HLS but lets no script feed it. */
  private playNatively(): void {
    if (this.video.canPlayType("application/vnd.apple.mpegurl") === "") {
      return this.tell.failed("This browser plays no HLS. The recording can be downloaded.");
    }
    const { signal } = this.listening;
    const failed = () => this.tell.failed(SAY.failed);
    this.video.addEventListener("error", failed, { signal });
    this.video.src = this.url;
  }
}

/** What an answer other than the playlist means for people; `null` where it says nothing. */
function refusalOf(status: number | undefined): string | null {
  if (status === 404 || status === 410) return "This recording is gone.";
  if (status === 401 || status === 403) return "This link does not let you watch this recording.";
  return null;
}
