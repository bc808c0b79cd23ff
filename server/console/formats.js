"use strict";
// Everything from the server is inserted as text, never as markup.
const $ = id => document.getElementById(id);

// ---- formats ------------------------------------------------------------------------------
const whole = new Intl.NumberFormat("en");
const tenth = new Intl.NumberFormat("en", {minimumFractionDigits: 1, maximumFractionDigits: 1});
const rate = value => value === null ? "–" : value < 100 ? tenth.format(value) : whole.format(Math.round(value));
function span(seconds) {
  if (seconds === null) return "–";
  if (seconds < 1) return Math.round(seconds * 1000) + " ms";
  if (seconds < 10) return seconds.toFixed(1) + " s";
  if (seconds < 120) return Math.round(seconds) + " s";
  if (seconds < 7200) return Math.round(seconds / 60) + " min";
  if (seconds < 172800) return Math.round(seconds / 3600) + " h";
  return Math.round(seconds / 86400) + " days";
}
function setText(node, text) { if (node.textContent !== text) node.textContent = text; }
function make(tag, text, className) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

// ---- tables: rows are kept and updated, so that nothing flickers ----------------------------
function fill(body, rows) {      // rows: [key, [[label, text, class], …], buttons]; a row keeps its first buttons
  const old = new Map([...body.children].map(row => [row.dataset.key, row]));
  rows.forEach(([name, cells, buttons], index) => {
    let row = old.get(name);
    old.delete(name);
    if (!row) {
      row = make("tr");
      row.setAttribute("role", "row");
      row.dataset.key = name;
      for (const [label] of cells) {
        const cell = make("td");
        cell.setAttribute("role", "cell");
        cell.dataset.label = label;
        cell.append(make("span", "", "text"));
        row.append(cell);
      }
      if (buttons) {
        const cell = make("td", undefined, "actions");
        cell.setAttribute("role", "cell");
        cell.append(...buttons());
        row.append(cell);
      }
    }
    cells.forEach(([, text, className], at) => {
      const cell = row.children[at];
      setText(cell.firstChild, text);
      cell.className = (className || "") + (text ? "" : " blank");
    });
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] || null);
  });
  for (const row of old.values()) row.remove();
}

