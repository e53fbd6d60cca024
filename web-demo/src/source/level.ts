// A meter that shows how loud a microphone is.

/** Root mean square of samples as a share of a meter: -60 dBFS is empty, 0 dBFS is full. */
export function meterShare(samples: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < samples.length; i++) sum += (samples[i] ?? 0) ** 2;
  const rms = Math.sqrt(sum / Math.max(1, samples.length));
  if (rms === 0) return 0;
  return Math.min(1, Math.max(0, 1 + (20 * Math.log10(rms)) / 60));
}

/** Follows one audio track at a time. */
export class LevelMeter {
  private context: AudioContext | null = null;
  private source: MediaStreamAudioSourceNode | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;

  /** `show` gets the share, 0 to 1, ten times a second. */
  constructor(private readonly show: (share: number) => void) {}

  /** Follows `track`, or nothing. */
  follow(track: MediaStreamTrack | undefined): void {
    clearInterval(this.timer);
    this.source?.disconnect();
    this.source = null;
    this.show(0);
    if (!track) return;
    this.context ??= new AudioContext();
    void this.context.resume().catch(() => undefined);
    const analyser = this.context.createAnalyser();
    analyser.fftSize = 1_024;
    this.source = this.context.createMediaStreamSource(new MediaStream([track]));
    this.source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      this.show(meterShare(samples));
    }, 100);
  }
}
