// What a page edits: a sample that its address names, or a picture that a person brings in, fitted to a policy's size.
import { get, getAll, post } from "./api.js";
import { openById } from "./by_id.js";
import { card, empty, failure, h, query, select, setOptions, show } from "./dom.js";

const MAX_BYTES = 675_000,
  FIRST_SEED = 7;

/**
 * Opens what the address names: `open({ sample, run, grid })`, where a picture that was brought in stands as a sample
 * without a run. Without either: `hint`, and a form that brings one in, as `fit` says (see the API's PictureFit).
 */
export function openSource(root, { hint, fit }, open) {
  const picture = query("picture");
  if (picture) return openById(root, {}, async (sha256) => open(brought(await get(`/pictures/${sha256}`))), picture);
  if (!query("sample")) return show(root, invitation(hint, fit));
  return openById(
    root,
    {},
    async (id) => {
      const sample = await get(`/samples/${id}`);
      const [run, grid] = await Promise.all([get(`/runs/${sample.run_id}`), get(`/samples/${id}/trajectory`)]);
      await open({ sample: { ...sample, name: `run:${sample.run_id}/${sample.image_path}`, address: `sample=${id}` }, run, grid });
    },
    query("sample"),
  );
}

function brought(picture) {
  const sample = { id: picture.sha256, name: picture.name, prompt: "", seed: FIRST_SEED, image_url: picture.image_url, address: `picture=${picture.sha256}`, remark: `${picture.what_was_done}.` };
  return { sample, run: { config: { policy: { source: picture.policy } } }, grid: picture };
}

function invitation(hint, fit) {
  const file = h("input", { type: "file", accept: "image/png,image/jpeg,image/webp", "aria-label": "Picture", onchange: () => take(file.files[0]) });
  const policy = select("Policy", [["shipped", "shipped"]], () => {});
  getAll("/models").then(
    (models) => setOptions(policy, models.filter((each) => each.kind !== "reward_model").map((each) => [each.source, each.name])),
    () => {}, // The shipped one remains.
  );
  const note = h("div", { role: "status" });
  const take = async (chosen) => {
    if (!chosen) return;
    if (chosen.size > MAX_BYTES) return show(note, `${chosen.name} has ${Math.round(chosen.size / 1000)} kB: at most 675 are taken. Save it smaller, as JPEG say.`);
    show(note, "Brings it in …");
    try {
      const picture = await post("/pictures", { image: await inBase64(chosen), policy: { source: policy.value }, fit });
      const address = new URL(location.href);
      address.searchParams.set("picture", picture.sha256);
      location.href = address;
    } catch (error) {
      show(note, failure(error));
    }
  };
  const words = fit === "square" ? "Its shorter side is resized to the policy's, the middle square stays." : "Its shorter side is resized to the policy's; of the longer one whole cells stay, four times as long at most.";
  const field = (name, input) => h("label", { class: "u-label u-edit-field" }, name, input);
  const form = h("div", { class: "u-stack tight" }, field("Policy whose size it takes", policy), field("Picture, at most 675 kB", file), h("p", { class: "u-small u-muted" }, words), note);
  return h("div", { class: "u-stack" }, empty("Which picture?", hint, h("a", { class: "u-btn u-main", href: "/runs" }, "All runs")), h("div", { class: "u-bring" }, card("Or bring one in", form)));
}

function inBase64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.split(",")[1]);
    reader.onerror = () => reject(new Error(`${file.name} cannot be read.`));
    reader.readAsDataURL(file);
  });
}
