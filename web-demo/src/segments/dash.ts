// A DASH player that shows a stream at its live edge, waits for it, and comes back by itself.
//
//     const viewer = new DashViewer({ url: "/dash/demo/manifest.mpd", video });
//     viewer.onmedia = () => void video.play();
//     viewer.onstatus = ({ state, sentence }) => console.log(state, sentence);
//     viewer.start();
//     addEventListener("pagehide", () => viewer.stop());
//
// dash.js is loaded with the first start, not before. Needs: dash.ts, dash-playback.ts, playback.ts,
// segment-viewer.ts, segment-playback.ts, and of ../server/ status.ts, http.ts, token.ts.

import { type DashModule, DashPlayback } from "./dash-playback";
import { type Playback, type PlaybackListener } from "./playback";
import { SegmentViewer } from "./segment-viewer";

/** A viewer of a stream over DASH. */
export class DashViewer extends SegmentViewer<DashModule> {
  protected readonly title = "DASH";

  protected load(): Promise<DashModule> {
    return import("dashjs");
  }

  protected begin(module: DashModule, tell: PlaybackListener): Playback | null {
    const { url, video } = this.options;
    return module.supportsMediaSource() ? new DashPlayback(module, video, url, tell) : null;
  }
}
