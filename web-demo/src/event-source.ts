// A connection to the API's events that keeps itself up.

import { EVENT_NAMES, type Connect, type StreamEvent } from "./hub";

/** A failed connection is tried again after so long. */
const AGAIN_MS = 2_000;
/** A connection that is not up by then counts as down; a page that has other means uses them. */
const SLOW_MS = 3_000;

/** Opens `GET /api/v1/events` for some streams. */
export const connect: Connect = (streams, on) => {
  const query = streams.map((stream) => `stream=${encodeURIComponent(stream)}`).join("&");
  let source: EventSource;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const open = () => {
    source = new EventSource(`/api/v1/events?${query}`);
    timer = setTimeout(() => on.up(false), SLOW_MS);
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
  open();
  return {
    close: () => {
      clearTimeout(timer);
      source.close();
    },
  };
};
