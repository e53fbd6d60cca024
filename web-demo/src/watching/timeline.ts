// The watch page's bar to go back in time: pause, a slider over what the server keeps, and a way back to live.

import { byId, setText } from "../page/page";
import type { Playback, Position } from "../segments/playback";

/** A window shorter than this is nothing to go back in. */
const WORTHWHILE_S = 6;
/** From here on the ends of the window are named by the time of day. */
const NAMED_S = 60;
/** A window longer than this is gone through in larger steps, and needs no seconds. */
const LONG_S = 30 * 60;

/** The bar. */
export class Timeline {
  private readonly bar = byId("timeline", HTMLDivElement);
  private readonly slider = byId("seek", HTMLInputElement);
  private readonly ends = byId("seek-ends", HTMLSpanElement);
  private readonly from = byId("seek-from", HTMLSpanElement);
  private readonly to = byId("seek-to", HTMLSpanElement);
  private readonly pauseButton = byId("pause", HTMLButtonElement);
  private readonly behind = byId("behind", HTMLOutputElement);
  private readonly liveButton = byId("go-live", HTMLButtonElement);
  private dragging = false;
  private windowS = 0;
  /** When the live place was captured, in milliseconds since 1970; `null` where that is not known. */
  private liveMs: number | null = null;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly playback: () => Playback | null,
    private readonly play: () => Promise<void>,
  ) {
    this.slider.oninput = () => {
      this.dragging = true;
      this.showBehind(this.chosenS);
    };
    this.slider.onchange = () => this.seek();
    // A thumb that was let go where it had been changes nothing, and says nothing.
    this.slider.onpointerup = () => setTimeout(() => this.dragging && this.seek(), 0);
    this.slider.onkeydown = (event) => {
      const to = keyedS(event.key, this.chosenS, this.windowS);
      if (to === null) return;
      event.preventDefault();
      this.slider.value = String(this.windowS - to);
      this.seek();
    };
    this.pauseButton.onclick = () => {
      if (this.video.paused) return void this.play();
      // Whoever pauses wants to go on where it was.
      this.playback()?.stay();
      this.video.pause();
    };
    this.liveButton.onclick = () => {
      this.playback()?.goLive();
      void this.play();
      this.show();
    };
    for (const event of ["timeupdate", "play", "pause", "seeked"]) {
      video.addEventListener(event, () => this.show());
    }
  }

  /** Shows where the picture on the screen stands; hides itself where there is nothing to go back to. */
  show(): void {
    const playback = this.playback();
    const position = playback?.position ?? null;
    this.bar.hidden = position === null;
    if (position === null || this.dragging) return;
    const playingMs = playback?.playingMs ?? null;
    this.liveMs = playingMs === null ? null : playingMs + position.behindS * 1_000;
    setText(this.pauseButton, this.video.paused ? "Resume" : "Pause");
    this.showPosition(position);
  }

  /** How far behind live the slider stands. */
  private get chosenS(): number {
    return this.windowS - Number(this.slider.value);
  }

  private seek(): void {
    this.dragging = false;
    this.playback()?.seek(this.chosenS);
    this.show();
  }

  private showPosition({ windowS, behindS, following }: Position): void {
    const worthwhile = windowS >= WORTHWHILE_S;
    this.slider.parentElement?.toggleAttribute("hidden", !worthwhile);
    this.windowS = Math.floor(windowS);
    this.slider.max = String(this.windowS);
    this.slider.value = String(this.windowS - Math.min(this.windowS, Math.round(behindS)));
    const live = following && !this.video.paused;
    // A button that is pressed keeps the focus: it says that it is done, and does nothing more.
    this.liveButton.setAttribute("aria-pressed", String(live));
    setText(this.liveButton, live ? "Live" : "Go live");
    this.showEnds();
    this.showBehind(live ? 0 : behindS);
  }

  private showEnds(): void {
    this.ends.hidden = this.windowS < NAMED_S || this.liveMs === null;
    if (this.liveMs === null) return;
    setText(this.from, this.timeOfDay(this.windowS));
    setText(this.to, this.timeOfDay(0));
  }

  private showBehind(seconds: number): void {
    const text = behindText(seconds);
    // At the live place the button says it.
    setText(this.behind, Math.round(seconds) < 1 ? "" : text);
    const at =
      this.liveMs === null || Math.round(seconds) < 1 ? "" : `, ${this.timeOfDay(seconds)}`;
    this.slider.setAttribute("aria-valuetext", text + at);
    this.slider.title = at.replace(/^, /, "");
  }

  /** The time of day so far behind live, as this browser's people write it. */
  private timeOfDay(behindS: number): string {
    const second = this.windowS < LONG_S ? "2-digit" : undefined;
    const at = new Date((this.liveMs ?? 0) - behindS * 1_000);
    return at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second });
  }
}

/** How far behind live a key leads to from `atS`; `null` for a key that leads nowhere. */
export function keyedS(key: string, atS: number, windowS: number): number | null {
  const long = windowS >= LONG_S;
  const steps: Record<string, number> = {
    ArrowLeft: 5,
    ArrowDown: 5,
    ArrowRight: -5,
    ArrowUp: -5,
    PageDown: long ? 300 : 30,
    PageUp: long ? -300 : -30,
    Home: Infinity,
    End: -Infinity,
  };
  const step = steps[key];
  return step === undefined ? null : Math.min(windowS, Math.max(0, atS + step));
}

/** "live", "12 s behind live", "1:05 min behind live", "2:00:05 h behind live". */
export function behindText(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 1) return "live";
  if (whole < 60) return `${whole} s behind live`;
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${two(whole % 60)} min behind live`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)} h behind live`;
}
