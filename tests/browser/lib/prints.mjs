// Fingerprints of displayed frames: two viewers of one stream show the same frames, each at its own time.

/** In the page: notes the fingerprint of every frame that is displayed, and when. */
export function watchPrints() {
  const video = document.querySelector("#video");
  const [width, height] = [64, 36];
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  window.prints = [];
  const onframe = () => {
    video.requestVideoFrameCallback(onframe);
    const shown = performance.timeOrigin + performance.now();
    context.drawImage(video, 0, 0, width, height);
    let print = 0;
    const { data } = context.getImageData(0, 0, width, height);
    for (let i = 0; i < data.length; i += 4) print = (Math.imul(print, 31) + data[i + 1]) | 0;
    window.prints.push({ print, shown });
  };
  video.requestVideoFrameCallback(onframe);
}

/** How much later than in `reference` each frame of `other` was displayed, in ms. Looped content repeats its frames: the nearest one counts. */
export function behindMs(reference, other) {
  const times = new Map();
  for (const { print, shown } of reference) {
    times.set(print, [...(times.get(print) ?? []), shown]);
  }
  return other.flatMap(({ print, shown }) => {
    const distances = (times.get(print) ?? []).map((time) => shown - time);
    distances.sort((a, b) => Math.abs(a) - Math.abs(b));
    return distances.slice(0, 1);
  });
}
