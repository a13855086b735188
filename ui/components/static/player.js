// What plays unmasking steps: the buttons, the slider, the speed and the keys. It knows no picture; who extends it draws.
import { h } from "./dom.js";

const SPEEDS = [0.5, 1, 2, 4],
  STEP_MS = 500;

export class Player {
  /** Plays the steps 0 to `last` and begins at the last; `draw()` of the extending class shows the step `at`. */
  constructor(last) {
    Object.assign(this, { last, at: last, isPlaying: false, speed: 1 });
    this.where = h("span", {});
    this.slider = h("input", {
      class: "u-range",
      type: "range",
      min: 0,
      max: last,
      "aria-label": "unmasking step",
    });
    this.slider.addEventListener("input", () => {
      const at = Number(this.slider.value);
      this.play(false);
      this.go(at);
    });
    this.playButton = h("button", { class: "u-btn", type: "button", onclick: () => this.play(!this.isPlaying) });
  }

  controls() {
    const jump = (label, words, by) =>
      h(
        "button",
        { class: "u-btn", type: "button", "aria-label": words, title: words, onclick: () => this.move(by) },
        label,
      );
    const speed = h(
      "select",
      {
        class: "u-select",
        "aria-label": "speed",
        onchange: (event) => {
          this.speed = Number(event.target.value);
        },
      },
      ...SPEEDS.map((value) => h("option", { value, selected: value === 1 }, `${value}×`)),
    );
    return h(
      "div",
      { class: "u-player" },
      jump("|◀", "First step (Home)", -this.last),
      jump("◀", "Step back (←)", -1),
      this.playButton,
      jump("▶", "Step on (→)", 1),
      jump("▶|", "Last step (End)", this.last),
      this.slider,
      this.where,
      speed,
    );
  }

  /** The keys of every player, for a map of keys. */
  keys() {
    return [
      ["Space", "Play or pause", () => this.play(!this.isPlaying)],
      ["ArrowLeft", "Step back", () => this.move(-1)],
      ["ArrowRight", "Step on", () => this.move(1)],
      ["Home", "First step", () => this.move(-this.last)],
      ["End", "Last step", () => this.move(this.last)],
    ];
  }

  drawControls() {
    this.where.textContent = `${this.at + 1}/${this.last + 1}`;
    this.slider.value = this.at;
    this.playButton.textContent = this.isPlaying ? "Pause" : "Play";
  }

  go(at) {
    this.at = Math.min(Math.max(at, 0), this.last);
    this.draw();
  }

  move(by) {
    this.play(false);
    this.go(this.at + by);
  }

  play(isOn) {
    clearTimeout(this.timer);
    this.isPlaying = isOn;
    if (isOn && this.at >= this.last) this.at = 0;
    this.draw();
    if (isOn) this.timer = setTimeout(() => this.tick(), STEP_MS / this.speed);
  }

  tick() {
    this.go(this.at + 1);
    if (this.at >= this.last) this.play(false);
    else this.timer = setTimeout(() => this.tick(), STEP_MS / this.speed);
  }
}
