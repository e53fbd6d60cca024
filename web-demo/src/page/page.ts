// Small helpers that every page uses: finding elements, polling, wording figures.

/** The element with this id, which the page's HTML promises. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`the page has no ${type.name} "${id}"`);
  return element;
}

/** Sets a text only where it differs, so that screen readers hear changes alone. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Makes an element with a class and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Calls `ask` now and every `everyMs` while the page is visible; never two at once. */
export function pollWhileVisible(everyMs: number, ask: () => Promise<void>): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let busy = false;
  const next = async () => {
    clearTimeout(timer);
    if (busy || document.hidden) return;
    busy = true;
    await ask().catch(() => undefined);
    busy = false;
    timer = setTimeout(() => void next(), everyMs);
  };
  document.addEventListener("visibilitychange", () => void next());
  void next();
}

/** "2.4 Mbit/s", "640 kbit/s". */
export function bitrateText(bps: number): string {
  if (bps >= 999_500) return `${(bps / 1e6).toFixed(bps < 9.95e6 ? 1 : 0)} Mbit/s`;
  return `${Math.round(bps / 1e3)} kbit/s`;
}

/** "1280 × 720", or a dash where it is not known. */
export function sizeText(width: number | null, height: number | null): string {
  return width && height ? `${width} × ${height}` : "–";
}

/** "2 h 5 min", "3 min", "12 s". */
export function durationText(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** "1 viewer", "3 viewers, 1 over HLS", "4 viewers, 1 over HLS, 2 over DASH". */
export function viewersText(viewers: number, overHls = 0, overDash = 0): string {
  const all = viewers + overHls + overDash;
  const parts = [all === 1 ? "1 viewer" : `${all} viewers`];
  for (const [over, title] of [
    [overHls, "HLS"],
    [overDash, "DASH"],
  ] as const) {
    if (over > 0) parts.push(`${over === all ? "" : `${over} `}over ${title}`);
  }
  return parts.join(", ");
}

/** The name of a codec as people write it. */
export function codecText(codec: string): string {
  const names: Record<string, string> = { H264: "H.264", H265: "H.265", OPUS: "Opus" };
  return names[codec.toUpperCase()] ?? codec;
}
