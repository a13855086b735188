// Has a sample's unmasking steps decoded when a replay opens that lacks them, and puts the true pictures into it.
import { get, post } from "./api.js";
import { failure } from "./dom.js";

// A worker that was killed is back within seconds; one that gets no further for longer needs a person.
const PATIENCE_MS = { refused: 20_000, still: 90_000 };
const PAUSES_MS = [150, 150, 300, 500, 1000];

/** Follows the decoding of the sample at `path`; `picture` is the stage that shows its frames. */
export async function decodeInto(path, picture) {
  try {
    await decoded(path, (frames) => picture.say(words(frames)));
    await picture.swap(await get(`${path}/trajectory`));
  } catch (error) {
    error.title = "Not decoded: this is the finished picture, masked cells covered";
    picture.say(failure(error, () => decodeInto(path, picture)));
  }
}

/** Resolves once the frames are decoded; rejects with what stands in the way. */
async function decoded(path, onState) {
  let mustAsk = true,
    refusal = null,
    seen = "",
    since = performance.now();
  onState(null);
  for (let round = 0; ; round += 1) {
    try {
      const frames = await (mustAsk ? post : get)(`${path}/frames`);
      if (frames.state === "decoded") return;
      onState(frames);
      // A run that was resumed has made the sample anew, and knows nothing of who asked before.
      mustAsk = frames.state === "composed";
      refusal = null;
      if (seen !== (seen = `${frames.state} ${frames.num_done}`)) since = performance.now();
    } catch (error) {
      if (error.status !== 503 && error.status !== 0) throw error;
      refusal = error;
      mustAsk = true;
    }
    const waited = performance.now() - since;
    if (refusal && waited > PATIENCE_MS.refused) throw refusal;
    if (waited > PATIENCE_MS.still) throw stuck(waited);
    await new Promise((resume) => setTimeout(resume, PAUSES_MS[Math.min(round, PAUSES_MS.length - 1)]));
  }
}

function words(frames) {
  const done = frames?.num_done ? ` ${frames.num_done} of ${frames.num_steps} …` : "";
  return `Decoding each step …${done} Until then: the finished picture, cells that are still masked covered.`;
}

function stuck(waited) {
  return new Error(
    `Nothing has moved for ${Math.round(waited / 1000)} s. The interactive worker may be busy with other requests: its ` +
      "lines in the studio's log say more. The request stands.",
  );
}
