import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Connect, type FromHub, type StreamEvent } from "../../src/events/hub";
import { type Means, Relay } from "../../src/events/relay";

/** A browser: its channel, its lock, and the connections that its hubs opened. */
function browser() {
  type End = { onmessage: ((event: MessageEvent) => void) | null };
  const ends = new Set<End>();
  const waiting: { work: () => Promise<void>; signal: AbortSignal }[] = [];
  let busy = false;
  const next = () => {
    const first = waiting.findIndex(({ signal }) => !signal.aborted);
    const one = busy || first < 0 ? undefined : waiting.splice(0, first + 1)[first];
    if (!one) return;
    busy = true;
    void one.work().then(() => {
      busy = false;
      next();
    });
  };
  const made: { streams: readonly string[]; open: boolean; on: Parameters<Connect>[1] }[] = [];
  const means: Means = {
    channel: () => {
      const end: End & { postMessage(data: unknown): void; close(): void } = {
        onmessage: null,
        postMessage: (data) => {
          for (const other of [...ends]) {
            if (other !== end) other.onmessage?.({ data } as MessageEvent);
          }
        },
        close: () => void ends.delete(end),
      };
      ends.add(end);
      return end as unknown as BroadcastChannel;
    },
    alone: (work, signal) => {
      waiting.push({ work, signal });
      next();
      return Promise.resolve();
    },
    connect: (streams, on) => {
      const one = { streams, open: true, on };
      made.push(one);
      return { close: () => void (one.open = false) };
    },
  };
  const tab = (stream: string) => {
    const relay = new Relay(means);
    const said: FromHub[] = [];
    relay.onmessage = ({ data }) => void said.push(data);
    relay.postMessage({ follow: [stream] });
    return { relay, said };
  };
  return { made, tab, open: () => made.filter((one) => one.open) };
}

const settle = () => vi.advanceTimersByTimeAsync(100);
const event = (type: StreamEvent["type"], stream: string): StreamEvent => ({ type, stream });

describe("tabs without a shared worker", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("one of them connects, for all, and each hears of its own stream", async () => {
    const { made, tab, open } = browser();
    const [one, other] = [tab("a"), tab("b")];
    await settle();
    expect(open().map(({ streams }) => streams)).toEqual([["a", "b"]]);
    made.at(-1)?.on.up(true);
    made.at(-1)?.on.event(event("active", "b"));
    expect(one.said.at(-1)).toEqual({ up: true });
    expect(other.said.at(-1)).toEqual({ event: event("active", "b") });
  });

  test("when it is closed the next in line takes over, and all go on hearing", async () => {
    const { made, tab, open } = browser();
    const [first, second, third] = [tab("a"), tab("b"), tab("a")];
    await settle();
    first.relay.postMessage({ follow: [] });
    first.relay.close();
    await settle();
    expect(open().map(({ streams }) => streams)).toEqual([["a", "b"]]);
    made.at(-1)?.on.up(true);
    made.at(-1)?.on.event(event("lost", "a"));
    expect(second.said.at(-1)).toEqual({ up: true });
    expect(third.said.at(-1)).toEqual({ event: event("lost", "a") });
    expect(first.said).not.toContainEqual({ event: event("lost", "a") });
  });

  test("one that is frozen gives the connection away and hears through the other's", async () => {
    const { made, tab, open } = browser();
    const [first] = [tab("a"), tab("a")];
    await settle();
    first.relay.resign();
    await settle();
    expect(made.map((one) => one.open)).toEqual([false, true]);
    first.relay.stand();
    await settle();
    expect(open()).toHaveLength(1);
    made.at(-1)?.on.event(event("active", "a"));
    expect(first.said.at(-1)).toEqual({ event: event("active", "a") });
  });

  test("who leaves the queue is never asked to serve", async () => {
    const { tab, open } = browser();
    const [first, second, third] = [tab("a"), tab("b"), tab("c")];
    await settle();
    second.relay.close();
    first.relay.postMessage({ follow: [] });
    first.relay.close();
    await settle();
    expect(open()).toHaveLength(1);
    third.relay.close();
    await settle();
    expect(open()).toHaveLength(0);
  });
});
