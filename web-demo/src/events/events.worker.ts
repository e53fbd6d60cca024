// A shared worker that holds the one event connection of all tabs. What it does is in hub.ts.

import { connect } from "./event-source";
import { Hub, type ToHub } from "./hub";

const hub = new Hub(connect);

addEventListener("connect", (event) => {
  const [port] = (event as MessageEvent).ports;
  if (!port) return;
  port.onmessage = ({ data }: MessageEvent<ToHub>) => hub.hear(port, data);
});
