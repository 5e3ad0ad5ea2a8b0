// Drives one browser for a test in Python: a line of JSON in, {do, ...arguments}; a line of JSON out, {value} or {error}.
// node driver.mjs NODE_MODULES '{"browser": "chromium" | "firefox", "executable": path, "language": "en-GB", "dark": false}'
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const modules = createRequire(`${process.argv[2]}/`);
const { default: puppeteer } = await import(pathToFileURL(modules.resolve("puppeteer-core")).href);
const axe = readFileSync(modules.resolve("axe-core/axe.min.js"), "utf8");
const asked = JSON.parse(process.argv[3]);

// Whatever a page asks of the network goes to a port where nobody listens; only this machine itself is within reach.
const chromium = {
  browser: "chrome",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--proxy-server=127.0.0.1:9", `--lang=${asked.language}`,
    `--accept-lang=${asked.language}`, "--force-color-profile=srgb", "--hide-scrollbars"],
};
const firefox = {
  browser: "firefox",
  extraPrefsFirefox: {
    "network.proxy.type": 1, "network.proxy.http": "127.0.0.1", "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1", "network.proxy.ssl_port": 9,
    "intl.accept_languages": asked.language, "gfx.color_management.mode": 0,
    "layout.css.prefers-color-scheme.content-override": asked.dark ? 0 : 1,
  },
};
const browser = await puppeteer.launch({
  ...(asked.browser === "firefox" ? firefox : chromium), executablePath: asked.executable, headless: true, protocolTimeout: 120_000,
});
const page = await browser.newPage();
if (asked.browser !== "firefox") {
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: asked.dark ? "dark" : "light" }]);
}
const requests = [], complaints = [];
page.on("request", (request) => requests.push(request.url()));
page.on("pageerror", (error) => complaints.push(String(error?.message ?? error)));
page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));

const evaluate = (script) => page.evaluate(`(async () => { ${script} })()`);
const commands = {
  open: async ({ url }) => { requests.length = complaints.length = 0; await page.goto(url, { waitUntil: "load" }); },
  evaluate: ({ script }) => evaluate(script),
  click: ({ selector }) => page.click(selector),
  press: ({ keys }) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve()),
  upload: async ({ selector, files }) => (await page.$(selector)).uploadFile(...files),
  // Firefox knows no touch of its own.
  viewport: ({ width, height, touch }) =>
    page.setViewport({ width, height, ...(touch !== undefined && { hasTouch: touch, isMobile: touch }) }),
  throttle: ({ times }) => page.emulateCPUThrottling(times),
  requests: () => requests,
  complaints: () => complaints,
  axe: async () => {
    await page.evaluate(axe);
    return evaluate(`const found = await axe.run(document, {resultTypes: ["violations"]});
      return found.violations.map((v) => [v.id, v.help, ...v.nodes.map((n) => n.target.join(" "))].join(" | "));`);
  },
};

const answer = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
answer({ value: await browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const { do: name, ...given } = JSON.parse(line);
  try {
    answer({ value: (await commands[name](given)) ?? null });
  } catch (error) {
    answer({ error: String(error?.message ?? error) });
  }
}
await browser.close();
