// The dashboard: a real server with a real session, a thousand sessions of a mocked API, and what goes wrong.

import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { publish, uniqueName, until, watch } from "./lib/browser.mjs";
import { print, quantile, tenth } from "./lib/figures.mjs";
import { guarded } from "./lib/guarded.mjs";

const SESSIONS = 1_000;

describe("the dashboard", () => {
  const suite = guarded();
  const { token } = suite;
  const shoot = async (page, name) => {
    if (process.env.SCREENSHOTS) {
      await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), fullPage: true });
    }
  };
  const says = (page, selector, pattern) =>
    until(`${selector} to say ${pattern}`, async () =>
      pattern.test((await page.textContent(selector)) ?? ""),
    );

  test("shows a session, chooses its layer, asks for a keyframe, ends it and the stream", async () => {
    const stream = uniqueName("dash");
    const context = await suite.browser.context();
    const may = token("--stream", stream, "--publish", "--watch");
    await publish(context, stream, { codec: "VP8", token: may });
    await watch(context, stream, { query: `#token=${may}` });

    const page = await (await suite.browser.context()).newPage();
    const problems = [];
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("console", (line) => line.type() === "error" && problems.push(line.text()));
    await page.goto(`${suite.server.url}/dashboard#token=${token("--admin")}`);
    await says(page, "#count", /^2 sessions$/);
    assert.equal(page.url(), `${suite.server.url}/dashboard`, "the token leaves the address");
    await page.locator(".session", { hasText: "watches" }).focus();
    await page.keyboard.press("Enter");
    await says(page, "#session .facts", /connected.*UDP/);
    const rid = await page.locator("#session option").nth(1).getAttribute("value");
    await page.selectOption("#session select", rid);
    await page.click("#session form button");
    await says(page, "#session [role=status]", /from now on/);
    await says(page, "#session .facts", new RegExp(`${rid} \\(chosen\\)`));
    await page.click("#session button:has-text('keyframe')");
    await says(page, "#session [role=status]", /asked/);
    await says(page, "#session .facts", /Loss\d+\.\d %/);
    await shoot(page, "session");

    await page.click("#session button:has-text('End')");
    await page.keyboard.press("Escape");
    await says(page, "#count", /^2 sessions$/);
    await page.click("#session button:has-text('End')");
    await page.click("#confirm button:has-text('End')");
    // The watch page comes back by itself: it may.
    await until("the session to end", () => suite.server.log().includes("ended by an administrator"));
    await until("charts", async () => (await page.locator(".charts canvas").count()) === 4);
    await shoot(page, "live");
    await page.click("#streams button:has-text('End')");
    await page.click("#confirm button:has-text('End')");
    await says(page, "#streams", /It has ended|away/);
    assert.deepEqual(problems, []);
  });

  test("tells what to do about a token, and comes back after the server", async () => {
    const context = await suite.browser.context();
    const page = await context.newPage();
    await page.goto(`${suite.server.url}/dashboard`);
    await says(page, "#state", /asks for an administrator/);
    const enter = async (text) => {
      await page.fill("#token", text);
      await page.press("#token", "Enter");
    };
    await enter(token("--stream", "a", "--watch"));
    await says(page, "#sign-in-problem", /--admin/);
    await enter("nonsense");
    await says(page, "#sign-in-problem", /expired, or is not of this server/);
    await shoot(page, "sign-in");
    await enter(token("--admin"));
    await says(page, "#state", /Connected/);
    await page.reload();
    await says(page, "#state", /Connected/);

    await context.setOffline(true);
    await says(page, "#state", /cannot be reached.*Trying again/);
    await context.setOffline(false);
    await says(page, "#state", /Connected/);
  });

  test("moves a thousand sessions without stutter, on a desk and on a phone", async () => {
    const page = await (await suite.browser.context()).newPage();
    await mock(page);
    await page.goto(`${suite.server.url}/dashboard#token=x`);
    await says(page, "#count", /^1000 sessions$/);
    assert.ok((await page.locator(".rows .session").count()) < 60, "rows that nobody sees");
    const many = await page.evaluate(scroll, 3_000);
    await page.fill("#filter", "stream-99");
    await says(page, "#count", /^11 of 1000/);
    await page.fill("#filter", "stream-9");
    await says(page, "#count", /^111 of 1000/);
    const few = await page.evaluate(scroll, 2_000);
    await page.fill("#filter", "");
    await says(page, "#count", /^1000 sessions$/);
    const at = (values, share) => tenth(quantile(values, share));
    const figures = {
      sessions: SESSIONS,
      frames: many.frames.length,
      frame_p50_ms: at(many.frames, 0.5),
      frame_p99_ms: at(many.frames, 0.99),
      work_p50_ms: at(many.work, 0.5),
      work_p50_ms_of_111: at(few.work, 0.5),
    };
    print("dashboard", figures);
    assert.ok(
      figures.frame_p50_ms < 25,
      `half of the frames take less than 25 ms: ${figures.frame_p50_ms}`,
    );
    const usual = 1.5 * figures.work_p50_ms_of_111 + 2;
    assert.ok(figures.work_p50_ms < usual, "a frame costs what it costs with few sessions");

    await page.locator(".rows .session:not([hidden])").first().focus();
    await page.keyboard.press("End");
    await until("the last row", () =>
      page.evaluate(() => document.activeElement?.textContent?.includes("stream-999")),
    );
    // One of the eleven is stream-125, which goes over TCP.
    await page.fill("#filter", "stream-12 udp");
    await says(page, "#count", /^10 of 1000/);
    await page.fill("#filter", "");
    await shoot(page, "desk-light");
    await page.emulateMedia({ colorScheme: "dark" });
    await shoot(page, "desk-dark");
    await page.setViewportSize({ width: 390, height: 844 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${wide} px stand out on a phone`);
    const cut = await page.evaluate(() =>
      [...document.querySelectorAll(".rows .session:not([hidden]) > :not(.stream)")]
        .filter((cell) => cell.scrollWidth > cell.clientWidth)
        .map((cell) => cell.textContent),
    );
    assert.deepEqual(cut, [], "states and numbers are whole on a phone");
    await shoot(page, "phone");
    await page.goto(`${suite.server.url}/api/v1/docs`);
    await says(page, "#operations", /\/api\/v1\/sessions\/\{session\}\/layer/);
    await page.click("summary:has-text('/layer')");
    await shoot(page, "reference");
  });
});

/** Answers of an API with many sessions, which change with each request. */
async function mock(page) {
  let turn = 0;
  const json = (route, body) => route.fulfill({ json: body });
  const session = (index) => ({
    id: `id-${index}`,
    stream: `stream-${index}`,
    side: index % 20 === 0 ? "publish" : "watch",
    state: ["connected", "connecting", "silent"][index % 3],
    address: `192.0.2.${index % 250}`,
    transport: index % 9 === 8 ? "tcp" : "udp",
    uptime_ms: 60_000 + turn * 2_000,
    expires_in_s: null,
    bitrate_in_bps: 0,
    bitrate_out_bps: 1_000_000 + ((index * 37 + turn * 91) % 1_000) * 1_000,
    loss: ((index + turn) % 30) / 1_000,
    round_trip_ms: 20 + (index % 60),
    tracks: [],
  });
  const ramp = (of) => Array.from({ length: 180 }, (_, at) => of(at));
  await page.route("**/api/v1/streams", (route) => json(route, []));
  await page.route("**/api/v1/recordings?*", (route) => json(route, { items: [], next: null }));
  await page.route("**/api/v1/sessions?*", (route) => {
    turn += 1;
    return json(
      route,
      Array.from({ length: SESSIONS }, (_, index) => session(index)),
    );
  });
  await page.route("**/api/v1/history", (route) =>
    json(route, {
      interval_s: 5,
      at_unix_ms: ramp((at) => Date.now() - (180 - at) * 5_000),
      streams: ramp(() => 50),
      viewers: { whep: ramp((at) => 800 + at), hls: ramp((at) => 300 - at), dash: ramp(() => 20) },
      bitrate_in_bps: ramp(() => 1e8),
      bitrate_out_bps: ramp((at) => 1e9 + at * 1e6),
      loss: ramp((at) => (at % 40 === 0 ? 0.03 : 0.002)),
      layers: Array.from({ length: 24 }, (_, layer) => ({
        stream: `stream-${layer * 20}`,
        kind: "video",
        rid: "h",
        bitrate_bps: ramp((at) => 2e6 + layer * 1e5 + Math.sin(at / 9 + layer) * 2e5),
      })),
      shards: [0, 1, 2, 3].map((shard) => ramp((at) => 0.3 + shard / 10 + Math.sin(at / 7) / 20)),
    }),
  );
}

/** Scrolls the table for a while: how long each frame took, and what it cost from its begin until it was painted. */
async function scroll(forMs) {
  const rows = document.querySelector(".rows");
  const [frames, work] = [[], []];
  const painted = new MessageChannel();
  const frame = () =>
    new Promise((resolve) => {
      requestAnimationFrame((now) => {
        const began = performance.now();
        painted.port1.onmessage = () => resolve([now, performance.now() - began]);
        painted.port2.postMessage(null);
      });
    });
  const end = performance.now() + forMs;
  let [last] = await frame();
  let step = 130;
  while (last < end) {
    rows.scrollTop += step;
    if (rows.scrollTop <= 0 || rows.scrollTop + rows.clientHeight >= rows.scrollHeight)
      step = -step;
    const [now, cost] = await frame();
    frames.push(now - last);
    work.push(cost);
    last = now;
  }
  return { frames, work };
}
