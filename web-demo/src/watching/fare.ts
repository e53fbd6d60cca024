// A book that keeps how a page's player fares, for its beacon: across reconnections, epochs and protocols.

import type { SessionState } from "../server/status";
import { Beacon, type Fare } from "./beacon";
import type { Player } from "./player";

/** How often and how long a picture stood still, since its connection or epoch began. */
export interface Waits {
  readonly count: number;
  readonly ms: number;
}

/** What the page knows and the player does not. */
export interface Known {
  /** From the camera to the screen. */
  readonly latencyMs?: () => number | null;
  /** Of what plays over WebRTC. */
  readonly waits?: () => Waits | null;
}

/** A sum of counts that begin anew now and then. */
export class Sum {
  private before = 0;
  private last = 0;

  /** Takes the present count, and gives the sum. */
  take(count: number): number {
    if (count < this.last) this.before += this.last;
    this.last = count;
    return this.before + count;
  }
}

/** The book of one player, with its beacon. */
export class FareBook {
  private readonly beacon: Beacon;
  private wishedAt = performance.now();
  private readonly stalls = new Sum();
  private readonly stalledMs = new Sum();
  private startupMs: number | null = null;
  private errors = 0;
  private state: SessionState = "idle";

  constructor(
    name: string,
    private readonly player: Player,
    video: HTMLVideoElement,
    private readonly known: Known = {},
  ) {
    this.beacon = new Beacon({ stream: name, read: () => this.read() });
    video.addEventListener("playing", () => this.shows());
    this.beacon.start();
  }

  /** Takes in what becomes of the player. */
  note(state: SessionState): void {
    if (state === "reconnecting" && this.state === "live") this.errors++;
    // Until the stream is there nobody waits for its picture.
    if (state === "waiting") this.wishedAt = performance.now();
    this.state = state;
  }

  /** The page is being left. */
  leave(): void {
    this.beacon.stop();
  }

  private shows(): void {
    if (this.startupMs !== null) return;
    this.startupMs = performance.now() - this.wishedAt;
    this.beacon.now();
  }

  private read(): Fare | null {
    if (this.state !== "live" && this.state !== "reconnecting") return null;
    const { protocol, segments } = this.player;
    const playback = segments?.playback;
    const figures = playback?.figures;
    const waits = figures
      ? { count: figures.stalls, ms: figures.stalledS * 1_000 }
      : (this.known.waits?.() ?? { count: 0, ms: 0 });
    // Who went back in time is late on purpose.
    const isLive = playback?.position?.following ?? true;
    return {
      protocol,
      startupMs: this.startupMs,
      latencyMs: isLive ? (this.known.latencyMs?.() ?? null) : null,
      stalls: this.stalls.take(waits.count),
      stalledMs: this.stalledMs.take(waits.ms),
      errors: this.errors,
    };
  }
}
