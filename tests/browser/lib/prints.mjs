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

/**
 * How much later than in `reference` each frame of `other` was displayed, in ms. Content that repeats every
 * `period` tells the distance to a multiple of it: the least one counts.
 */
export function behindMs(reference, other, period) {
  const times = new Map(reference.map(({ print, shown }) => [print, shown]));
  return other.flatMap(({ print, shown }) => {
    const time = times.get(print);
    if (time === undefined) return [];
    const distance = shown - time;
    return [distance - Math.round(distance / period) * period];
  });
}
