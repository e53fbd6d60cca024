// Simulcast layers: waiting for three of them, and switching between them.

import { activeLayers, until } from "./browser.mjs";

/** The layers of a stream as soon as there are three of different sizes. */
export function threeLayers(stream, timeout = 40_000) {
  return until(
    "three layers of different sizes",
    async () => {
      const layers = await activeLayers(stream);
      return new Set(layers.map((layer) => layer.width)).size === 3 && layers;
    },
    timeout,
  );
}

/** In the page: asks for a layer, and says after how many ms its size was shown. */
export async function switchTo({ rid, width }) {
  const from = performance.timeOrigin + performance.now();
  const response = await fetch(`${window.whitewater.session}/layer`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ rid }),
  });
  if (!response.ok) throw new Error(`layer ${rid}: ${response.status} ${await response.text()}`);
  for (;;) {
    const hit = window.reader.samples.find(
      (sample) => sample.shown >= from && sample.width === width,
    );
    if (hit) return hit.shown - from;
    if (performance.timeOrigin + performance.now() - from > 10_000) return Infinity;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
