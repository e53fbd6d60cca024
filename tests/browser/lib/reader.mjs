// A reader that takes the pattern's clock from the pixels of a playing video. It runs inside the page.
//
// The pattern carries, along its lower edge, two rows of twenty black or white blocks: 32 bits of time in
// 0.1 ms (milliseconds since 1970, times ten, modulo 2^32), then a CRC-8 of those four bytes, polynomial 0x07, xored with 0x55.
// This is written anew here, so that the tests do not merely agree with the page that draws it.

/** Installs `window.readPattern`. Passed to `addInitScript`, so it must not use anything outside itself. */
export function installReader() {
  const columns = 20;
  const rows = 2;
  const rowShare = 0.09;
  const block = 8;

  const crc8 = (bytes) => {
    let crc = 0;
    for (const byte of bytes) {
      for (let bit = 7; bit >= 0; bit--) {
        const out = (crc >> 7) ^ ((byte >> bit) & 1);
        crc = (crc << 1) & 255;
        if (out) crc ^= 7;
      }
    }
    return crc ^ 0x55;
  };

  const decode = (pixels, width) => {
    const bytes = [0, 0, 0, 0, 0];
    for (let i = 0; i < columns * rows; i++) {
      const left = (i % columns) * block;
      const top = Math.floor(i / columns) * block;
      let sum = 0;
      for (let y = 2; y < 6; y++) {
        for (let x = 2; x < 6; x++) sum += pixels[((top + y) * width + left + x) * 4 + 1];
      }
      bytes[i >> 3] = bytes[i >> 3] * 2 + (sum > 128 * 16 ? 1 : 0);
    }
    const [a, b, c, d, sum] = bytes;
    return crc8([a, b, c, d]) === sum ? ((a << 24) | (b << 16) | (c << 8) | d) >>> 0 : null;
  };

  /**
   * Reads every frame that `video` shows from now on. Each sample: when it was shown (milliseconds since 1970),
   * the pattern's time or null, its age in ms, its size, and whether the flash square is white.
   */
  window.readPattern = (video) => {
    const canvas = document.createElement("canvas");
    canvas.width = columns * block;
    canvas.height = rows * block;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const samples = [];
    const reader = { samples, running: true };
    const onframe = (now, { width, height }) => {
      if (!reader.running) return;
      video.requestVideoFrameCallback(onframe);
      const shown = performance.timeOrigin + performance.now();
      const [w, h] = [video.videoWidth, video.videoHeight];
      const strip = rows * rowShare;
      context.drawImage(video, 0, (1 - strip) * h, w, strip * h, 0, 0, canvas.width, canvas.height);
      const time = decode(
        context.getImageData(0, 0, canvas.width, canvas.height).data,
        canvas.width,
      );
      context.drawImage(video, 0.82 * w, 0.3 * h, 0.08 * w, 0.16 * h, 0, 0, 4, 4);
      const flash = context.getImageData(1, 1, 1, 1).data[1] > 128;
      const age = time === null ? null : ((Math.floor(shown * 10) - time) | 0) / 10;
      samples.push({ shown, time, age, width, height, flash });
    };
    video.requestVideoFrameCallback(onframe);
    return reader;
  };
}

/** Milliseconds from one pattern time to another. */
export function elapsedMs(from, to) {
  return ((to - from) | 0) / 10;
}
