// A session that signals one peer connection over HTTP and opens a new one whenever it is lost.
//
// Shared by whip.ts and whep.ts. No DOM: a page hands in tracks and reads states and sentences.

import {
  HttpProblem,
  type Link,
  Unreachable,
  iceServersOf,
  parseLinks,
  problemOf,
  request,
} from "../server/http";
import { backoffMs, type Status, type Verdict } from "../server/status";

/** What every session is made with. */
export interface SessionOptions {
  /** The WHIP or WHEP endpoint. */
  readonly endpoint: string;
  /** The URL of an earlier session of ours that this one replaces. */
  readonly replaces?: string | undefined;
  /** How long the first connection may take from the answer on; 15 s where it is absent. */
  readonly connectWithinMs?: number | undefined;
}

/** After how long without connectivity a session counts as lost: shorter gaps heal by themselves. */
const LOST_AFTER_MS = 3_000;
/** How long a connection in doubt may bring nothing: keep-alives come more often. */
const PROBE_MS = 3_000;
/** After this long without a word neither side may send any more (RFC 7675): whoever slept longer starts anew. */
const CONSENT_MS = 30_000;
/** How long a connection may take from the answer on. */
const CONNECT_WITHIN_MS = 15_000;

/** A connection that keeps itself up until `stop`. */
export abstract class Session {
  /** Called on every change. */
  onstatus: ((status: Status) => void) | null = null;

  private present: Status = { state: "idle", sentence: "" };
  private connection: RTCPeerConnection | null = null;
  private url: string | null;
  private etag: string | null = null;
  private running = false;
  private wake: (() => void) | null = null;
  private renew: (() => void) | null = null;

  constructor(protected readonly options: SessionOptions) {
    this.url = options.replaces ?? null;
  }

  /** The present state. */
  get status(): Status {
    return this.present;
  }

  /** The present connection, for statistics. */
  get pc(): RTCPeerConnection | null {
    return this.connection;
  }

  /** The URL of the session on the server, while there is one. */
  get location(): string | null {
    return this.url;
  }

  /** Connects, and reconnects for ever. */
  start(): void {
    if (this.running) return;
    this.running = true;
    void this.run();
  }

  /** Ends the session here and on the server. */
  async stop(): Promise<void> {
    await this.end(false);
  }

  /** Ends the session while its page goes away. */
  leave(): void {
    void this.end(true);
  }

  /** Tries again, or looks whether the connection still stands: for when the network or the page has come back. */
  retryNow(): void {
    this.wake?.();
  }

  /** Opens a new session in place of the present one: for when the present one no longer fits the stream. */
  reopen(): void {
    this.renew?.();
  }

  /** Adds what is sent and received to a fresh connection. */
  protected abstract prepare(pc: RTCPeerConnection): void;

  /** Lets go of the session that the next attempt would replace. */
  protected forget(): void {
    this.url = null;
  }

  /** Decides about a refused attempt. `opened` says whether there ever was a session. */
  protected abstract judge(problem: HttpProblem, opened: boolean): Verdict;

  /** Called when a connection is up. */
  protected connected(_pc: RTCPeerConnection): void {}

  /** Called with what the server tells of a session just opened. Relative targets are relative to `base`. */
  protected opened(_links: readonly Link[], _base: string): void {}

  /** Called when a connection has ended, however far it came. */
  protected released(): void {}

  private async run(): Promise<void> {
    let opened = false;
    let attempt = 0;
    this.change({ state: "connecting", sentence: "" });
    while (this.running) {
      const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
      this.connection = pc;
      let verdict: Verdict;
      try {
        this.prepare(pc);
        await this.open(pc);
        if (!this.running) break;
        const within = opened ? undefined : this.options.connectWithinMs;
        await this.untilUp(pc, within ?? CONNECT_WITHIN_MS);
        opened = true;
        attempt = 0;
        this.change({ state: "live", sentence: "" });
        this.connected(pc);
        await this.untilLost(pc);
        verdict = { sentence: "The connection was lost.", again: true };
      } catch (error) {
        verdict = this.verdictOf(error, opened, pc);
      } finally {
        pc.close();
        this.released();
      }
      if (!this.running) break;
      if (!verdict.again) {
        this.running = false;
        this.change({ state: "stopped", sentence: verdict.sentence });
        return;
      }
      const retryInMs = verdict.afterMs ?? backoffMs(attempt++);
      const state = verdict.state ?? (opened ? "reconnecting" : "connecting");
      this.change({ state, sentence: verdict.sentence, retryInMs, cause: verdict.cause });
      await this.pause(retryInMs);
    }
  }

  /**
   * Sends the offer and takes the answer. The offer is applied only after the answer is there: gathering
   * then starts with the ICE servers that the answer hands out.
   */
  private async open(pc: RTCPeerConnection): Promise<void> {
    const offer = await pc.createOffer();
    const response = await request(this.options.endpoint, {
      method: "POST",
      headers: {
        "Content-Type": "application/sdp",
        ...(this.url === null ? {} : { "Replaces-Session": this.url }),
      },
      body: offer.sdp ?? "",
    });
    if (response.status !== 201) throw await problemOf(response);
    const location = response.headers.get("Location");
    if (location === null) throw new HttpProblem(502, "The server named no session.");
    this.url = new URL(location, response.url).href;
    this.etag = response.headers.get("ETag");
    const answer = await response.text();
    if (!this.running) {
      await this.remove(false);
      return;
    }
    const links = parseLinks(response.headers.get("Link"));
    const iceServers = iceServersOf(links);
    if (iceServers.length > 0) pc.setConfiguration({ ...pc.getConfiguration(), iceServers });
    if (!/^a=ice-lite\s*$/m.test(answer)) this.trickle(pc);
    await pc.setLocalDescription(offer);
    await pc.setRemoteDescription({ type: "answer", sdp: answer });
    this.opened(links, response.url);
  }

  /** Sends our candidates as they are found. A lite server learns them from our checks and needs none. */
  private trickle(pc: RTCPeerConnection): void {
    let lines: string[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const flush = () => {
      const url = this.url;
      const sdp = pc.localDescription?.sdp;
      if (!url || !this.etag || !sdp || pc !== this.connection) return;
      const credentials = sdp.match(/^a=ice-(?:ufrag|pwd):.*$/gm)?.slice(0, 2) ?? [];
      const media = /^m=.*$/m.exec(sdp)?.[0] ?? "";
      const mid = /^a=mid:.*$/m.exec(sdp)?.[0] ?? "";
      const body = [...credentials, media, mid, ...lines, ""].join("\r\n");
      lines = [];
      void request(url, {
        method: "PATCH",
        headers: { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": this.etag },
        body,
      }).catch(() => undefined);
    };
    pc.onicecandidate = ({ candidate }) => {
      if (candidate && candidate.sdpMLineIndex !== 0) return;
      lines.push(candidate?.candidate ? `a=${candidate.candidate}` : "a=end-of-candidates");
      clearTimeout(timer);
      timer = setTimeout(flush, candidate ? 50 : 0);
    };
  }

  private untilUp(pc: RTCPeerConnection, withinMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => done(new NotConnected()), withinMs);
      const done = (error?: Error) => {
        clearTimeout(timer);
        pc.onconnectionstatechange = null;
        this.wake = this.renew = null;
        if (error) reject(error);
        else resolve();
      };
      const look = () => {
        if (pc.connectionState === "connected") done();
        if (pc.connectionState === "failed") done(new NotConnected());
        if (!this.running) done(new NotConnected());
      };
      pc.onconnectionstatechange = look;
      this.wake = look;
      this.renew = () => done(new Renewed());
      look();
    });
  }

  private untilLost(pc: RTCPeerConnection): Promise<void> {
    return new Promise((resolve, reject) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const transport = [...pc.getSenders(), ...pc.getReceivers()].find(
        (each) => each.transport,
      )?.transport;
      let probe: ReturnType<typeof setTimeout> | undefined;
      const done = (error?: Error) => {
        clearTimeout(timer);
        clearTimeout(probe);
        stopWatching();
        pc.onconnectionstatechange = null;
        pc.oniceconnectionstatechange = null;
        if (transport) transport.onstatechange = null;
        this.wake = this.renew = null;
        if (error) reject(error);
        else resolve();
      };
      const look = () => {
        clearTimeout(timer);
        const gone = pc.connectionState === "failed" || pc.connectionState === "closed";
        if (gone || transport?.state === "closed" || transport?.state === "failed") done();
        else if (pc.iceConnectionState === "disconnected") {
          timer = setTimeout(() => done(), LOST_AFTER_MS);
        }
      };
      const stopWatching = watchSleep(CONSENT_MS, done);
      pc.onconnectionstatechange = look;
      pc.oniceconnectionstatechange = look;
      if (transport) transport.onstatechange = look;
      this.renew = () => done(new Renewed());
      this.wake = () => {
        if (!this.running || pc.iceConnectionState === "disconnected") return done();
        clearTimeout(probe);
        const isPast = () => this.connection !== pc || pc.connectionState === "closed";
        void bytesReceived(pc).then((before) => {
          if (isPast()) return;
          probe = setTimeout(() => {
            void bytesReceived(pc).then((after) => {
              if (!isPast() && after <= before) done();
            });
          }, PROBE_MS);
        });
      };
      look();
    });
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.wake = null;
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.wake = done;
    });
  }

  private verdictOf(error: unknown, opened: boolean, pc: RTCPeerConnection): Verdict {
    if (error instanceof HttpProblem) return this.judge(error, opened);
    if (error instanceof Renewed) return { sentence: "", again: true, afterMs: 0 };
    if (error instanceof Unreachable) return { sentence: error.message, again: true };
    if (error instanceof NotConnected) {
      const sentence = avoidsLoopback(pc.localDescription?.sdp, pc.remoteDescription?.sdp)
        ? "This browser sends no media to this machine’s own loopback address, where the server waits for it: use another browser, or start the server with --udp and an address of a network interface."
        : "The server answered, but no media connection came up: a firewall may block UDP to it.";
      return { sentence, again: true, cause: "unconnected" };
    }
    const detail = error instanceof Error ? error.message : String(error);
    return { sentence: `The browser refused the connection: ${detail}`, again: false };
  }

  private async end(keepalive: boolean): Promise<void> {
    const live = this.running;
    this.running = false;
    this.wake?.();
    this.connection?.close();
    if (live) this.change({ state: "stopped", sentence: "" });
    await this.remove(keepalive);
  }

  private async remove(keepalive: boolean): Promise<void> {
    const url = this.url;
    this.url = null;
    if (url === null) return;
    await request(url, { method: "DELETE", keepalive }).catch(() => undefined);
  }

  private change(status: Status): void {
    this.present = status;
    this.onstatus?.(status);
  }
}

class NotConnected extends Error {}

class Renewed extends Error {}

/** What arrived so far; a browser takes seconds more to find out that nothing does. */
async function bytesReceived(pc: RTCPeerConnection): Promise<number> {
  let sum = 0;
  (await pc.getStats()).forEach((entry: { type: string; bytesReceived?: number }) => {
    if (entry.type === "candidate-pair") sum += entry.bytesReceived ?? 0;
  });
  return sum;
}

/**
 * Calls `onwake` when this page has not run for longer than `ms`, as after a laptop's sleep: the browser itself
 * takes seconds to see that its connection is gone. Returns what ends the watch.
 */
function watchSleep(ms: number, onwake: () => void): () => void {
  let before = Date.now();
  const timer = setInterval(() => {
    const asleepMs = Date.now() - before;
    before = Date.now();
    if (asleepMs > ms) onwake();
  }, 1_000);
  return () => clearInterval(timer);
}

/** Whether one side can only be reached by the loopback interface, and the other one does not use it: Firefox. */
export function avoidsLoopback(local = "", remote = ""): boolean {
  const addresses = (sdp: string) =>
    [...sdp.matchAll(/^a=candidate:\S+ \d+ \w+ \d+ (\S+) /gm)].map((match) => match[1] ?? "");
  const isLoopback = (address: string) => address.startsWith("127.") || address === "::1";
  const server = addresses(remote);
  return server.length > 0 && server.every(isLoopback) && !addresses(local).some(isLoopback);
}

/** Switches the absolute capture time extension on, where the browser lets a page choose. */
export function enableCaptureTime(transceiver: RTCRtpTransceiver): void {
  enable(transceiver, "/abs-capture-time");
}

/** Switches the dependency descriptor on: with it a viewer can do with a part of a scalable picture. */
export function enableDependencyDescriptor(transceiver: RTCRtpTransceiver): void {
  enable(transceiver, "#dependency-descriptor-rtp-header-extension");
}

function enable(transceiver: RTCRtpTransceiver, end: string): void {
  const extensions = transceiver.getHeaderExtensionsToNegotiate?.();
  const wanted = extensions?.find(({ uri }) => uri.endsWith(end));
  if (!extensions || !wanted) return;
  wanted.direction = "sendrecv";
  transceiver.setHeaderExtensionsToNegotiate?.(extensions);
}
