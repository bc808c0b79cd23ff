const POLL = 2000;            // milliseconds between two requests
const NEWS = 120;             // seconds that a restart is shown
let key = "";                 // the API key is kept here and nowhere else
const pids = new Map();       // process → {pid, restarted}

// ---- what is wrong, in words ------------------------------------------------------------------
function showProblems(state) {
  const wrong = state.problems;
  const asking = Object.values(state.sources).some(source => source.state === "asking");
  const workers = state.processes.filter(one => one.group === "worker" && one.pushed).length;
  const servers = state.processes.filter(one => one.group === "server" && one.pushed).length;
  const well = `All is well: ${count(servers, "server")} and ${count(workers, "worker")} work.`;
  setText($("fleet-verdict"), wrong.length ? count(wrong.length, "problem") + ":" : asking ? "loading …" : well);
  $("fleet-verdict").className = "note " + (wrong.length ? "bad" : asking ? "" : "good");
  $("problems").hidden = !wrong.length;
  fill($("problem-rows"), wrong.map(({text, runbook}, at) => [String(at), [
    ["Problem", text, "wide"], ["Runbook", "docs/runbook.md, " + runbook, "wide soft"],
  ]]));
}
function count(number, name) { return `${whole.format(number)} ${name}${number === 1 ? "" : "s"}`; }

// ---- tiles ----------------------------------------------------------------------------------
function tile(id, value, unit, more, kind) {
  const node = $(id), shown = node.querySelector(".value");
  const text = value + (unit ? " " + unit : "");
  if (shown.dataset.text !== text) {
    shown.dataset.text = text;
    shown.replaceChildren(value);
    if (unit) shown.append(make("small", " " + unit));
  }
  shown.className = "value " + (kind || "");
  setText(node.querySelector(".more"), more);
}
function fault(source) { return source.state === "asking" ? "loading …" : source.fault || ""; }

function showTiles(state) {
  const gateway = state.sources.pushgateway, totals = state.totals;
  const unseen = totals ? null : gateway.state === "asking" ? "loading …" : "the Pushgateway is unreachable";
  for (const word of ["accepted", "rejected", "applied"]) {
    let more = unseen;
    if (totals) more = whole.format(totals[word]) + " since start";
    if (totals && word === "accepted" && totals.spooled) more += `, ${whole.format(totals.spooled)} on disk`;
    if (totals && word === "applied") more += ", " + whole.format(totals.dead_lettered) + " rejected";
    tile(word, state.rates ? rate(state.rates[word]) : "–", "/ s", more);
  }
  const recent = state.recent.p50 !== null, took = recent ? state.recent : state.end_to_end || {p50: null, p99: null};
  tile("end-to-end", span(took.p50), "", unseen || (took.p99 === null ? "nothing applied yet"
    : `p99 ${span(took.p99)}, ${recent ? "last minute" : "since the start"}`));
  const waiting = state.backlog;
  tile("backlog", waiting ? whole.format(waiting.unacked) : "–", "",
    !waiting ? fault(state.sources.backlog)
    : (waiting.unacked ? "oldest " + span(waiting.oldest_age_seconds) : "nothing waits")
      + (waiting.note ? ", " + waiting.note : ""));
}

// ---- processes ------------------------------------------------------------------------------
function restarted(one) {        // seconds ago, if its process id changed while this page was open
  const known = pids.get(one.name) || {pid: 0, at: null};
  if (one.pid && one.pid !== known.pid) {
    if (known.pid) { known.at = Date.now(); setText($("news"), one.name + " was restarted"); }
    known.pid = one.pid;
  }
  pids.set(one.name, known);
  const ago = known.at === null ? null : (Date.now() - known.at) / 1000;
  return ago !== null && ago < NEWS ? ago : null;
}

function health(one) {
  const ago = restarted(one);
  const after = ago === null ? "" : ", restarted " + span(Math.max(1, ago)) + " ago";
  if (one.state === "UNKNOWN") return one.pushed.stale ? ["silent", "warn"] : ["pushing", "good"];
  if (one.state === "GONE") return ["not of this supervisord", "warn"];
  if (one.state === "EXITED" && one.exit_status === 0) return ["done", "soft"];
  if (one.state === "RUNNING") {
    if (one.pushed && one.pushed.stale) return ["running, but silent" + after, "warn"];
    return ["running" + after, after ? "warn" : "good"];
  }
  const word = one.state.toLowerCase();
  if (word === "starting" || word === "stopping") return [word + after, "warn"];
  return [word + (one.description ? ": " + one.description : ""), "bad"];
}

function work(one, of, shape) {   // a server's or a worker's counts
  if (!of) return "";
  const words = {server: [["accepted", "accepted"], ["rejected", "rejected"]],
                 worker: [["applied", "applied"], ["dead_lettered", "rejected"]]}[one.group];
  return words ? words.map(([word, name]) => `${shape(of[word])} ${name}`).join(", ") : "";
}

function showProcesses(state) {
  fill($("processes"), state.processes.map(one => {
    const [word, kind] = health(one), push = one.pushed;
    return [one.name, [
      ["Process", one.name, "name left"],
      ["State", word, "right " + kind],
      ["Up", one.uptime_seconds ? span(Math.max(1, one.uptime_seconds)) : ""],
      ["Per second", work(one, push && push.rates, rate), "number"],
      ["Since start", work(one, push, value => whole.format(value)), "number"],
      ["Last push", push ? span(push.age_seconds) + " ago" : "", "number" + (push && push.stale ? " warn" : "")],
    ]];
  }));
  const notes = [];
  const supervisord = state.sources.supervisord;
  if (supervisord.state === "absent") notes.push(`States are unknown: ${supervisord.fault}.`);
  if (supervisord.state === "up" && state.processes.some(one => one.state === "UNKNOWN"))
    notes.push(`Of other machines than ${state.machine} only processes that push are shown.`);
  if (!state.sees_other_machines)
    notes.push(`Only ${state.machine} is shown: without a Pushgateway it does not see other machines.`);
  setText($("processes-note"), notes.join(" "));
}

function showMachines(state) {
  const rows = state.machines, versions = new Set(rows.flatMap(one => one.versions));
  $("machines").hidden = !rows.length;
  setText($("machines-note"), rows.length ? (versions.size > 1 ? "Several versions run: an upgrade is in progress, or incomplete." : "") : "None is known.");
  fill($("machines-rows"), rows.map(one => [one.machine, [
    ["Machine", one.machine || "(no name)", "name left"],
    ["Processes", `${count(one.servers, "server")}, ${count(one.workers, "worker")}: ` + one.states.map(([word, number]) => `${number} ${word}`).join(", "), "wide"],
    ["Version", one.versions.join(", ") || "not known", one.versions.length > 1 ? "warn" : ""],
    ["Last push", one.age_seconds === null ? "never" : span(one.age_seconds) + " ago", "number"],
  ]]));
}

function showLanes(state) {
  const rows = state.lanes;
  $("lanes").hidden = !rows || !rows.length;
  setText($("lanes-note"), rows ? (rows.length ? "" : "No lane has messages that wait with a worker.") : fault(state.sources.pushgateway));
  if (rows) fill($("lanes-rows"), rows.map(one => [one.lane, [
    ["Lane", one.lane, "name left"],
    ["Worker", one.worker],
    ["Oldest message", span(one.oldest_seconds), "number right" + (one.oldest_seconds > 60 ? " bad" : "")],
  ]]));
}

function showRates(id, label, found) {   // the largest tables or sources, and all others
  const rows = found ? found.rows.slice() : [];
  if (found && found.others) rows.push({name: null, ...found.others});
  $(id).hidden = !rows.length;
  setText($(id + "-note"), found ? (rows.length ? "" : "Nothing moves.") : "Known after the second push.");
  fill($(id + "-rows"), rows.map(one => [one.name === null ? " others" : "=" + one.name, [
    [label, one.name === null ? "all others" : one.name || "(none)", one.name ? "name wide" : "wide soft"],
    ["Accepted", rate(one.accepted), "number"],
    ["Applied", rate(one.applied), "number"],
    ["Rejected", rate(one.rejected), "number" + (one.rejected ? " bad" : "")],
  ]]));
}

function showRejected(state) {
  const found = state.rejected, source = state.sources.ledger, rows = found ? found.latest.filter(row => !resolved.has(rowKey(row))) : [];
  $("ledger").hidden = $("counts").hidden = !rows.length;
  setText($("ledger-note"), found ? (rows.length ? "" : `None in the last ${found.days} days.`)
    : source.state === "asking" ? "reading the ledger …" : "They cannot be read: " + source.fault);
  if (!found) return;
  const words = pairs => pairs.map(([name, number]) => `${name} ${whole.format(number)}`).join(", ");
  const tables = found.other_tables ? [...found.tables, ["all others", found.other_tables]] : found.tables;
  setText($("by-reason"), words(found.reasons) + `, in the last ${found.days} days`);
  setText($("by-rejected-table"), words(tables));
  fill($("ledger-rows"), rows.map(row => [rowKey(row), [
    ["When", span(Math.max(1, state.now - Date.parse(row.settled_at) / 1000)) + " ago", "right soft"],
    ["Reason", row.reason || "", "left bad"],
    ["Error", row.error || "", "wide"],
    ["Tables", (row.tables || "").replaceAll(",", ", ")],
    ["Source", row.source || ""],
    ["Transaction", row.id, "mono wide soft"],
  ], () => actionButtons(row)]));
}

// ---- polling --------------------------------------------------------------------------------
function live(text, kind) { setText($("live"), text); $("live").className = "pill " + kind; }
function headers(more) { return key ? {...more, Authorization: "Bearer " + key} : more; }
function locked(why) {
  $("locked").hidden = false;
  $("key").setAttribute("aria-invalid", "true");
  setText($("key-note"), why + " It stays in this page's memory and is gone when you leave.");
}

let timer = 0, turn = 0;
async function poll() {
  clearTimeout(timer);
  if (document.hidden) return live("paused", "soft");
  const mine = ++turn;
  try {
    const answer = await fetch("console/state", {headers: headers({}), cache: "no-store", signal: AbortSignal.timeout(8000)});
    if (mine !== turn) return;
    if (answer.status === 401) {
      live("locked", "warn");
      locked(key ? "This key is not known." : "The numbers need an API key.");
    } else if (!answer.ok) {
      throw new Error("HTTP " + answer.status);
    } else {
      const state = await answer.json();
      if (mine !== turn) return;
      $("key").removeAttribute("aria-invalid");
      if (key) setText($("key-note"), "The key is in use.");
      showProblems(state); showTiles(state); showMachines(state); showLanes(state);
      showProcesses(state); showRates("by-table", "Table", state.by_table); showRates("by-source", "Source", state.by_source);
      showRejected(state);
      setText($("by"), "answered by " + state.server);
      $("main").classList.remove("old");
      const down = Object.values(state.sources).some(source => source.state === "down");
      live(down ? "live, in part" : "live", down ? "warn" : "good");
      await fetchHistory();
    }
  } catch (error) {
    if (mine !== turn) return;
    console.info("gatekeeper: no state:", String(error));
    $("main").classList.add("old");
    live("no answer, trying again", "bad");
  }
  if (mine === turn) timer = setTimeout(poll, POLL);
}
document.addEventListener("visibilitychange", poll);

// ---- the form -------------------------------------------------------------------------
function show(status, message, kind, more) {
  const head = make("p", `${status} ${message}`.trim(), "head " + kind);
  $("verdict").replaceChildren(head, ...more);
}
function one(fault) {
  const item = make("li");
  item.append(make("div", fault.message, "text"));
  const where = make("code", `${fault.pointer || "the whole"} · ${fault.rule}`, "text");
  item.append(where);
  if (fault.got !== null && fault.got !== undefined)
    item.append(make("div", "got " + JSON.stringify(fault.got).slice(0, 300), "text mono"));
  return item;
}
function durable(answer) {
  return answer.headers.get("Durable-In") === "spool"
    ? "Accepted: the spool on the server's disk has it; it goes to Pub/Sub when that can be reached."
    : "Accepted: Pub/Sub has it.";
}
// Follow a transaction until it is settled, or another verdict is shown. Each question is a BigQuery
// job, so the waits grow.
async function follow(id, shown) {
  for (let seconds = 1; shown.isConnected; seconds = Math.min(seconds * 1.5, 30)) {
    await new Promise(resolve => setTimeout(resolve, seconds * 1000));
    if (!shown.isConnected) return;
    try {
      const answer = await fetch("api/activities/" + encodeURIComponent(id), {headers: headers(), signal: AbortSignal.timeout(15000)});
      const row = await answer.json();
      if (answer.status === 200) {
        shown.textContent = row.state === "applied" ? "Applied." : "Rejected: " + row.reason + (row.error ? ": " + row.error : "");
        return;
      }
      shown.textContent = answer.status === 404 ? "Not applied yet." : "Its state is unknown: " + row.error[0].message;
    } catch (error) {
      shown.textContent = "Its state is unknown: " + String(error.message || error);
    }
  }
}
async function attempt(path, sent) {
  const buttons = [$("validate"), $("send")];
  if ($("try").getAttribute("aria-busy") === "true") return;
  $("try").setAttribute("aria-busy", "true");
  for (const button of buttons) button.setAttribute("aria-disabled", "true");
  try {
    const answer = await fetch(path, {method: "POST", body: $("payload").value,
      headers: headers({"Content-Type": "application/json"}), signal: AbortSignal.timeout(60000)});
    const verdict = await answer.json();
    const more = [];
    if (verdict.status === 200) more.push(make("p", sent ? durable(answer) : "It is valid. Nothing was published.", "note"));
    if (verdict.id) more.push(make("p", "id " + verdict.id, "mono"));
    if (Array.isArray(verdict.error)) {
      const list = make("ol");
      list.append(...verdict.error.map(one));
      more.push(make("p", verdict.error.length === 1 ? "1 fault" : whole.format(verdict.error.length) + " faults", "note"), list);
    }
    if (verdict.truncated) more.push(make("p", "There are more faults: the check stopped.", "note"));
    const settled = make("p", "Not applied yet.", "note");
    if (verdict.id) more.push(settled);
    show(verdict.status, verdict.message, verdict.status === 200 ? "good" : "bad", more);
    if (verdict.id) follow(verdict.id, settled);
    if (verdict.status === 401) locked(key ? "This key is not known." : "Trying a payload needs an API key.");
  } catch (error) {
    show("", "No verdict", "bad", [make("p", String(error.message || error), "note")]);
  } finally {
    $("try").removeAttribute("aria-busy");
    for (const button of buttons) button.removeAttribute("aria-disabled");
  }
  poll();
}
$("try").addEventListener("submit", event => { event.preventDefault(); attempt("api/activities/validate", false); });
$("send").addEventListener("click", () => attempt("api/activities", true));
$("payload").addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); $("try").requestSubmit(); }
});
$("locked").addEventListener("submit", event => {
  event.preventDefault();
  key = $("key").value.trim();
  $("key").value = "";
  poll();
});
poll();
