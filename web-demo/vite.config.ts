// The build: six pages with hashed assets, nothing inline, so that a strict content policy holds.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const page = (name: string) => file(`${name}.html`);
const server = process.env["WHITEWATER_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  appType: "mpa",
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // hls.js is one file of this size, which only those load who watch by HLS.
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      input: {
        index: page("index"),
        publish: page("publish"),
        watch: page("watch"),
        embed: page("embed"),
        dashboard: page("dashboard"),
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
    },
  },
  plugins: [
    {
      name: "licences",
      apply: "build",
      // Whoever is given others' code within the pages is given its licence too.
      generateBundle() {
        for (const name of ["hls.js", "uplot"]) {
          const source = readFileSync(file(`node_modules/${name}/LICENSE`), "utf8");
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
