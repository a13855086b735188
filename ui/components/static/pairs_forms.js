// Makes a pair set: of a label task's votes as they are now, or of a file of pairs; what is refused is told row by row.
import { ApiError, get, getAll, post } from "./api.js";
import { action, card, empty, failure, h, select, show } from "./dom.js";
import { plural } from "./format.js";
import { raterName } from "./label_shared.js";
import { placeOf } from "./pairs_shared.js";

const FORMATS = [
  ["pick_a_pic", "Pick-a-Pic (Parquet)"],
  ["hpdv2", "HPDv2 (zip of JSON and pictures)"],
  ["csv", "CSV (zip of the table and pictures)"],
];
const ENDINGS = { parquet: "pick_a_pic", json: "hpdv2", csv: "csv" };

/** Opens a set that was made or was there already. */
const openSet = (made) => {
  location.href = `/pairs?id=${made.sha256}`;
};

const field = (name, help, input, kind = "") => h("label", { class: kind }, h("b", {}, name), h("span", { class: "u-small u-muted" }, help), input);

const formCard = (title, body, close) => card(title, body, h("button", { class: "u-btn quiet u-push", type: "button", onclick: close }, "Close"));

/** The form that freezes votes, for the task `wanted` where one is named. */
export function freezeForm(close, wanted = null) {
  const body = h("div", {}, h("p", { class: "u-chart-none" }, "Looking for label tasks …"));
  const start = async () => {
    try {
      const tasks = (await get("/label-tasks?limit=100")).data;
      if (wanted && !tasks.some((task) => task.id === wanted)) tasks.unshift(await get(`/label-tasks/${wanted}`));
      if (tasks.length) fillFreeze(body, tasks, wanted);
      else show(body, noTasks());
    } catch (error) {
      show(body, failure(error, start));
    }
  };
  start();
  return formCard("Freeze the votes of a label task", body, close);
}

function noTasks() {
  const text = "A task shows people two pictures of one prompt and asks which is better. Its votes can be frozen at any time.";
  return empty("There is no label task yet", text, h("a", { class: "u-btn u-main", href: "/label?new" }, "New label task"));
}

function fillFreeze(body, tasks, wanted) {
  const name = h("input", { class: "u-input", maxlength: 120, "aria-label": "Name" }),
    raters = h("div", {}),
    refusal = h("div", {}),
    task = select("Label task", tasks.map((each) => [each.id, `${each.name} (${plural(each.num_votes, "vote")})`]), () => renew());
  if (wanted) task.value = wanted;
  let leaving = new Set();
  const renew = async () => {
    const chosen = tasks.find((each) => each.id === task.value);
    name.value = chosen.name;
    leaving = new Set();
    try {
      show(raters, raterChoice(await getAll(`/label-tasks/${chosen.id}/raters`), leaving));
    } catch (error) {
      show(raters, failure(error, renew));
    }
  };
  const freeze = action(
    "Freeze",
    async () => {
      show(refusal);
      try {
        openSet(await post("/pair-sets", { label_task_id: task.value, name: name.value, exclude_rater: [...leaving] }));
      } catch (error) {
        show(refusal, failure(error));
      }
    },
    "u-main",
  );
  const note = h("p", { class: "u-small u-muted" }, "Gold pairs, skips and votes that were taken back are left out anyhow. Votes that come later change nothing in the set.");
  show(
    body,
    h("div", { class: "u-form-grid" }, field("Label task", "Its votes as they are now.", task), field("Name", "What lists call the set.", name), h("div", { class: "u-wide" }, h("b", {}, "Whose votes"), raters)),
    h("div", { class: "u-row", style: "margin-top:16px" }, freeze, note),
    refusal,
  );
  renew();
}

/** A box for each rater; who is not ticked goes into `leaving`. */
function raterChoice(raters, leaving) {
  if (!raters.some((rater) => rater.num_votes)) return h("p", { class: "u-small u-muted" }, "Nobody has voted on this task yet.");
  const hasPeople = raters.some((rater) => rater.num_votes && !rater.is_simulated);
  const line = (rater) => {
    // People and programs are never mixed unasked.
    const isOut = rater.is_simulated && hasPeople && !rater.is_excluded;
    if (isOut) leaving.add(rater.id);
    const box = h("input", { type: "checkbox", checked: !isOut && !rater.is_excluded, disabled: rater.is_excluded, onchange: () => (box.checked ? leaving.delete(rater.id) : leaving.add(rater.id)) });
    const votes = rater.is_excluded ? "excluded on the results page" : plural(rater.num_votes, "vote");
    return h("label", { class: "u-row", style: "flex-direction:row" }, box, raterName(rater), h("span", { class: "u-small u-muted" }, votes));
  };
  return h("div", { class: "u-row wide", style: "margin-top:8px", role: "group", "aria-label": "Whose votes" }, ...raters.filter((rater) => rater.num_votes).map(line));
}

/** The form that imports a file of this computer, or a file or folder of the studio's. */
export function importForm(close) {
  const name = h("input", { class: "u-input", maxlength: 120, "aria-label": "Name" }),
    path = h("input", { class: "u-input", maxlength: 1000, "aria-label": "Path" }),
    refusal = h("div", {}),
    told = h("p", { class: "u-small u-muted" }, "Drop a file here, or choose one: Parquet, or a zip of a table and its pictures."),
    format = select("Format", FORMATS, () => {});
  let file = null;
  const take = (chosen) => {
    if (!chosen) return;
    file = chosen;
    format.value = ENDINGS[chosen.name.split(".").at(-1).toLowerCase()] ?? format.value;
    if (!name.value) name.value = chosen.name.replace(/\.[^.]*$/, "").slice(0, 120);
    told.textContent = `${chosen.name}, ${Math.max(1, Math.round(chosen.size / 1024))} KiB`;
  };
  const picker = h("input", { type: "file", accept: ".parquet,.zip,.json,.csv", "aria-label": "File", onchange: () => take(picker.files[0]) });
  const send = action(
    "Import",
    async (button) => {
      const words = button.textContent;
      button.textContent = "Reading …";
      show(refusal);
      try {
        const wanted = path.value.trim();
        openSet(wanted ? await post("/pair-sets", { name: name.value, path: wanted, format: format.value }) : await upload(file, format.value, name.value));
      } catch (error) {
        show(refusal, refused(error));
      } finally {
        button.textContent = words;
      }
    },
    "u-main",
  );
  const drop = h("div", { class: "u-drop" }, told, picker);
  drop.addEventListener("dragover", (event) => event.preventDefault());
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
  const grid = h("div", { class: "u-form-grid" }, field("Name", "What lists call the set.", name), field("Format", "Which program wrote the file.", format), field("Or a path", "A file or folder that the studio's machine can read, instead of a file from here.", path));
  const body = h("div", { class: "u-stack" }, drop, grid, h("div", { class: "u-row" }, send, h("span", { class: "u-small u-muted" }, "One row that cannot be read refuses the whole file, and says which.")), refusal);
  return formCard("Import pairs", body, close);
}

async function upload(file, format, name) {
  if (!file) throw new ApiError({ title: "Nothing to import", detail: "Choose a file, or give a path of the studio's machine.", status: 0 });
  const form = new FormData();
  form.append("file", file, file.name);
  form.append("format", format);
  form.append("name", name);
  const answer = await fetch("/api/v1/pair-sets/upload", { method: "POST", body: form }).catch(() => {
    throw new ApiError({ title: "The studio does not answer", detail: "Is it still running? Start it again with: make up", status: 0 });
  });
  const told = await answer.json();
  if (!answer.ok) throw new ApiError(told);
  return told;
}

/** What was refused, a line for each value; nothing of the file was kept. */
function refused(error) {
  const rows = error.problems.map(({ pointer, message }) => ({ ...placeOf(pointer), message })).filter(({ row }) => row !== null);
  if (!rows.length) return failure(error);
  const total = Number(/^\d+/.exec(error.message)?.[0] ?? rows.length);
  const line = ({ row, column, message }) => h("tr", {}, h("td", { class: "num" }, String(row)), h("td", {}, column), h("td", { style: "overflow-wrap:anywhere" }, message));
  const head = [["Row", "num"], ["Column", ""], ["What is wrong, and the cure", ""]].map(([words, kind]) => h("th", { class: kind, scope: "col" }, words));
  return h(
    "div",
    { class: "u-note u-error", role: "alert" },
    h("strong", {}, "Nothing was imported"),
    h("p", {}, `${plural(total, "value")} cannot be read${total > rows.length ? `; the first ${rows.length}` : ""}. Rows count from 0, the first after the header. Mend them and import again.`),
    h("table", { class: "u-table", style: "margin-top:8px" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows.map(line))),
  );
}
