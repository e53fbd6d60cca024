// The choice of encodings: which layers a picture is sent in, and with how much each.

/** A codec that a host can choose. */
export type VideoCodec = "H264" | "VP8" | "VP9" | "AV1";

/** The codecs in the order of the menu. */
export const VIDEO_CODECS: readonly VideoCodec[] = ["H264", "VP8", "VP9", "AV1"];

/** The scalability modes of VP9 and AV1 that a host can choose: spatial and temporal layers. */
export const SCALABILITY_MODES = ["L1T2", "L1T3", "L2T2", "L2T3", "L3T3", "L3T3_KEY"] as const;

/** A mode of the menu; empty for none. */
export type Scalability = "" | (typeof SCALABILITY_MODES)[number];

/** Whether a codec's pictures can be cut down in the network. */
export function canScale(codec: VideoCodec): boolean {
  return codec === "VP9" || codec === "AV1";
}

/** What the highest layer may use, and whether there are others. */
export interface EncodingWish {
  readonly codec: VideoCodec;
  readonly width: number;
  readonly height: number;
  readonly bitrateBps: number;
  readonly simulcast: boolean;
  /** One scalable encoding in place of several; of codecs that cannot scale it is ignored. */
  readonly scalability?: Scalability;
}

/**
 * The encodings to send, lowest first.
 *
 * Browsers send fewer layers of a small picture than they are asked for, and drop the last ones of the list,
 * which would be the best: so no more are asked for than are sent. VP9 and AV1 need a scalability mode on
 * every encoding, or all rids together become one.
 */
export function encodingsFor(wish: EncodingWish): RTCRtpEncodingParameters[] {
  if (wish.scalability && canScale(wish.codec)) {
    return [
      {
        scaleResolutionDownBy: 1,
        maxBitrate: wish.bitrateBps,
        scalabilityMode: wish.scalability,
      },
    ];
  }
  const pixels = wish.width * wish.height;
  const count = !wish.simulcast ? 1 : pixels >= 960 * 540 ? 3 : pixels >= 480 * 270 ? 2 : 1;
  const layers = [
    { rid: "q", scaleResolutionDownBy: 4, share: 0.06, leastBps: 100_000 },
    { rid: "h", scaleResolutionDownBy: 2, share: 0.24, leastBps: 200_000 },
    { rid: "f", scaleResolutionDownBy: 1, share: 1, leastBps: 0 },
  ].slice(-count);
  const svc = canScale(wish.codec);
  return layers.map(({ rid, scaleResolutionDownBy, share, leastBps }) => ({
    ...(count > 1 ? { rid } : {}),
    scaleResolutionDownBy,
    maxBitrate: Math.min(wish.bitrateBps, Math.max(leastBps, Math.round(wish.bitrateBps * share))),
    ...(svc && count > 1 ? { scalabilityMode: "L1T1" } : {}),
  }));
}

/** A codec as `RTCRtpSender.getCapabilities` lists it. */
export interface CodecCapability {
  readonly mimeType: string;
  readonly clockRate: number;
  readonly channels?: number;
  readonly sdpFmtpLine?: string;
}

/** The chosen codec's forms, best first, and retransmission; nothing else is offered. */
export function preferCodec<T extends CodecCapability>(
  codecs: readonly T[],
  codec: VideoCodec,
): T[] {
  const mime = `video/${codec.toLowerCase()}`;
  const chosen = codecs.filter((each) => each.mimeType.toLowerCase() === mime);
  const rtx = codecs.filter((each) => each.mimeType.toLowerCase() === "video/rtx");
  chosen.sort((a, b) => rank(b) - rank(a));
  return chosen.length === 0 ? [] : [...chosen, ...rtx];
}

/** H.264: packetization mode 1 first, then constrained baseline, which everybody decodes. Others: profile 0. */
function rank({ sdpFmtpLine = "" }: CodecCapability): number {
  const mode = /packetization-mode=1/.test(sdpFmtpLine) ? 4 : 0;
  const baseline = /profile-level-id=42e0/i.test(sdpFmtpLine) ? 2 : 0;
  const main = !/profile(-id)?=[1-9]/.test(sdpFmtpLine) ? 1 : 0;
  return mode + baseline + main;
}

/** The codecs to offer for sound: Opus, and before it the format that repeats older frames, where wanted and known. */
export function soundCodecs<Codec extends { mimeType: string }>(
  codecs: readonly Codec[],
  redundant: boolean,
): Codec[] {
  const named = (mime: string) => codecs.filter((each) => each.mimeType.toLowerCase() === mime);
  return [...(redundant ? named("audio/red") : []), ...named("audio/opus")];
}
