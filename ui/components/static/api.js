// The studio's REST API and its event streams, as the pages use them.

export class ApiError extends Error {
  constructor(problem) {
    super(problem.detail ?? problem.title ?? "The studio gave no reason.");
    this.title = problem.title;
    this.status = problem.status;
    this.code = problem.code;
    this.requestId = problem.request_id;
    this.problems = problem.errors ?? [];
  }
}

const ROOT = "/api/v1";
/** The statuses that never change again. */
export const TERMINAL = ["succeeded", "failed", "cancelled"];

/** One request: `{ data, etag }`. `headers` go beside the body's type; `options` are fetch's own, a time limit say. */
export async function request(method, path, body, headers = {}, options = {}) {
  let response, text;
  try {
    response = await fetch(ROOT + path, {
      ...options,
      method,
      headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    text = await response.text();
  } catch {
    throw new ApiError({
      title: "The studio does not answer",
      detail: "Is it still running? Start it again with: make up",
      status: 0,
    });
  }
  if (!response.ok) {
    let problem = { title: `Error ${response.status}`, detail: text.slice(0, 300), status: response.status };
    try {
      problem = JSON.parse(text);
    } catch {
      /* Not JSON: the plain text is all there is to show. */
    }
    throw new ApiError(problem);
  }
  const isJSON = (response.headers.get("content-type") ?? "").includes("json");
  return { data: text === "" ? null : isJSON ? JSON.parse(text) : text, etag: response.headers.get("etag") };
}

const call = async (method, path, body) => (await request(method, path, body)).data;

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body ?? {});
export const remove = (path) => call("DELETE", path);
export const verb = (run, name) => call("POST", `/runs/${run}/${name}`);
/** Changes what can be edited, as it was when `etag` was read. */
export const patch = (path, body, etag) => request("PATCH", path, body, etag ? { "If-Match": etag } : {});

/** All items of a paged list. */
export async function getAll(path, parameters = {}) {
  const items = [];
  for (let after = null; ;) {
    const page = await get(query(path, { limit: 100, ...parameters, after }));
    items.push(...page.data);
    if (!page.has_more) return items;
    after = page.next_cursor;
  }
}

export function query(path, parameters) {
  const pairs = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return pairs.length ? `${path}?${new URLSearchParams(pairs)}` : path;
}

/**
 * Follows a run's events from `after` on, without polling: the stream is closed while the tab is hidden and taken up
 * again at the last event seen. `onEvent(event)`, `onState("live" | "lost" | "ended")`. Returns a function that stops.
 */
export function follow(run_id, after, onEvent, onState = () => {}) {
  let last = after,
    source = null,
    isStopped = false,
    wait = 1000,
    timer = 0;

  const close = () => {
    source?.close();
    source = null;
    clearTimeout(timer);
  };
  const stop = () => {
    isStopped = true;
    close();
    document.removeEventListener("visibilitychange", toggle);
  };
  const take = (message) => {
    const event = JSON.parse(message.data);
    if (event.seq <= last) return;
    last = event.seq;
    onEvent(event);
    if (event.body.type === "status" && TERMINAL.includes(event.body.status)) {
      onState("ended");
      stop();
    }
  };
  // The browser gives up on a refused stream: the run is over and all is told, or the studio is away for a while.
  const again = async () => {
    const run = await get(`/runs/${run_id}`).catch(({ status }) => {
      // The session has ended: the page that is asked for anew is the sign-in page, and leads back here.
      if (status === 401) location.reload();
      return null;
    });
    if (run && TERMINAL.includes(run.status) && last >= run.num_events) {
      onState("ended");
      stop();
      return;
    }
    if (!run) onState("lost");
    timer = setTimeout(open, wait);
    wait = Math.min(wait * 2, 30000);
  };
  const open = () => {
    if (isStopped || source || document.hidden) return;
    source = new EventSource(`${ROOT}/runs/${run_id}/events/stream?after=${last}`);
    source.onopen = () => {
      wait = 1000;
      onState("live");
    };
    source.onmessage = take;
    source.onerror = () => {
      if (isStopped) return;
      if (source?.readyState !== EventSource.CLOSED) return onState("lost");
      close();
      again();
    };
  };
  const toggle = () => (document.hidden ? close() : open());

  document.addEventListener("visibilitychange", toggle);
  open();
  return stop;
}
