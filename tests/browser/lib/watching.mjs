// What a viewer of HLS or DASH does in the watch page, and how late its picture is.

import assert from "node:assert/strict";
import {
  forget,
  newPicture,
  publish,
  samples,
  until,
  waitClocks,
  waitLive,
  watch,
} from "./browser.mjs";
import { median } from "./figures.mjs";

/** The median age of the next thirty readable frames. */
export async function ageNow(viewer) {
  await forget(viewer);
  const taken = await waitClocks(viewer, 30);
  return median(taken.map(({ age }) => age).filter((age) => age !== null));
}

/** The qualities of the page's menu, as soon as it has some; the first one is left to the network. */
export async function qualitiesOf(viewer) {
  await viewer.waitForFunction(() => document.querySelectorAll("#layers input").length > 2);
  const qualities = await viewer.$$eval("#layers input", (inputs) => inputs.map((i) => i.value));
  assert.equal(qualities[0], "", "the first choice is left to the network");
  return qualities;
}

/** Chooses a quality by the page's menu, and says after how many ms its size was on the screen. */
export async function changeQuality(viewer, key, timeout) {
  const from = Date.now();
  await viewer.check(`#layers input[value="${key}"]`);
  const shown = (height) => document.querySelector("#video").videoHeight === height;
  await viewer.waitForFunction(shown, Number.parseInt(key), { timeout });
  return Date.now() - from;
}

/** Goes back by the keyboard as soon as there is enough to go back in, and says how old the picture is then. */
export async function lookBack(viewer) {
  const window = () => Number(document.querySelector("#seek").max);
  await until("a window to go back in", async () => (await viewer.evaluate(window)) >= 14, 60_000);
  await viewer.focus("#seek");
  await viewer.keyboard.press("ArrowLeft");
  await viewer.keyboard.press("ArrowLeft");
  const back = await until("a picture of the past", async () => {
    const last = (await samples(viewer)).filter(({ age }) => age !== null).at(-1);
    return last?.age > 9_000 && last.age;
  });
  assert.match(await viewer.textContent("#behind"), /^\d+ s behind live$/);
  return back;
}

/**
 * Watches a stream before it is live, and goes on while its publisher reloads the page. Says after how many ms the
 * first picture showed, and the first one of the other session.
 */
export async function throughReload(browser, stream, { options, settings }) {
  const viewer = await watch(await browser.context(), stream, options);
  await viewer.waitForFunction(() => window.whitewater.state === "waiting");
  assert.match(await viewer.textContent("#state"), /Not live yet/);
  let from = Date.now();
  const publisher = await publish(await browser.context(), stream, settings);
  const firstMs = (await newPicture(viewer)) - from;
  await waitClocks(viewer, 60);
  from = Date.now();
  await publisher.reload();
  await waitLive(publisher);
  const backMs = (await newPicture(viewer)) - from;
  return { viewer, publisher, firstMs, backMs };
}
