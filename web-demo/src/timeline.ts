// The watch page's bar to go back in time over HLS: pause, a slider over what the server keeps, and a way back to live.

import type { Playback, Position } from "./hls-playback";
import { byId, setText } from "./page";

/** A window shorter than this is nothing to go back in. */
const WORTHWHILE_S = 6;
/** What an arrow key moves. */
const STEP_S = 5;

/** The bar. */
export class Timeline {
  private readonly bar = byId("timeline", HTMLDivElement);
  private readonly slider = byId("seek", HTMLInputElement);
  private readonly pauseButton = byId("pause", HTMLButtonElement);
  private readonly behind = byId("behind", HTMLOutputElement);
  private readonly liveButton = byId("go-live", HTMLButtonElement);
  private dragging = false;
  private windowS = 0;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly playback: () => Playback | null,
    private readonly play: () => Promise<void>,
  ) {
    this.slider.oninput = () => {
      this.dragging = true;
      this.showBehind(this.windowS - Number(this.slider.value));
    };
    this.slider.onchange = () => this.seek();
    this.slider.onkeydown = (event) => {
      const back = ["ArrowLeft", "ArrowDown"].includes(event.key);
      if (!back && !["ArrowRight", "ArrowUp"].includes(event.key)) return;
      event.preventDefault();
      this.slider.value = String(Number(this.slider.value) + (back ? -STEP_S : STEP_S));
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
    const position = this.playback()?.position ?? null;
    this.bar.hidden = position === null;
    if (position === null || this.dragging) return;
    setText(this.pauseButton, this.video.paused ? "Resume" : "Pause");
    this.showPosition(position);
  }

  private seek(): void {
    this.dragging = false;
    this.playback()?.seek(this.windowS - Number(this.slider.value));
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
    this.showBehind(live ? 0 : behindS);
  }

  private showBehind(seconds: number): void {
    const text = behindText(seconds);
    // At the live place the button says it.
    setText(this.behind, seconds === 0 ? "" : text);
    this.slider.setAttribute("aria-valuetext", text);
  }
}

/** "live", "12 s behind", "1:05 min behind". */
export function behindText(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 1) return "live";
  if (whole < 60) return `${whole} s behind`;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")} min behind`;
}
