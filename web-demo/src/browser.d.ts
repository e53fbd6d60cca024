// Browser interfaces that the compiler's library does not know yet. All of them are feature-detected.

interface RTCRtpHeaderExtensionToNegotiate {
  uri: string;
  direction: RTCRtpTransceiverDirection;
}

interface RTCRtpTransceiver {
  getHeaderExtensionsToNegotiate?(): RTCRtpHeaderExtensionToNegotiate[];
  setHeaderExtensionsToNegotiate?(extensions: RTCRtpHeaderExtensionToNegotiate[]): void;
}

interface RTCRtpEncodingParameters {
  scalabilityMode?: string;
}

interface MediaStreamTrackProcessor<T> {
  readonly readable: ReadableStream<T>;
}

declare var MediaStreamTrackProcessor:
  (new (init: { track: MediaStreamTrack }) => MediaStreamTrackProcessor<VideoFrame>) | undefined;

interface MediaStreamTrackGenerator extends MediaStreamTrack {
  readonly writable: WritableStream<VideoFrame>;
}

declare var MediaStreamTrackGenerator:
  (new (init: { kind: "video" | "audio" }) => MediaStreamTrackGenerator) | undefined;
