// A playback by a library, without the library: how it starts, is looked after every second, ends, and lets go.
// What is particular to hls.js and dash.js is up to hls-playback.ts and dash-playback.ts.

import { type Level, type PlaybackListener, Stalls } from "./playback";

/** What playbacks by hls.js and dash.js have in common. */
export abstract class SegmentPlayback {
  readonly done: Promise<void>;

  protected readonly stalls: Stalls;
  protected finish: (error?: Error) => void = () => undefined;
  protected known: readonly Level[] = [];
  protected started = false;
  protected following = true;
  private readonly listening = new AbortController();
  private readonly looking: ReturnType<typeof setInterval>;

  constructor(
    protected readonly video: HTMLVideoElement,
    protected readonly tell: PlaybackListener,
  ) {
    this.done = new Promise((resolve, reject) => {
      this.finish = (error) => (error ? reject(error) : resolve());
    });
    // Whoever only destroys it does not ask how it ended.
    this.done.catch(() => undefined);
    this.stalls = new Stalls(video, () => this.started, this.listening.signal);
    this.looking = setInterval(() => this.look(), 1_000);
  }

  destroy(): void {
    clearInterval(this.looking);
    this.listening.abort();
    this.release();
    this.video.playbackRate = 1;
  }

  get levels(): readonly Level[] {
    return this.known;
  }

  stay(): void {
    this.follow(false);
  }

  /** Lets go of the library. */
  protected abstract release(): void;

  /** Follows the live place, or no longer. */
  protected abstract follow(following: boolean): void;

  /** Called every second. */
  protected abstract look(): void;

  /** Media has arrived. */
  protected start(): void {
    if (this.started) return;
    this.started = true;
    this.tell.started();
  }

  /** Listens to the video element until it is let go of. */
  protected listen(event: string, then: () => void): void {
    this.video.addEventListener(event, then, { signal: this.listening.signal });
  }
}
