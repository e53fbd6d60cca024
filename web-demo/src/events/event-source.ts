// A connection to the API's events that keeps itself up, through a sleep of the machine too. No DOM.

import { addressed } from "../server/token";
import { EVENT_NAMES, type Connect, type StreamEvent } from "./hub";

/** A failed connection is tried again after so long. */
const AGAIN_MS = 2_000;
/** A connection that is not up by then counts as down; a page that has other means uses them. */
const SLOW_MS = 3_000;
/** So often the clock is looked at. */
const LOOK_EVERY_MS = 5_000;
/** The machine slept when the clock made a larger step: the server may have given the connection up unheard. */
const SLEPT_MS = 20_000;

/** Opens `GET /api/v1/events` for some streams. */
export const connect: Connect = (streams, on) => {
  const query = streams.map((stream) => `stream=${encodeURIComponent(stream)}`).join("&");
  let source: EventSource;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const open = () => {
    clearTimeout(timer);
    timer = setTimeout(() => on.up(false), SLOW_MS);
    source = new EventSource(addressed(`/api/v1/events?${query}`));
    source.onopen = () => {
      clearTimeout(timer);
      on.up(true);
    };
    source.onerror = () => {
      on.up(false);
      // It tries again by itself, unless the server answered with an error.
      if (source.readyState !== EventSource.CLOSED) return;
      clearTimeout(timer);
      timer = setTimeout(open, AGAIN_MS);
    };
    for (const type of EVENT_NAMES) {
      source.addEventListener(type, ({ data }: MessageEvent<string>) => {
        on.event({ ...(JSON.parse(data) as Omit<StreamEvent, "type">), type });
      });
    }
  };
  const reopen = () => {
    source.close();
    on.up(false);
    open();
  };
  let looked = Date.now();
  const looking = setInterval(() => {
    const slept = Date.now() - looked > SLEPT_MS;
    looked = Date.now();
    if (slept) reopen();
  }, LOOK_EVERY_MS);
  globalThis.addEventListener?.("online", reopen);
  open();
  return {
    close: () => {
      clearTimeout(timer);
      clearInterval(looking);
      globalThis.removeEventListener?.("online", reopen);
      source.close();
    },
  };
};
