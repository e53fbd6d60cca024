// Networks of the tests' own: namespaces joined by cables, in which addresses change and nobody else is met.
//
//     home ---- cable 0 ---- lan        The server lives in `lan`, and so does the test itself.
//       \------ cable 1 -----/          `home` is where browsers with a network to lose live.
//
// Firefox gathers no candidate for the loopback interface, and for other interfaces only where a route
// leads out: so `lan` has both.

import { execFileSync } from "node:child_process";

/** Addresses at both ends of the cables; the server listens on `LAN.address`. */
export const LAN = { address: "10.83.0.1", cables: ["10.83.1", "10.83.2"] };

/** Makes both namespaces. Needs root. */
export function makeNetwork() {
  const [lan, home] = ["lan", "home"].map((name) => `ww-${process.pid}-${name}`);
  const network = { lan, home };
  try {
    for (const name of [lan, home]) {
      ip("netns", "add", name);
      ip("-n", name, "link", "set", "lo", "up");
    }
    ip("-n", lan, "link", "add", "port", "type", "veth", "peer", "name", "wall");
    ip("-n", lan, "addr", "add", `${LAN.address}/24`, "dev", "port");
    ip("-n", lan, "link", "set", "port", "up");
    ip("-n", lan, "link", "set", "wall", "up");
    ip("-n", lan, "route", "add", "default", "via", "10.83.0.2", "dev", "port");
    LAN.cables.forEach((net, i) => {
      ip(
        "-n",
        lan,
        "link",
        "add",
        `to${i}`,
        "type",
        "veth",
        "peer",
        "name",
        `from${i}`,
        "netns",
        home,
      );
      ip("-n", lan, "addr", "add", `${net}.1/24`, "dev", `to${i}`);
      ip("-n", lan, "link", "set", `to${i}`, "up");
    });
    plugIn(network, 0);
  } catch (error) {
    removeNetwork(network);
    throw error;
  }
  return network;
}

/** Removes both namespaces and with them the cables. */
export function removeNetwork({ lan, home }) {
  for (const name of [lan, home]) {
    try {
      ip("netns", "del", name);
    } catch {
      // It was never made.
    }
  }
}

/** Gives `home` an address on a cable, and its way out through it. */
export function plugIn({ home }, cable, host = 2) {
  const net = LAN.cables[cable];
  ip("-n", home, "link", "set", `from${cable}`, "up");
  ip("-n", home, "addr", "add", `${net}.${host}/24`, "dev", `from${cable}`);
  ip("-n", home, "route", "replace", "default", "via", `${net}.1`, "dev", `from${cable}`);
}

/** Takes a cable's addresses, and the ways through it, away from `home`. */
export function pullOut({ home }, cable) {
  ip("-n", home, "addr", "flush", "dev", `from${cable}`);
  ip("-n", home, "link", "set", `from${cable}`, "down");
}

/** Gives `home` another address on the same cable, as a lease that ran out does. */
export function changeAddress(network, cable, from, to) {
  const net = LAN.cables[cable];
  ip("-n", network.home, "addr", "del", `${net}.${from}/24`, "dev", `from${cable}`);
  plugIn(network, cable, to);
}

function ip(...args) {
  execFileSync("ip", args, { stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" });
}
