// Debian's Firefox ESR with pages of ours, behind the same few methods that the other tests use.
//
// It is driven over WebDriver BiDi, which a stock Firefox speaks: playwright needs a build of its own.

import puppeteer from "puppeteer-core";
import { installReader } from "./reader.mjs";

const PREFERENCES = {
  // Cameras and microphones that are none, and nobody who could allow them.
  "media.navigator.streams.fake": true,
  "media.navigator.permission.disabled": true,
  "media.autoplay.default": 0,
  "media.autoplay.blocking_policy": 0,
  // A name under .local in place of an address needs a resolver that a network namespace lacks.
  "media.peerconnection.ice.obfuscate_host_addresses": false,
  // Nothing is asked of the network beyond the page.
  "app.update.auto": false,
  "app.normandy.enabled": false,
  "browser.region.update.enabled": false,
  "browser.safebrowsing.downloads.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "datareporting.healthreport.uploadEnabled": false,
  "extensions.update.enabled": false,
  "media.gmp-manager.updateEnabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "toolkit.telemetry.enabled": false,
};

/** Starts Firefox. `context()` makes a fresh profile in it; `reset()` closes all that were made. */
export async function launchFirefox() {
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr",
    headless: true,
    defaultViewport: { width: 1280, height: 900 },
    extraPrefsFirefox: PREFERENCES,
  });
  const open = [];
  const context = async () => {
    const made = await browser.createBrowserContext();
    open.push(made);
    return { newPage: async () => new FirefoxPage(await made.newPage()).ready() };
  };
  const reset = async () => {
    await Promise.all(open.splice(0).map((each) => each.close()));
  };
  const version = await browser.version();
  return { context, reset, version, close: () => browser.close() };
}

/** A page with the methods that `browser.mjs` calls, in playwright's order of arguments. */
class FirefoxPage {
  constructor(page) {
    this.page = page;
  }

  async ready() {
    await this.addInitScript(installReader);
    return this;
  }

  on(event, listener) {
    this.page.on(event, listener);
  }

  url() {
    return this.page.url();
  }

  goto(url) {
    return this.page.goto(url, { waitUntil: "load" });
  }

  reload() {
    return this.page.reload({ waitUntil: "load" });
  }

  close() {
    return this.page.close();
  }

  evaluate(work, argument) {
    return this.page.evaluate(work, argument);
  }

  addInitScript(work) {
    return this.page.evaluateOnNewDocument(work);
  }

  waitForFunction(check, argument, { timeout = 30_000 } = {}) {
    return this.page.waitForFunction(check, { timeout, polling: 50 }, argument);
  }

  click(selector) {
    return this.page.click(selector);
  }

  textContent(selector) {
    return this.page.$eval(selector, (element) => element.textContent);
  }

  screenshot(options) {
    return this.page.screenshot(options);
  }

  waitForTimeout(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }
}
