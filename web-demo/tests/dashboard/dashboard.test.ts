import { describe, expect, test, vi } from "vitest";
import { Admin, NotAllowed, type Session, whyNot } from "../../src/dashboard/admin";
import { layerText, matches, percentText, tripText } from "../../src/dashboard/session-table";

function session(of: Partial<Session> = {}): Session {
  return {
    id: "0f3c",
    stream: "show",
    side: "watch",
    state: "connected",
    address: "192.0.2.7",
    transport: "udp",
    uptime_ms: 1_000,
    expires_in_s: null,
    bitrate_in_bps: 0,
    bitrate_out_bps: 1_000_000,
    loss: null,
    round_trip_ms: null,
    tracks: [],
    ...of,
  };
}

function watching(rid: string | null, temporal: number | null, automatic: boolean): Session {
  const layer = { rid, spatial_layer_id: null, temporal_layer_id: temporal, automatic };
  const track = { kind: "video", codec: "H264", bitrate_bps: 1, loss: null, rids: [] } as const;
  return session({ tracks: [{ ...track, layer }] });
}

describe("the dashboard", () => {
  test("says which layer a viewer gets, and who chose it", () => {
    expect(layerText(session())).toBe("–");
    expect(layerText(watching("h", null, true))).toBe("h");
    expect(layerText(watching("l", null, false))).toBe("l (chosen)");
    expect(layerText(watching(null, 1, true))).toBe("single T1");
  });

  test("finds sessions by all words of a filter", () => {
    const one = watching("h", null, true);
    for (const filter of ["", "show", "SHO watch", "192.0.2 h.264", "udp connected", "0f3c"]) {
      expect(matches(one, filter), filter).toBe(true);
    }
    for (const filter of ["other", "show publishes", "tcp"]) {
      expect(matches(one, filter), filter).toBe(false);
    }
  });

  test("tells what is not known from nothing", () => {
    expect([percentText(null), percentText(0), percentText(0.0123)]).toEqual([
      "–",
      "0.0 %",
      "1.2 %",
    ]);
    expect([tripText(null), tripText(1.26), tripText(41.6)]).toEqual(["–", "1.3 ms", "42 ms"]);
  });

  test("says what to do about a token", () => {
    expect(whyNot(401, false)).toMatch(/asks for/);
    expect(whyNot(401, true)).toMatch(/expired/);
    expect(whyNot(403, true)).toMatch(/--admin/);
    expect(whyNot(404, true)).toBeNull();
  });
});

test("a recording that has gone on for long is found behind those that began later", async () => {
  const one = (stream: string, state: string) => ({ id: `of-${stream}`, stream, state });
  const pages: Record<string, unknown> = {
    "limit=100": { items: [one("a", "recording"), one("b", "ready")], next: "of-b" },
    "limit=1&stream=c": { items: [one("c", "recording")], next: null },
    "limit=1&stream=d": { items: [], next: null },
  };
  vi.stubGlobal("fetch", async (url: string) => Response.json(pages[url.split("?")[1] ?? ""]));
  const admin = new Admin(null);
  expect([...(await admin.recorded(["a", "b", "c", "d"]))]).toEqual([
    ["a", "of-a"],
    ["c", "of-c"],
  ]);
  vi.stubGlobal("fetch", async () => new Response("", { status: 409 }));
  expect((await admin.recorded(["a"])).size).toBe(0);
  vi.stubGlobal("fetch", async () => new Response("", { status: 401 }));
  await expect(admin.recorded(["a"])).rejects.toBeInstanceOf(NotAllowed);
  vi.unstubAllGlobals();
});
