// A clock that knows how far this machine's time is from the server's.

import { request } from "./http";

/** One question to the server's clock; all times in milliseconds since 1970. */
export interface Probe {
  readonly sentMs: number;
  readonly serverMs: number;
  readonly receivedMs: number;
}

/** Server time minus local time, and the round trip of the probe it was taken from. */
export interface Offset {
  readonly offsetMs: number;
  readonly roundTripMs: number;
}

/** This machine's time in milliseconds since 1970, with fractions and without jumps. */
export function localMs(): number {
  return performance.timeOrigin + performance.now();
}

/**
 * The offset by the probe with the shortest round trip: the error of a probe is at most half of its
 * round trip, so averaging in slower ones only makes it worse.
 */
export function bestOffset(probes: readonly Probe[]): Offset | null {
  let best: Offset | null = null;
  for (const { sentMs, serverMs, receivedMs } of probes) {
    const roundTripMs = receivedMs - sentMs;
    if (roundTripMs < 0 || !Number.isFinite(serverMs)) continue;
    if (best && best.roundTripMs <= roundTripMs) continue;
    best = { offsetMs: serverMs - (sentMs + receivedMs) / 2, roundTripMs };
  }
  return best;
}

/** Asks `/time` a few times, and again every minute while it is used. */
export class ServerClock {
  private offset: Offset | null = null;
  private askedAtMs = -Infinity;

  constructor(
    private readonly url = "/time",
    private readonly probes = 5,
  ) {}

  /** The present offset; `null` until the server has answered. */
  get current(): Offset | null {
    if (performance.now() - this.askedAtMs > 60_000) void this.sync();
    return this.offset;
  }

  /** Measures anew. Keeps the old offset where the server does not answer. */
  async sync(): Promise<void> {
    this.askedAtMs = performance.now();
    const probes: Probe[] = [];
    for (let i = 0; i < this.probes; i++) {
      try {
        const sentMs = localMs();
        const response = await request(this.url, { cache: "no-store" }, 3_000);
        const receivedMs = localMs();
        const body = (await response.json()) as { unix_ms?: unknown };
        if (typeof body.unix_ms !== "number") continue;
        probes.push({ sentMs, serverMs: body.unix_ms, receivedMs });
      } catch {
        break;
      }
    }
    this.offset = bestOffset(probes) ?? this.offset;
    // Without any answer yet a minute would be long.
    if (this.offset === null) this.askedAtMs = performance.now() - 58_000;
  }
}
