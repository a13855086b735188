// Who votes on a task: links that are shown once, how many votes each gave, and taking a link back.
import { getAll, patch, post } from "./api.js";
import { action, card, dialog, failure, h, show, toast, when } from "./dom.js";
import { raterName } from "./label_shared.js";
import { plural } from "./format.js";

export function raterPanel(task) {
  const path = `/label-tasks/${task.id}/raters`;
  const list = h("div", {});
  const load = async () => {
    const raters = await getAll(path);
    show(list, raters.length ? table(raters, task, load) : nobody());
  };
  const label = h("input", { class: "u-input", maxlength: 120, placeholder: "Name of a person", "aria-label": "Name of the rater", style: "flex:1 1 160px;max-width:280px" });
  const make = action("Create a link", async () => {
    if (!label.value.trim()) return label.focus();
    const made = await post(path, { label: label.value.trim() });
    label.value = "";
    await load();
    showLink(made);
  });
  const quick = action("Copy a rater's link", async (button) => {
    await copyRaterLink(task, button);
    await load();
  });
  const form = h("form", { class: "u-row", style: "margin-bottom:16px" }, label, make, quick);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    make.click();
  });
  load().catch((error) => show(list, failure(error, () => load())));
  return { element: card("Raters", h("div", {}, form, list)), load };
}

/** Makes a rater without asking for a name, and puts the link into the clipboard; a link is one person's. */
export async function copyRaterLink(task, button) {
  const path = `/label-tasks/${task.id}/raters`;
  const number = (await getAll(path)).length + 1;
  const made = await post(path, { label: `Rater ${number}` });
  const words = button.textContent;
  showLink(made, async (field) => {
    await copyText(field);
    button.textContent = "Copied: one person's link";
    setTimeout(() => {
      button.textContent = words;
    }, 2500);
  });
}

function nobody() {
  return h(
    "p",
    { class: "u-chart-none" },
    "Nobody votes yet. Name a person and send them the link: it opens on a phone too, and shows pairs and nothing else.",
  );
}

/** The only moment at which the link is known: the studio keeps no more than its hash. */
function showLink(made, useField = null) {
  const address = new URL(made.url, location.origin).href;
  const field = h("input", { class: "u-input u-mono", readonly: true, value: address, "aria-label": "Link", style: "width:100%" });
  field.addEventListener("focus", () => field.select());
  const copy = action(
    "Copy",
    async (button) => {
      await copyText(field);
      button.textContent = "Copied";
    },
    "u-main",
  );
  const here = ["127.0.0.1", "localhost", "[::1]"].includes(location.hostname);
  dialog(
    `The link for ${made.label}`,
    h(
      "div",
      { class: "u-part u-stack tight" },
      h("p", {}, "It is shown this once: copy it now. Who has it can vote as this rater, and do nothing else."),
      h("p", {}, field),
      here ? h("p", { class: "u-small u-muted" }, "This address is of this computer only: from another one, open the studio by its name or number there, and make the link again.") : null,
      h("div", { class: "u-row" }, copy, h("a", { class: "u-btn", href: address, target: "_blank", rel: "noopener" }, "Open it")),
    ),
  );
  // A browser that keeps the clipboard shut leaves the link to be copied by hand.
  if (useField) useField(field).catch(() => {});
}

/** Browsers open the clipboard to secure pages only; elsewhere the old way still works on a selected field. */
async function copyText(field) {
  field.select();
  if (navigator.clipboard) await navigator.clipboard.writeText(field.value);
  else document.execCommand("copy");
}

function table(raters, task, renew) {
  const cell = (name, kind, value) => h("td", { class: kind, role: "cell", "data-name": name }, value);
  const row = (rater) =>
    h(
      "tr",
      { role: "row" },
      h("td", { class: "name", role: "cell" }, raterName(rater)),
      cell("Votes", "num", String(rater.num_votes)),
      cell("Last vote", "num u-muted u-wide-only", rater.last_vote_at ? when(rater.last_vote_at) : "–"),
      h("td", { class: "num", role: "cell" }, rater.is_revoked ? h("span", { class: "u-muted" }, "link withdrawn") : revoke(rater, renew)),
    );
  const head = [["Rater", ""], ["Votes", "num"], ["Last vote", "num u-wide-only"], ["", "num"]];
  return h(
    "table",
    { class: "u-table", role: "table" },
    h("thead", {}, h("tr", {}, ...head.map(([name, kind]) => h("th", { class: kind, scope: "col" }, name)))),
    h("tbody", {}, ...raters.map(row)),
  );
}

function revoke(rater, renew) {
  return action(
    "Withdraw",
    () => {
      const sure = action(
        "Withdraw the link",
        async () => {
          await patch(`/raters/${rater.id}`, { is_revoked: true });
          box.close();
          await renew();
          toast(`The link of ${rater.label} opens nothing any more.`, 6);
        },
        "u-danger",
      );
      const stay = rater.num_votes ? ` The ${plural(rater.num_votes, "vote")} given so far stay counted.` : "";
      const words = `It opens nothing from then on, also where a page is open now.${stay}`;
      const box = dialog(`Withdraw the link of ${rater.label}?`, h("p", { style: "margin:0 0 16px" }, words), sure);
    },
    "u-danger",
  );
}
