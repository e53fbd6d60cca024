import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { connect } from "../../src/events/event-source";
import type { StreamEvent } from "../../src/events/hub";

class FakeSource {
  static readonly CLOSED = 2;
  static made: FakeSource[] = [];
  readonly listeners = new Map<string, (event: { data: string }) => void>();
  onopen: () => void = () => undefined;
  onerror: () => void = () => undefined;
  readyState = 0;
  closed = false;

  constructor(readonly url: string) {
    FakeSource.made.push(this);
  }

  addEventListener(type: string, listener: (event: { data: string }) => void): void {
    this.listeners.set(type, listener);
  }

  close(): void {
    this.closed = true;
  }
}

function follow() {
  const told: StreamEvent[] = [];
  const ups: boolean[] = [];
  const source = connect(["a", "b"], {
    event: (event) => told.push(event),
    up: (up) => ups.push(up),
  });
  return { told, ups, source };
}

beforeEach(() => {
  FakeSource.made = [];
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", FakeSource);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("events come with their type, from one connection for all streams", () => {
  const { told, ups } = follow();
  const [one] = FakeSource.made;
  expect(one?.url).toBe("/api/v1/events?stream=a&stream=b");
  one?.onopen();
  one?.listeners.get("viewercount")?.({ data: '{"stream":"b","viewercount":2}' });
  expect(told).toEqual([{ type: "viewercount", stream: "b", viewercount: 2 }]);
  vi.advanceTimersByTime(60_000);
  expect(ups).toEqual([true]);
  expect(FakeSource.made).toHaveLength(1);
});

test("a connection that does not come up, or was refused, is said to be down and tried again", () => {
  const { ups, source } = follow();
  vi.advanceTimersByTime(3_500);
  expect(ups).toEqual([false]);
  const [one] = FakeSource.made;
  if (one) one.readyState = FakeSource.CLOSED;
  one?.onerror();
  vi.advanceTimersByTime(2_500);
  expect(FakeSource.made).toHaveLength(2);
  FakeSource.made[1]?.onopen();
  expect(ups.at(-1)).toBe(true);
  source.close();
  expect(FakeSource.made[1]?.closed).toBe(true);
});

test("after a sleep of the machine the connection is made anew", () => {
  const { ups } = follow();
  FakeSource.made[0]?.onopen();
  vi.setSystemTime(Date.now() + 300_000);
  vi.advanceTimersByTime(5_000);
  expect(FakeSource.made.map(({ closed }) => closed)).toEqual([true, false]);
  expect(ups).toEqual([true, false]);
});
