// Elements are made, and texts are texts: nothing that others sent is ever read as HTML.

export const byId = (id) => document.getElementById(id);

export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(key, value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Replaces all of a section but its heading.
export function show(section, ...children) {
  const heading = section.querySelector(":scope > h2");
  section.replaceChildren(...[heading, ...children].filter((child) => child !== null && child !== undefined));
}

// Columns are [heading, class]; a row is a list of texts or elements, or an element.
export function table(caption, columns, rows) {
  const head = columns.map(([name, kind]) => el("th", { scope: "col", class: kind }, name));
  const body = rows.map((row) => row instanceof Element ? row : rowOf(columns, row));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", {}, el("caption", {}, caption),
      el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body)));
}

export function rowOf(columns, cells, attributes = {}) {
  return el("tr", attributes,
    ...cells.map((cell, place) => el("td", { class: columns[place][1] }, cell)));
}
