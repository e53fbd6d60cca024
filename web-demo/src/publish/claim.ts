// A claim on a stream name, by which a page takes back the session that an earlier life of it left behind.
//
// A browser or a tab that dies cannot end its session, and the server keeps the name for it. So the session's
// URL lies where every tab of the browser finds it, under a lock that only a living tab can hold: whoever gets
// the lock may replace that session, and a second tab takes nothing away from the first.

/** How long the lock is waited for: on a reload the page that held it may not be quite gone. */
const WAIT_MS = 500;

/** One page's claim on one name. */
export class Claim {
  private readonly key: string;
  /** Where the session is kept; nowhere while another tab holds the name. */
  private storage: Storage | null = null;
  private letGo: (() => void) | null = null;

  private constructor(name: string) {
    this.key = `whip:${name}`;
  }

  /** Claims a name. */
  static async take(name: string): Promise<Claim> {
    const claim = new Claim(name);
    await claim.lock();
    return claim;
  }

  /** The session that nobody alive holds. */
  get session(): string | undefined {
    return this.storage?.getItem(this.key) ?? undefined;
  }

  /** Keeps the session for a later life of this page; `null` where there is none. */
  keep(session: string | null): void {
    if (session === null) this.storage?.removeItem(this.key);
    else this.storage?.setItem(this.key, session);
  }

  /** Lets the name go; what was kept stays. */
  release(): void {
    this.letGo?.();
    this.letGo = null;
    this.storage = null;
  }

  private lock(): Promise<void> {
    const locks = navigator.locks as LockManager | undefined;
    if (!locks) {
      // Without locks (plain HTTP off localhost) a page only knows of its own tab.
      this.storage = sessionStorage;
      return Promise.resolve();
    }
    return new Promise((ready) => {
      const held = () => {
        this.storage = localStorage;
        ready();
        return new Promise<void>((resolve) => {
          this.letGo = resolve;
        });
      };
      locks.request(this.key, { signal: AbortSignal.timeout(WAIT_MS) }, held).catch(() => ready());
    });
  }
}
