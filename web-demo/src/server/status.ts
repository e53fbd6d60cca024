// The states that a session or a player goes through, what follows a failure, and how long it waits then. No DOM.

/** Where a session stands. `waiting` and `reconnecting` go on by themselves; `stopped` is final. */
export type SessionState = "idle" | "connecting" | "live" | "waiting" | "reconnecting" | "stopped";

/**
 * Why another way of playing may do better: the server answers but no media connection comes up, or the server
 * takes no more sessions now.
 */
export type Cause = "unconnected" | "full";

/** A state and what to tell people about it. */
export interface Status {
  readonly state: SessionState;
  /** Why, as a sentence; empty where the state says it all. */
  readonly sentence: string;
  /** In how many milliseconds the next attempt follows, where one follows. */
  readonly retryInMs?: number | undefined;
  /** What failed, where it is one of these. */
  readonly cause?: Cause | undefined;
}

/** What to do about a refused attempt. */
export interface Verdict {
  readonly sentence: string;
  /** Whether another attempt follows. */
  readonly again: boolean;
  /** The state until then. */
  readonly state?: "waiting" | "reconnecting";
  /** How long to wait, where the server said so. */
  readonly afterMs?: number | undefined;
  /** What failed, where it is one of these. */
  readonly cause?: Cause | undefined;
}

/** The pause before attempt number `attempt` (from 0): 0.5, 1, 2, 4, then 8 seconds. */
export function backoffMs(attempt: number): number {
  return Math.min(8_000, 500 * 2 ** Math.min(attempt, 10));
}
