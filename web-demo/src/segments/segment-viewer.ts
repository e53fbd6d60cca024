// A viewer of a stream in segments: shows it at its live edge, waits for it, and comes back by itself. What the
// segments are told by, HLS or DASH, is up to hls.ts and dash.ts.

import { HttpProblem, problemOf, request, Unreachable } from "../server/http";
import { backoffMs, type Status, type Verdict } from "../server/status";
import { EndedBefore, type Playback, PlaybackFailed, type PlaybackListener } from "./playback";

/** What is watched, and where it shows. */
export interface SegmentOptions {
  /** The multivariant playlist, or the manifest. */
  readonly url: string;
  readonly video: HTMLVideoElement;
}

/** The server does not know the protocol at all. */
export class NotOffered extends Error {}

/** The browser does not play it, neither by script nor by itself. */
export class Unsupported extends Error {}

/** The first answer waits until the stream has been packaged for the first time. */
const FIRST_ANSWER_MS = 20_000;
/** While a stream is not live, and the server does not say when to ask, it is asked so often. */
const ASK_EVERY_MS = 2_000;
/** After any other refusal it is asked so often. */
const REFUSED_MS = 10_000;
/** No server's wish keeps a viewer waiting for longer. */
const WAIT_AT_MOST_MS = 30_000;

/** A viewer of a stream in segments; `Module` is the library that plays them. */
export abstract class SegmentViewer<Module = unknown> {
  /** Called on every change. */
  onstatus: ((status: Status) => void) | null = null;
  /** Called with each epoch that can be played. */
  onmedia: (() => void) | null = null;
  /** Called when the qualities to choose from are others. */
  onlevels: (() => void) | null = null;
  /** Called where the server turns out not to know the protocol. */
  onabsent: (() => void) | null = null;

  private present: Status = { state: "idle", sentence: "" };
  private current: Playback | null = null;
  private choice: string | null = null;
  private running = false;
  private opened = false;
  private wake: (() => void) | null = null;

  constructor(protected readonly options: SegmentOptions) {}

  /** The name of the protocol, for sentences. */
  protected abstract readonly title: string;

  /** Loads the library. */
  protected abstract load(): Promise<Module>;

  /** Begins to play; `null` where the browser lets no script do it. */
  protected abstract begin(module: Module, tell: PlaybackListener): Playback | null;

  /** Leaves it to the browser; resolves at the end. */
  protected playNatively(): Promise<void> {
    throw new Unsupported();
  }

  /** The present state. */
  get status(): Status {
    return this.present;
  }

  /** What is played now; `null` between epochs, and where the browser plays by itself. */
  get playback(): Playback | null {
    return this.current;
  }

  /** The key of the quality asked for; `null` leaves it to the network. */
  get selected(): string | null {
    return this.choice;
  }

  /** Plays, and comes back for ever. */
  start(): void {
    if (this.running) return;
    this.running = true;
    void this.run();
  }

  /** Ends it, and lets go of the video element. */
  stop(): void {
    const live = this.running;
    this.running = false;
    this.wake?.();
    this.release();
    if (live) this.change({ state: "stopped", sentence: "" });
  }

  /** Asks again at once: for when the network, the page or the stream has come back. */
  retryNow(): void {
    this.wake?.();
    this.current?.retry();
  }

  /** Chooses a quality by its key, `null` for the one that the network carries. Kept across epochs. */
  select(key: string | null): void {
    this.choice = key;
    this.current?.select(key);
  }

  private async run(): Promise<void> {
    let attempt = 0;
    this.change({ state: "connecting", sentence: "" });
    while (this.running) {
      const from = performance.now();
      let verdict: Verdict;
      try {
        const [module] = await Promise.all([this.load(), this.ask()]);
        if (!this.running) break;
        await this.play(module);
        verdict = { sentence: "", again: true, afterMs: 0 };
      } catch (error) {
        verdict = verdictOf(error, this.title);
        if (error instanceof NotOffered && this.running) this.onabsent?.();
      }
      if (!this.running) break;
      if (!verdict.again) {
        this.running = false;
        this.change({ state: "stopped", sentence: verdict.sentence });
        return;
      }
      // What has played for a while begins anew with short pauses.
      if (this.opened && performance.now() - from > 10_000) attempt = 0;
      const retryInMs = Math.min(verdict.afterMs ?? backoffMs(attempt++), WAIT_AT_MOST_MS);
      const state = verdict.state ?? (this.opened ? "reconnecting" : "connecting");
      // The last picture stays while the connection may come back, but not when the stream is over.
      if (state === "waiting") this.release();
      this.change({ state, sentence: verdict.sentence, retryInMs });
      await this.pause(retryInMs);
    }
  }

  /** Asks for the playlist or manifest: the answer says whether there is anything to play. */
  private async ask(): Promise<void> {
    const response = await request(this.options.url, { cache: "no-store" }, FIRST_ANSWER_MS);
    const problem = response.headers.get("Content-Type")?.includes("json") ?? false;
    if (response.status === 404 && !problem) throw new NotOffered();
    if (!response.ok) throw await problemOf(response);
    // Nobody reads it here; whether it can be cancelled does not matter.
    response.body?.cancel().catch(() => undefined);
  }

  private async play(module: Module): Promise<void> {
    this.release();
    const playback: Playback | null = this.begin(module, {
      media: () => this.onmedia?.(),
      started: () => this.live(),
      levels: () => {
        if (this.choice !== null) this.current?.select(this.choice);
        this.onlevels?.();
      },
    });
    if (playback === null) return this.playNatively();
    this.current = playback;
    await playback.done;
  }

  protected live(): void {
    this.opened = true;
    this.change({ state: "live", sentence: "" });
  }

  private release(): void {
    this.current?.destroy();
    this.current = null;
    if (!this.options.video.src) return;
    this.options.video.removeAttribute("src");
    this.options.video.load();
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.wake = null;
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.wake = done;
    });
  }

  private change(status: Status): void {
    this.present = status;
    this.onstatus?.(status);
  }
}

/** What to do after an epoch could not be played, or not to its end. */
export function verdictOf(error: unknown, title = "HLS"): Verdict {
  const after = (seconds: number | undefined) =>
    seconds === undefined ? undefined : seconds * 1_000;
  if (error instanceof NotOffered)
    return { sentence: `This server gives no ${title}.`, again: false };
  if (error instanceof Unsupported) {
    return { sentence: `This browser plays no ${title}.`, again: false };
  }
  if (error instanceof Unreachable) return { sentence: error.message, again: true };
  // An epoch that had ended is a stream that is not live.
  if (error instanceof EndedBefore) {
    return { sentence: "", again: true, state: "waiting", afterMs: ASK_EVERY_MS };
  }
  if (error instanceof PlaybackFailed) {
    // The epoch is gone: the multivariant playlist names the next one, or says that there is none.
    const sentence = error.status === 404 ? "" : error.message;
    return { sentence, again: true, afterMs: after(error.retryAfterS) };
  }
  if (error instanceof HttpProblem) {
    const afterMs = after(error.retryAfterS);
    switch (error.status) {
      case 404:
        return { sentence: "", again: true, state: "waiting", afterMs: afterMs ?? ASK_EVERY_MS };
      case 429:
      case 503:
        return { sentence: error.message, again: true, state: "waiting", afterMs };
      default: {
        // What cannot be packaged today may be published otherwise tomorrow.
        const { message: sentence } = error;
        return { sentence, again: true, state: "waiting", afterMs: afterMs ?? REFUSED_MS };
      }
    }
  }
  // The script could not be loaded: a newer server names it otherwise, or there is no network.
  return { sentence: "The player could not be loaded.", again: true };
}
