// The one way from a rater's page to the studio: requests under the token of the link, and pictures decoded.
import { request } from "./api.js";
import { h } from "./dom.js";

const LIMIT_MS = 15000,
  GONE = 410;

export class Door {
  constructor(token) {
    this.token = token;
  }

  call(method, path, body, headers = {}) {
    const options = AbortSignal.timeout ? { signal: AbortSignal.timeout(LIMIT_MS) } : {};
    return request(method, path, body, { Authorization: `Bearer ${this.token}`, ...headers }, options);
  }

  /** Sends what was done: any number of times is once, for each has an id of its own. */
  send({ kind, id, body }) {
    if (kind === "vote") return this.call("PUT", `/rating/votes/${id}`, body);
    if (kind === "undo") return this.call("DELETE", `/rating/votes/${id}`);
    return this.call("POST", "/rating/flags", body, { "Idempotency-Key": id });
  }

  /** A decoded picture, or words in its place where its file is gone: the pair can still be flagged or skipped. */
  async picture(url) {
    const response = await fetch(url, { headers: { Authorization: `Bearer ${this.token}` } });
    if (response.status === 404 || response.status === GONE) return missing();
    if (!response.ok) throw Object.assign(new Error("the picture did not come"), { status: response.status });
    const image = h("img", { src: URL.createObjectURL(await response.blob()), draggable: "false" });
    try {
      await image.decode();
    } catch {
      return missing();
    }
    // A small picture is shown as it is, cell by cell; a large one is scaled smoothly.
    image.classList.toggle("small", image.naturalWidth < 256);
    return image;
  }
}

function missing() {
  return h("span", { class: "u-rate-missing", role: "img" }, "This picture is missing: skip the pair, or flag it.");
}
