// ---- charts: their history comes from the server, a point every few seconds -------------------
const CHARTS = [              // title, unit, how several points become one, lines: series and name
  ["Transactions", "per second", "mean",
    [["accepted", "accepted"], ["applied", "applied"], ["rejected", "rejected at the gate"], ["dead_lettered", "rejected by workers"]]],
  ["End to end", "seconds", "most", [["p50", "median"], ["p99", "p99"]]],
  ["Backlog", "transactions", "most", [["backlog", "waiting"]]],
  ["Oldest transaction that waits", "seconds", "most", [["oldest_seconds", "age"]]],
];
const HIGH = 150, LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 20;   // pixels
const GAP = 120;              // seconds without a point that interrupt a line
const TICKS = {900: 300, 3600: 900, 21600: 3600};               // range → seconds between two times
const clock = new Intl.DateTimeFormat("en", {hour: "2-digit", minute: "2-digit", hourCycle: "h23"});
const short = new Intl.NumberFormat("en", {maximumSignificantDigits: 3, notation: "compact"});
const SVG = "http://www.w3.org/2000/svg";
const slots = new Map();      // time in steps → {at, accepted, …}: servers do not sample together
let newest = -Infinity, asked = -Infinity, step = 10;

function svg(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function keep(history) {
  step = history.step_seconds;
  for (const [at, ...values] of history.points) {
    const slot = Math.floor(at / step);
    if (!slots.has(slot)) slots.set(slot, Object.fromEntries(values.map((value, n) => [history.series[n], value]).concat([["at", at]])));
    newest = Math.max(newest, at);
  }
  const oldest = (newest - Math.max(...Object.keys(TICKS))) / step;
  for (const slot of slots.keys()) if (slot < oldest - 1) slots.delete(slot);
}

function drawCharts() {
  const range = Number(document.querySelector("#ranges input:checked").value);
  const points = [...slots.keys()].sort((a, b) => a - b).map(slot => slots.get(slot)).filter(point => point.at > newest - range);
  if (!$("charts").children.length) CHARTS.forEach(([title, unit, , lines]) => $("charts").append(figure(title, unit, lines)));
  CHARTS.forEach((chart, n) => drawChart($("charts").children[n], chart, points, range));
  setText($("charts-note"), points.length > 1 ? "" : `The charts fill while the servers run: a point every ${step} s.`);
}

function figure(title, unit, lines) {
  const node = make("figure"), list = make("ul", undefined, "keys");
  node.append(make("h3", `${title}, ${unit}`), list, svg("svg", {role: "img"}));
  lines.forEach(([, name], n) => {
    const key = make("li"), sample = svg("svg", {viewBox: "0 0 22 9", "aria-hidden": "true"});
    sample.append(svg("path", {class: `line line-${n}`, d: "M1 5H21"}));
    key.append(sample, name + " ", make("b"));
    list.append(key);
  });
  return node;
}

function drawChart(node, [title, unit, how, lines], points, range) {
  const chart = node.lastChild, wide = Math.max(160, node.clientWidth);
  const drawn = lines.map(([name]) => merged(points, name, how, range, wide));
  const [most, every] = scale(Math.max(0, ...drawn.flat(2).map(([, value]) => value)));
  const x = at => LEFT + (wide - LEFT - RIGHT) * (1 - (newest - at) / range);
  const y = value => HIGH - BOTTOM - (HIGH - TOP - BOTTOM) * value / most;
  const parts = [];
  for (let n = 0; n * every <= most * 1.001; n += 1) {
    parts.push(svg("path", {class: "grid", d: `M${LEFT} ${y(n * every).toFixed(1)}H${wide - RIGHT}`}));
    parts.push(svg("text", {x: LEFT - 6, y: (y(n * every) + 4).toFixed(1), "text-anchor": "end"}, short.format(n * every)));
  }
  if (points.length) for (const at of times(range)) {
    parts.push(svg("path", {class: "grid", d: `M${x(at).toFixed(1)} ${HIGH - BOTTOM}v4`}));
    parts.push(svg("text", {x: x(at).toFixed(1), y: HIGH - 4, "text-anchor": x(at) > wide - 20 ? "end" : "middle"}, clock.format(at * 1000)));
  }
  drawn.forEach((pieces, n) => parts.push(svg("path", {class: `line line-${n}`, d: pieces.map(piece =>
    "M" + piece.map(([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("L") + (piece.length > 1 ? "" : "h.1")).join("")})));
  chart.setAttribute("viewBox", `0 0 ${wide} ${HIGH}`);
  chart.replaceChildren(...parts);
  const last = points.length ? points[points.length - 1] : {};
  const words = lines.map(([name, word], n) => {
    const values = drawn[n].flat().map(([, value]) => value), now = known(last[name]) ? short.format(last[name]) : "not known";
    setText(node.children[1].children[n].lastChild, known(last[name]) ? now : "–");
    return `${word}: now ${now}` + (values.length ? `, at most ${short.format(Math.max(...values))}` : "");
  });
  chart.setAttribute("aria-label", `${title}, ${unit}, the last ${range < 3600 ? range / 60 + " minutes" : count(range / 3600, "hour")}. ${words.join("; ")}.`);
}

function known(value) { return value !== null && value !== undefined; }

// Pieces of a line, each [[time, value], …]: an unknown value or a gap ends one. A point for every
// two pixels at most.
function merged(points, name, how, range, wide) {
  const bin = Math.max(step, range / (wide / 2)), pieces = [];
  let piece = [], open = null;
  const close = () => {
    if (open) piece.push([open.at, how === "mean" ? open.sum / open.number : open.most]);
    open = null;
  };
  const cut = () => { close(); if (piece.length) pieces.push(piece); piece = []; };
  let before = null;
  for (const point of points) {
    const value = point[name];
    if (before !== null && point.at - before > GAP) cut();
    before = point.at;
    if (!known(value)) { cut(); continue; }
    const place = Math.floor(point.at / bin);
    if (open && open.place !== place) close();
    open = open || {place, sum: 0, number: 0, most: 0};
    open.at = point.at; open.sum += value; open.number += 1; open.most = Math.max(open.most, value);
  }
  cut();
  return pieces;
}

function scale(most) {           // the top of the axis and the distance of its ticks: 1, 2 or 5 times a power of ten
  const least = Math.max(most, 1) / 4, power = 10 ** Math.floor(Math.log10(least));
  const every = [1, 2, 5, 10].map(times => times * power).find(each => each >= least);
  return [Math.ceil(Math.max(most, 1) / every) * every, every];
}

function times(range) {          // at full hours, quarters or five minutes of the local time
  const every = TICKS[range], zone = new Date().getTimezoneOffset() * 60, found = [];
  for (let at = Math.ceil((newest - range - zone) / every) * every + zone; at <= newest; at += every) found.push(at);
  return found;
}

async function fetchHistory() {
  if (Date.now() / 1000 - asked < step) return;
  asked = Date.now() / 1000;
  const after = Number.isFinite(newest) ? "?after=" + newest : "";
  const answer = await fetch("console/history" + after, {headers: headers({}), cache: "no-store", signal: AbortSignal.timeout(8000)});
  if (answer.ok) keep(await answer.json());
  drawCharts();
}
$("ranges").addEventListener("change", drawCharts);
new ResizeObserver(() => { if ($("charts").children.length) drawCharts(); }).observe($("charts"));
