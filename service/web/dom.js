/** Elements, made in one line each. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element with attributes, `on` as listeners by event, and children; null and false are left out.
 *
 * Text is always text: nothing here reads HTML, so no file's name can become a part of the page.
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  add(element, children);
  return element;
}

function add(element, children) {
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

/** Put other children into an element. */
export function show(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

export function button(text, onClick, attributes = {}) {
  return h("button", { type: "button", ...attributes, on: { click: onClick } }, text);
}

/** A button of one sign, with a name for who cannot see it. */
export function iconButton(sign, name, onClick, attributes = {}) {
  const shown = { title: name, "aria-label": name, class: "icon", ...attributes };
  return button(h("span", { "aria-hidden": "true" }, sign), onClick, shown);
}

export function select(options, chosen, onChange, attributes = {}) {
  const rows = options.map(([value, text]) => h("option", { value, selected: value === chosen }, text));
  return h("select", { ...attributes, on: { change: (event) => onChange(event.target.value) } }, rows);
}

/** What may be wider than the screen: it scrolls by itself, by keys too. */
export function scrolling(name, ...children) {
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": name }, children);
}

/** A table of heads and rows, where "" is the head of a column that needs none. */
export function tableOf(name, heads, rows) {
  const columns = heads.map((text) => (text ? h("th", { scope: "col" }, text) : h("td")));
  return scrolling(name, h("table", {}, h("thead", {}, h("tr", {}, columns)), h("tbody", {}, rows)));
}

let numIds = 0;

/** A name that no other element has. */
export function newId(stem) {
  numIds += 1;
  return `${stem}-${numIds}`;
}
