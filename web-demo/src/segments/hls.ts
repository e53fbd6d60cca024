// An HLS player that shows a stream at its live edge, waits for it, and comes back by itself.
//
//     const viewer = new HlsViewer({ url: "/hls/demo/index.m3u8", video });
//     viewer.onmedia = () => void video.play();
//     viewer.onstatus = ({ state, sentence }) => console.log(state, sentence);
//     viewer.start();
//     viewer.select("360p");          // a quality by its key; null leaves it to the network
//     viewer.playback?.seek(20);      // twenty seconds back; playback?.goLive() returns
//     addEventListener("pagehide", () => viewer.stop());
//
// hls.js is loaded with the first start, not before. It is asked first, also where the browser plays HLS by itself:
// Chromium does, from the oldest segment on and without parts. Needs: hls.ts, hls-playback.ts, playback.ts,
// segment-viewer.ts, segment-playback.ts, and of ../server/ status.ts, http.ts, token.ts.

import { type HlsModule, HlsPlayback } from "./hls-playback";
import { type Playback, PlaybackFailed, type PlaybackListener } from "./playback";
import { SegmentViewer, Unsupported } from "./segment-viewer";

/** A viewer of a stream over HLS. */
export class HlsViewer extends SegmentViewer<HlsModule> {
  protected readonly title = "HLS";

  protected load(): Promise<HlsModule> {
    return import("hls.js");
  }

  protected begin(module: HlsModule, tell: PlaybackListener): Playback | null {
    const { url, video } = this.options;
    return module.default.isSupported() ? new HlsPlayback(module, video, url, tell) : null;
  }

  /** An iPhone before iOS 17.1 has HLS, but lets no script feed it. */
  protected override async playNatively(): Promise<void> {
    const { url, video } = this.options;
    if (video.canPlayType("application/vnd.apple.mpegurl") === "") throw new Unsupported();
    const listening = new AbortController();
    const { signal } = listening;
    try {
      await new Promise<void>((resolve, reject) => {
        video.addEventListener("loadeddata", () => this.live(), { signal });
        video.addEventListener("ended", () => resolve(), { signal });
        const failed = () =>
          reject(new PlaybackFailed("The browser could not play the stream’s media.", null));
        video.addEventListener("error", failed, { signal });
        video.src = url;
        this.onmedia?.();
      });
    } finally {
      listening.abort();
    }
  }
}
