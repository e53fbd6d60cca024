// The machine-readable strip of the test pattern: a time and its checksum as black and white blocks.
//
// The strip lies along the lower edge of the picture, two rows of twenty blocks. Read by rows, most
// significant bit first, it holds 32 bits of time in units of 0.1 ms (milliseconds since 1970, times ten,
// modulo 2^32) and a CRC-8 of those four bytes (polynomial 0x07, start 0, xored with 0x55: a black picture is
// no time). White is one.

/** Blocks in a row. */
export const STRIP_COLUMNS = 20;
/** Rows of blocks. */
export const STRIP_ROWS = 2;
/** The height of one row as a share of the picture's height. */
export const STRIP_ROW_HEIGHT = 0.09;

/** Units of the strip's clock: tenths of a millisecond, modulo 2^32. */
export function stripTime(unixMs: number): number {
  return Math.floor(unixMs * 10) % 2 ** 32;
}

/** The forty bits of a time. */
export function encodeStrip(time: number): boolean[] {
  const bytes = [time >>> 24, (time >>> 16) & 255, (time >>> 8) & 255, time & 255];
  bytes.push(crc8(bytes));
  return bytes.flatMap((byte) => [7, 6, 5, 4, 3, 2, 1, 0].map((bit) => ((byte >> bit) & 1) === 1));
}

/** The time that forty bits say, or `null` where the checksum does not fit. */
export function decodeStrip(bits: readonly boolean[]): number | null {
  if (bits.length !== 40) return null;
  const bytes = [0, 1, 2, 3, 4].map((byte) =>
    bits.slice(byte * 8, byte * 8 + 8).reduce((sum, bit) => sum * 2 + (bit ? 1 : 0), 0),
  );
  const [a = 0, b = 0, c = 0, d = 0, sum] = bytes;
  if (crc8([a, b, c, d]) !== sum) return null;
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

/** Milliseconds from one strip time to a later one, across the wrap of the clock (every five days). */
export function stripElapsedMs(from: number, to: number): number {
  return ((to - from) | 0) / 10;
}

/** CRC-8, polynomial 0x07, start 0, xored with 0x55 at the end. */
export function crc8(bytes: readonly number[]): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++)
      crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : (crc << 1) & 0xff;
  }
  return crc ^ 0x55;
}
