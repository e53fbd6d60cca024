// Players of others on a page of their own: Shaka Player and dash.js, as their packages come.

import { fileURLToPath } from "node:url";
import { base } from "./browser.mjs";

const SCRIPTS = {
  shaka: new URL("../node_modules/shaka-player/dist/shaka-player.compiled.js", import.meta.url),
  // The pages are built of the same package.
  dash: new URL(
    "../../../web-demo/node_modules/dashjs/dist/modern/umd/dash.all.min.js",
    import.meta.url,
  ),
};

/**
 * Plays an address with `shaka` or `dash` in a page of the server's origin. From the first picture on
 * `window.stalls` counts how often it waits for media; `window.wrong` keeps what the player complains of.
 */
export async function play(context, player, url) {
  const page = await context.newPage();
  await page.route("**/a-player-of-others", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: "<!doctype html><title>player</title><video id=video muted autoplay width=640></video>",
    }),
  );
  await page.goto(`${base}/a-player-of-others`);
  await page.addScriptTag({ path: fileURLToPath(SCRIPTS[player]) });
  await page.evaluate(countStalls);
  await page.evaluate(player === "shaka" ? playWithShaka : playWithDash, url);
  return page;
}

/** Waits until the picture has gone on for so many seconds, and says how it did. */
export async function plays(page, seconds, timeout = 60_000) {
  try {
    await page.waitForFunction((seconds) => window.played() >= seconds, seconds, {
      timeout,
      polling: 100,
    });
  } catch {
    const seen = await page.evaluate(() => ({
      played: window.played(),
      at: document.querySelector("#video").currentTime,
      ready: document.querySelector("#video").readyState,
      wrong: window.wrong,
    }));
    throw new Error(`waited in vain for ${seconds} s to play: ${JSON.stringify(seen)}`);
  }
  return page.evaluate(() => ({
    stalls: window.stalls,
    wrong: window.wrong,
    height: document.querySelector("#video").videoHeight,
    sound: document.querySelector("#video").webkitAudioDecodedByteCount > 0,
  }));
}

/** In the page. */
function countStalls() {
  const video = document.querySelector("#video");
  Object.assign(window, { stalls: 0, wrong: [] });
  let began = false;
  let [before, sum] = [0, 0];
  video.addEventListener("playing", () => (began = true));
  video.addEventListener("waiting", () => {
    if (began && !video.seeking) window.stalls++;
  });
  video.addEventListener("timeupdate", () => {
    const step = video.currentTime - before;
    before = video.currentTime;
    // A jump is not played.
    if (step > 0 && step < 2) sum += step;
  });
  window.played = () => sum;
}

/** In the page. */
async function playWithShaka(url) {
  window.shaka.polyfill.installAll();
  const player = new window.shaka.Player();
  window.player = player;
  player.addEventListener("error", ({ detail }) =>
    window.wrong.push(`${detail.code} ${detail.data}`),
  );
  await player.attach(document.querySelector("#video"));
  player.configure({ streaming: { lowLatencyMode: true } });
  await player.load(url);
}

/** In the page. */
function playWithDash(url) {
  const player = window.dashjs.MediaPlayer().create();
  window.player = player;
  player.updateSettings({ debug: { logLevel: 0 } });
  player.on("error", ({ error }) => window.wrong.push(`${error.code} ${error.message}`));
  player.initialize(document.querySelector("#video"), url, true);
}
