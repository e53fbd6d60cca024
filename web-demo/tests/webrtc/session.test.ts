import { expect, test } from "vitest";
import { HttpProblem } from "../../src/server/http";
import { backoffMs } from "../../src/server/status";
import { meterShare } from "../../src/source/level";
import { captureProblem } from "../../src/source/sources";
import { avoidsLoopback } from "../../src/webrtc/session";
import { verdictOf } from "../../src/webrtc/whep";

test("pauses double from half a second to eight", () => {
  expect([0, 1, 2, 3, 4, 5, 99].map(backoffMs)).toEqual([
    500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000,
  ]);
});

test("every failure of a capture is a sentence that names the device", () => {
  const names = [
    "NotAllowedError",
    "NotFoundError",
    "NotReadableError",
    "AbortError",
    "OverconstrainedError",
    "SecurityError",
    "InvalidStateError",
    "SomethingElse",
    "",
  ];
  for (const name of names) {
    expect(captureProblem(name, "camera")).toMatch(/^[A-Z].*camera.*\.$/s);
  }
  expect(captureProblem("NotAllowedError", "screen")).toMatch(/^No screen was chosen\./);
});

test("the meter is empty in silence and full at full scale", () => {
  expect(meterShare(new Float32Array(8))).toBe(0);
  expect(meterShare([1, -1, 1, -1])).toBe(1);
  expect(meterShare([0.001, -0.001])).toBeCloseTo(0, 5);
  expect(meterShare([0.0316, -0.0316])).toBeCloseTo(0.5, 2);
});

test("a browser that avoids the loopback interface is told from one behind a firewall", () => {
  const of = (...addresses: string[]) =>
    addresses.map((address) => `a=candidate:1 1 udp 99 ${address} 7000 typ host\r\n`).join("");
  const cases: [string[], string[], boolean][] = [
    [["192.0.2.7"], ["127.0.0.1"], true],
    [[], ["127.0.0.1", "::1"], true],
    [["192.0.2.7", "127.0.0.1"], ["127.0.0.1"], false],
    [["192.0.2.7"], ["192.0.2.1"], false],
    [["192.0.2.7"], ["127.0.0.1", "192.0.2.1"], false],
    [["192.0.2.7"], [], false],
  ];
  for (const [local, remote, expected] of cases) {
    expect(avoidsLoopback(of(...local), of(...remote)), `${local} to ${remote}`).toBe(expected);
  }
});

test("a server that stops is not taken for a full one, which would hand its viewers to HLS", () => {
  const closing = new HttpProblem(503, "Closing.", 2, "urn:whitewater:closing");
  expect(verdictOf(closing)).toMatchObject({ again: true, state: "waiting", afterMs: 2_000 });
  expect(verdictOf(closing).cause).toBeUndefined();
  expect(verdictOf(new HttpProblem(503, "Full.", 2, "about:blank")).cause).toBe("full");
});
