// The rater's page without a network: its document, script and style, kept for the scope /rate and for nothing else.
// The studio writes `KEPT` above this: the files, and a version that changes with any of them. It knows no pair and no
// token; both are the page's own.
const PREFIX = "unmask-rate-page-",
  NAME = PREFIX + KEPT.version,
  PAGE = "/rate",
  PATIENCE_MS = 4000;
// Pages that were opened from what is kept: all of such a page is of one version.
const openedFromKept = new Set();

self.addEventListener("install", (event) => event.waitUntil(keepAll().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(letGoOfOthers()));
self.addEventListener("fetch", (event) => {
  const { request } = event,
    url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.mode === "navigate") {
    if (url.pathname === PAGE) event.respondWith(page(event));
  } else if (KEPT.files.includes(url.pathname)) {
    event.respondWith(part(event.clientId, url.pathname));
  }
});

/** All of one version or nothing: a page with half of its script would be worse than none. */
async function keepAll() {
  const cache = await caches.open(NAME);
  const keep = async (path) => {
    const response = await fetch(path, { cache: "no-cache" });
    if (!response.ok || response.redirected) throw new Error(`${path} did not come: ${response.status}`);
    await cache.put(path, response);
  };
  await Promise.all([PAGE, ...KEPT.files].map(keep));
}

async function letGoOfOthers() {
  const others = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== NAME);
  await Promise.all(others.map((name) => caches.delete(name)));
}

/** The document as the studio has it now; the kept one where there is no network, no studio, or no answer in time. */
async function page(event) {
  const asked = fetch(event.request);
  const answer = await inTime(asked);
  if (answer && answer.status < 500) return answer;
  const kept = await keptOf(PAGE);
  if (kept) openedFromKept.add(event.resultingClientId);
  return kept ?? asked;
}

async function part(client, path) {
  const kept = openedFromKept.has(client) ? await keptOf(path) : undefined;
  if (kept) return kept;
  const asked = fetch(path, { cache: "no-cache" });
  const answer = await inTime(asked);
  return answer?.ok ? answer : ((await keptOf(path)) ?? asked);
}

function inTime(asked) {
  return Promise.race([asked.catch(() => null), new Promise((done) => setTimeout(done, PATIENCE_MS, null))]);
}

async function keptOf(path) {
  return (await caches.open(NAME)).match(path);
}
