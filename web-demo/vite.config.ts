// The build: seven pages with hashed assets, nothing inline, so that a strict content policy holds.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const page = (name: string) => file(`${name}.html`);
const modules = file("node_modules");
const server = process.env["WHITEWATER_URL"] ?? "http://127.0.0.1:8080";

/** A package and all that it is made with: its one file holds their code too. */
function withDependencies(name: string, all = new Set<string>()): Set<string> {
  if (all.has(name)) return all;
  all.add(name);
  const about = JSON.parse(readFileSync(`${modules}/${name}/package.json`, "utf8")) as {
    dependencies?: Record<string, string>;
    peerDependencies?: Record<string, string>;
  };
  for (const other of Object.keys({ ...about.dependencies, ...about.peerDependencies })) {
    withDependencies(other, all);
  }
  return all;
}

/** A package's name and licence, as they are to go with its code. */
function licenceOf(name: string): string {
  const folder = `${modules}/${name}`;
  const found = readdirSync(folder).find((entry) => /^licen[cs]e(\.(md|txt))?$/i.test(entry));
  if (found === undefined) throw new Error(`${name} comes without its licence`);
  return `${name}\n\n${readFileSync(`${folder}/${found}`, "utf8")}`;
}

export default defineConfig({
  appType: "mpa",
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // hls.js and dash.js are files of up to this size, which only those load who watch by them.
    chunkSizeWarningLimit: 900,
    rolldownOptions: {
      input: {
        index: page("index"),
        publish: page("publish"),
        watch: page("watch"),
        embed: page("embed"),
        dashboard: page("dashboard"),
        recordings: page("recordings"),
        reference: page("reference"),
      },
    },
  },
  worker: { format: "es" },
  server: {
    proxy: {
      "/api": server,
      "/time": server,
      "/whip": server,
      "/whep": server,
      "/hls": server,
      "/dash/": server,
      "/replay": server,
    },
  },
  plugins: [
    {
      name: "licences",
      apply: "build",
      // Whoever is given others' code within the pages is given its licence too.
      generateBundle() {
        for (const name of ["hls.js", "uplot", "dashjs"]) {
          const source = [...withDependencies(name)].map(licenceOf).join("\n");
          this.emitFile({ type: "asset", fileName: `licences/${name}.txt`, source });
        }
      },
    },
    {
      name: "page-addresses",
      configureServer({ middlewares }) {
        middlewares.use((request, _response, next) => {
          const path = request.url?.split("?")[0] ?? "";
          if (path === "/publish") request.url = "/publish.html";
          if (path === "/recordings") request.url = "/recordings.html";
          if (path === "/dashboard") request.url = "/dashboard.html";
          if (path === "/api/v1/docs") request.url = "/reference.html";
          if (/^\/watch\/[^/]+$/.test(path)) request.url = "/watch.html";
          if (/^\/embed\/[^/]+$/.test(path)) request.url = "/embed.html";
          next();
        });
      },
    },
  ],
});
