// Answers from what the browser keeps of the page, so that it works without a connection. The lines before this one
// name the cache of this version, and its files.
/* global NAME, FILES */
const PREFIX = NAME.slice(0, NAME.lastIndexOf("-") + 1);

/** Keeps a file that is not kept yet; those that draw were kept when the page loaded them. */
async function keep(cache, path) {
  const url = new URL(path, self.registration.scope).href;
  if (!await cache.match(url)) await cache.add(new Request(url, { cache: "no-cache" }));
}

self.addEventListener("install", (event) => {
  const fill = async () => {
    const cache = await caches.open(NAME);
    await Promise.all(FILES.map((path) => keep(cache, path)));
    await self.skipWaiting();
  };
  event.waitUntil(fill());
});

self.addEventListener("activate", (event) => {
  const clean = async () => {
    const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== NAME);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(clean());
});

/** The page itself and its list of files are asked for first, so that a new version is seen; the rest never changes. */
async function answer(request) {
  const cache = await caches.open(NAME);
  const kept = await cache.match(request, { ignoreSearch: request.mode === "navigate" });
  const changes = request.mode === "navigate" || request.url.endsWith("/model.json");
  if (kept && !changes) return kept;
  try {
    const fresh = await fetch(request);
    return fresh.ok || !kept ? fresh : kept;
  } catch (error) {
    const page = request.mode === "navigate" ? await cache.match(self.registration.scope) : null;
    if (kept || page) return kept || page;
    throw error;
  }
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(self.registration.scope)) event.respondWith(answer(request));
});
