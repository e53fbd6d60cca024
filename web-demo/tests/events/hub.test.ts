import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Connect, type FromHub, Hub, type StreamEvent, type Tab } from "../../src/events/hub";

/** The connections that a hub opened, and whether they are still open. */
function connections() {
  const made: { streams: readonly string[]; open: boolean; on: Parameters<Connect>[1] }[] = [];
  const connect: Connect = (streams, on) => {
    const one = { streams, open: true, on };
    made.push(one);
    return { close: () => void (one.open = false) };
  };
  return { made, connect };
}

function tab(): Tab & { said: FromHub[]; events: () => string[] } {
  const said: FromHub[] = [];
  return {
    said,
    postMessage: (message) => void said.push(message),
    events: () => said.flatMap((one) => ("event" in one ? [one.event.type] : [])),
  };
}

const settle = () => vi.advanceTimersByTime(100);
const event = (type: StreamEvent["type"], stream: string): StreamEvent => ({ type, stream });

describe("the hub", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("eight tabs of three streams share one connection", () => {
    const { made, connect } = connections();
    const hub = new Hub(connect);
    for (let i = 0; i < 8; i++) hub.hear(tab(), { follow: [["a", "b", "c"][i % 3] ?? ""] });
    settle();
    expect(made.map(({ streams }) => streams)).toEqual([["a", "b", "c"]]);
  });

  test("each tab is told of its own stream alone", () => {
    const { made, connect } = connections();
    const hub = new Hub(connect);
    const [one, other] = [tab(), tab()];
    hub.hear(one, { follow: ["a"] });
    hub.hear(other, { follow: ["b"] });
    settle();
    made[0]?.on.up(true);
    made[0]?.on.event(event("active", "a"));
    expect(one.events()).toEqual(["active"]);
    expect(other.events()).toEqual([]);
    expect(one.said.at(-2)).toEqual({ up: true });
  });

  test("who follows whatever is live hears of all, and what is over is forgotten", () => {
    const { made, connect } = connections();
    const hub = new Hub(connect);
    const [all, one] = [tab(), tab()];
    hub.hear(all, { follow: ["*"] });
    hub.hear(one, { follow: ["a"] });
    settle();
    expect(made.map(({ streams }) => streams)).toEqual([["*", "a"]]);
    made[0]?.on.up(true);
    for (const stream of ["a", "b", "c"]) made[0]?.on.event(event("active", stream));
    made[0]?.on.event(event("inactive", "b"));
    made[0]?.on.event(event("inactive", "a"));
    expect(all.events()).toEqual(["active", "active", "active", "inactive", "inactive"]);
    expect(one.events()).toEqual(["active", "inactive"]);
    const late = tab();
    hub.hear(late, { follow: ["*"] });
    expect(late.said.flatMap((it) => ("event" in it ? [it.event] : []))).toEqual([
      event("inactive", "a"),
      event("active", "c"),
    ]);
  });

  test("a tab that comes later learns how its stream stands without a new connection", () => {
    const { made, connect } = connections();
    const hub = new Hub(connect);
    hub.hear(tab(), { follow: ["a"] });
    settle();
    made[0]?.on.up(true);
    for (const type of ["active", "layers", "reconnect", "lost", "viewercount"] as const) {
      made[0]?.on.event(event(type, "a"));
    }
    const late = tab();
    hub.hear(late, { follow: ["a"] });
    settle();
    expect(late.said[0]).toEqual({ up: true });
    expect(late.events().sort()).toEqual(["layers", "lost", "viewercount"]);
    expect(made).toHaveLength(1);
  });

  test("another stream is another connection, and the old one is closed", () => {
    const { made, connect } = connections();
    const hub = new Hub(connect);
    const first = tab();
    hub.hear(first, { follow: ["a"] });
    settle();
    const second = tab();
    hub.hear(second, { follow: ["b"] });
    settle();
    expect(made.map(({ streams, open }) => [streams.join(), open])).toEqual([
      ["a", false],
      ["a,b", true],
    ]);
    made[0]?.on.event(event("lost", "a"));
    expect(first.events()).toEqual([]);
    hub.hear(second, { follow: [] });
    hub.hear(first, { follow: [] });
    settle();
    expect(made.map(({ open }) => open)).toEqual([false, false]);
  });

  test("a reload keeps the connection", () => {
    const { made, connect } = connections();
    const hub = new Hub(connect);
    const before = tab();
    hub.hear(before, { follow: ["a"] });
    settle();
    hub.hear(before, { follow: [] });
    hub.hear(tab(), { follow: ["a"] });
    settle();
    expect(made).toHaveLength(1);
    expect(made[0]?.open).toBe(true);
  });

  test("a tab that does not answer any more is forgotten, a living one is not", () => {
    const { made, connect } = connections();
    const hub = new Hub(connect);
    const dead = tab();
    const living: Tab = {
      postMessage: (message) => void ("ask" in message && hub.hear(living, { follow: ["a"] })),
    };
    hub.hear(dead, { follow: ["b"] });
    hub.hear(living, { follow: ["a"] });
    settle();
    vi.advanceTimersByTime(200_000);
    expect(made.map(({ streams, open }) => [streams.join(), open])).toEqual([
      ["a,b", false],
      ["a", true],
    ]);
    // It slept, and answers late: it is back.
    hub.hear(dead, { follow: ["b"] });
    settle();
    expect(made.at(-1)?.streams).toEqual(["a", "b"]);
  });

  test("what is down is said, and what stood is not repeated from before", () => {
    const { made, connect } = connections();
    const hub = new Hub(connect);
    const one = tab();
    hub.hear(one, { follow: ["a"] });
    settle();
    made[0]?.on.up(true);
    made[0]?.on.event(event("active", "a"));
    made[0]?.on.up(false);
    expect(one.said.at(-1)).toEqual({ up: false });
    const late = tab();
    hub.hear(late, { follow: ["a"] });
    expect(late.said).toEqual([{ up: false }]);
  });

  test("more streams than one connection may name are left to their tabs", () => {
    const { made, connect } = connections();
    const hub = new Hub(connect);
    const tabs = Array.from({ length: 70 }, () => tab());
    tabs.forEach((each, i) => hub.hear(each, { follow: [`s${String(i).padStart(2, "0")}`] }));
    settle();
    made[0]?.on.up(true);
    expect(made[0]?.streams).toHaveLength(64);
    expect(tabs[0]?.said.at(-1)).toEqual({ up: true });
    expect(tabs[69]?.said.at(-1)).toEqual({ up: false });
  });
});
