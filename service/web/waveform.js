/** A sound's shape on a canvas, in the page's colours. */

import { h } from "./dom.js";

/** A canvas that draws the clip once it comes into view; its `draw({startS, endS, atS})` marks a part and a moment. */
export function waveform(clip, { height = 40, className = "", onDrawn = () => {} } = {}) {
  const canvas = h("canvas", { class: `waveform ${className}`, height, "aria-hidden": "true" });
  canvas.draw = async (marks = {}) => {
    const drawn = await clip.drawn();
    canvas.classList.toggle("is-missing", !drawn);
    if (drawn) paint(canvas, drawn, marks);
    onDrawn();
    return drawn;
  };
  whenSeen(canvas, () => canvas.draw());
  return canvas;
}

function paint(canvas, { peaks, durationS }, { startS = 0, endS = durationS, atS = null }) {
  const scale = devicePixelRatio || 1;
  const width = canvas.clientWidth || 200;
  const height = canvas.clientHeight || 40;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const style = getComputedStyle(canvas);
  const [ink, faint] = [style.getPropertyValue("--wave"), style.getPropertyValue("--wave-faint")];
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const loudest = peaks.reduce((most, peak) => Math.max(most, peak), 0.02);
  const step = 3;
  for (let x = 0; x < width; x += step) {
    const seconds = (x / width) * durationS;
    const from = Math.floor((x / width) * peaks.length);
    const to = Math.max(from + 1, Math.floor(((x + step) / width) * peaks.length));
    const peak = peaks.subarray(from, to).reduce((most, value) => Math.max(most, value), 0) / loudest;
    const bar = Math.max(1, peak * (height - 2));
    context.fillStyle = seconds >= startS && seconds <= endS ? ink : faint;
    context.fillRect(x, (height - bar) / 2, step - 1, bar);
  }
  if (atS !== null) {
    context.fillStyle = style.getPropertyValue("--mark");
    context.fillRect((atS / durationS) * width - 1, 0, 2, height);
  }
}

const waiting = new Map();
const observer = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    observer.unobserve(target);
    waiting.get(target)?.();
    waiting.delete(target);
  }
});

/** Do something when an element is first on the screen: a folder may bring thousands. */
function whenSeen(element, work) {
  waiting.set(element, work);
  observer.observe(element);
}
