// A WHIP client (RFC 9725) that publishes tracks and reconnects by itself. No DOM.
//
//     const publisher = new WhipPublisher({
//       endpoint: "/whip/demo",
//       audio: microphone.getAudioTracks()[0],
//       video: camera.getVideoTracks()[0],
//       codec: "H264",
//       encodings: [{ maxBitrate: 2_500_000 }],
//     });
//     publisher.onstatus = ({ state, sentence }) => console.log(state, sentence);
//     publisher.start();
//     addEventListener("pagehide", () => publisher.leave());
//
// A lost connection is opened anew with the `Replaces-Session` header, so that a server that knows it frees
// the name at once. Needs: whip.ts, session.ts, encodings.ts, and of ../server/ status.ts, http.ts, token.ts.

import type { HttpProblem } from "../server/http";
import type { Verdict } from "../server/status";
import { token } from "../server/token";
import { preferCodec, soundCodecs, type VideoCodec } from "./encodings";
import { enableCaptureTime, Session, type SessionOptions } from "./session";

/** What is published, and how. */
export interface WhipOptions extends SessionOptions {
  readonly audio?: MediaStreamTrack | undefined;
  readonly video?: MediaStreamTrack | undefined;
  /** The only video codec to offer; the browser's choice where it is absent. */
  readonly codec?: VideoCodec | undefined;
  /** Whether each packet of sound repeats the one before (Opus RED): more bytes, fewer gaps. */
  readonly redundantSound?: boolean | undefined;
  /** The layers of the video; one where it is absent. */
  readonly encodings?: RTCRtpEncodingParameters[] | undefined;
}

/** A publisher's session. */
export class WhipPublisher extends Session {
  private readonly tracks: {
    audio?: MediaStreamTrack | undefined;
    video?: MediaStreamTrack | undefined;
  };
  private readonly whip: WhipOptions;

  constructor(options: WhipOptions) {
    super(options);
    this.whip = options;
    this.tracks = { audio: options.audio, video: options.video };
  }

  /** Sends another track of a kind that is being sent already, without a new session. */
  async replaceTrack(kind: "audio" | "video", track: MediaStreamTrack): Promise<void> {
    const old = this.tracks[kind];
    this.tracks[kind] = track;
    const sender = this.pc?.getSenders().find((each) => each.track !== null && each.track === old);
    await sender?.replaceTrack(track);
  }

  protected override prepare(pc: RTCPeerConnection): void {
    const { codec, encodings } = this.whip;
    const tracks = [this.tracks.audio, this.tracks.video].filter((track) => track !== undefined);
    const stream = new MediaStream(tracks);
    for (const track of tracks) {
      const video = track.kind === "video";
      const transceiver = pc.addTransceiver(track, {
        direction: "sendonly",
        streams: [stream],
        ...(video && encodings ? { sendEncodings: encodings } : {}),
      });
      const codecs = RTCRtpSender.getCapabilities(track.kind)?.codecs ?? [];
      const preferred = !video
        ? soundCodecs(codecs, this.whip.redundantSound ?? false)
        : codec
          ? preferCodec(codecs, codec)
          : codecs;
      if (video && preferred.length === 0) throw new Error(`it cannot encode ${codec}.`);
      if (preferred.length > 0) transceiver.setCodecPreferences(preferred);
      enableCaptureTime(transceiver);
    }
  }

  protected override judge(problem: HttpProblem, opened: boolean): Verdict {
    const afterMs = problem.retryAfterS === undefined ? undefined : problem.retryAfterS * 1_000;
    if (problem.status === 409) {
      if (!opened && this.location !== null) {
        // The session of an earlier life of ours has had a successor: it is worth nothing any more.
        this.forget();
        return { sentence: "Asking for the name…", again: true, afterMs: 0 };
      }
      const kept = problem.retryAfterS;
      const sentence = opened
        ? "The name is taken: another publisher went live under it."
        : kept === undefined
          ? "The name is taken: somebody is live under it. Choose another name, or stop the other publisher."
          : `The name is taken: its publisher lost the connection and may come back for ${kept} more seconds. Choose another name, or go live after that.`;
      return { sentence, again: opened, afterMs };
    }
    if (problem.status === 401 && token === null) {
      const sentence = "Publishing here needs permission: open this page by a link with a token.";
      return { sentence, again: false };
    }
    if (problem.status === 503) return { sentence: problem.message, again: true, afterMs };
    if (problem.status === 422) {
      return { sentence: `The server cannot take this stream: ${problem.message}`, again: false };
    }
    return {
      sentence: problem.message,
      again: problem.status >= 500 || problem.status === 429,
      afterMs,
    };
  }
}
