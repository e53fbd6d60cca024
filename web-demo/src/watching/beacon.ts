// A beacon that says how a player fares, so that the server counts viewers whom a cache hides from it.
//
//     const beacon = new Beacon({ stream: "demo", read: () => ({ protocol: "hls", startupMs, … }) });
//     beacon.start();
//     addEventListener("pagehide", () => beacon.stop());
//
// It speaks every ten seconds, soon after the first picture, and when it is stopped. Needs: ../server/token.ts, and
// the types of protocol.ts.

import { addressed } from "../server/token";
import type { Protocol } from "./protocol";

/** How a player fares. Counts are since it began. */
export interface Fare {
  readonly protocol: Protocol;
  /** From the wish to play to the first picture; `null` before it. */
  readonly startupMs: number | null;
  /** From the camera to the screen; `null` where it is not known, or the viewer is not live. */
  readonly latencyMs: number | null;
  readonly stalls: number;
  readonly stalledMs: number;
  readonly errors: number;
}

/** What is played, and how it fares; `null` while nothing plays. */
export interface BeaconOptions {
  readonly stream: string;
  readonly read: () => Fare | null;
  /** Where it speaks to. */
  readonly url?: string;
  /** How it is sent. */
  readonly send?: (url: string, body: string) => void;
}

/** So often it speaks. */
export const SPEAK_EVERY_MS = 10_000;

/** A beacon of one player. */
export class Beacon {
  private readonly player = randomName();
  private speaking: ReturnType<typeof setInterval> | undefined;
  private spoke = false;
  private protocol: Protocol = "hls";

  constructor(private readonly options: BeaconOptions) {}

  /** Speaks from now on. */
  start(): void {
    this.speaking ??= setInterval(() => this.speak(false), SPEAK_EVERY_MS);
  }

  /** Speaks at once: the first picture is there, or it plays another way. */
  now(): void {
    if (this.speaking !== undefined) this.speak(false);
  }

  /** Says goodbye. */
  stop(): void {
    clearInterval(this.speaking);
    this.speaking = undefined;
    if (this.spoke) this.speak(true);
    this.spoke = false;
  }

  private speak(ended: boolean): void {
    const fare = this.options.read();
    // Who neither plays nor has played is nobody's viewer.
    if (fare === null && !this.spoke) return;
    const { url = "/api/v1/beacon", send = post, stream } = this.options;
    this.protocol = fare?.protocol ?? this.protocol;
    const about = { stream, player: this.player, protocol: this.protocol };
    send(addressed(url), bodyOf(about, fare, ended || fare === null));
    this.spoke = fare !== null;
  }
}

/** What is sent. */
export function bodyOf(
  about: { readonly stream: string; readonly player: string; readonly protocol: Protocol },
  fare: Fare | null,
  ended: boolean,
): string {
  const whole = (ms: number | null | undefined) =>
    ms === null || ms === undefined ? undefined : Math.max(0, Math.round(ms));
  return JSON.stringify({
    ...about,
    startup_ms: whole(fare?.startupMs),
    latency_ms: whole(fare?.latencyMs),
    stalls: fare?.stalls,
    stalled_ms: whole(fare?.stalledMs),
    errors: fare?.errors,
    ended,
  });
}

/** Sends it so that a page that is being left does not take it back. */
function post(url: string, body: string): void {
  if (navigator.sendBeacon?.(url, body)) return;
  fetch(url, { method: "POST", body, keepalive: true }).catch(() => undefined);
}

function randomName(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
