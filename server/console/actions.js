// ---- replay and discard: asked in a dialog, done by the server ----------------------------------
const ACTIONS = {             // path → verb, what it means
  replay: ["Replay", "It is published again under its id, and applied once, however often it is replayed. Repair the cause first, or it is rejected again."],
  discard: ["Discard", "It is not applied. It leaves this list; the table gatekeeper_rejected keeps it until it expires."],
};
const resolved = new Set();   // rows that this page has resolved and the state may still list
const rowKey = row => row.id + " " + row.settled_at;
let wanted = null;            // {action, row, button}

function actionButtons(row) {
  return Object.entries(ACTIONS).map(([action, [verb]]) => {
    const button = make("button", verb, "small");
    button.type = "button";
    button.setAttribute("aria-label", `${verb} transaction ${row.id}`);
    button.addEventListener("click", () => ask(action, row, button));
    return button;
  });
}

function ask(action, row, button) {
  const [verb, note] = ACTIONS[action];
  wanted = {action, row, button};
  setText($("confirm-title"), `${verb} this transaction?`);
  setText($("confirm-id"), row.id);
  setText($("confirm-reason"), row.reason + (row.error ? ": " + row.error : ""));
  setText($("confirm-tables"), (row.tables || "not known").replaceAll(",", ", "));
  setText($("confirm-note"), note);
  setText($("confirm-yes"), verb);
  $("confirm").showModal();
  $("confirm-no").focus();
}

async function act({action, row}) {
  const say = (text, kind) => { setText($("done"), text); $("done").className = "note " + kind; };
  say(`${ACTIONS[action][0]} of ${row.id} …`, "");
  try {
    const answer = await fetch(`console/rejected/${encodeURIComponent(row.id)}/${action}`,
      {method: "POST", headers: headers({}), signal: AbortSignal.timeout(60000)});
    const done = await answer.json();
    if (answer.status !== 200) throw new Error(done.error[0].message);
    const refused = done.results.some(each => each.outcome === "refused");
    if (!refused) { resolved.add(rowKey(row)); $("done").focus(); }
    say(`${row.id}: ` + done.results.map(each => each.outcome + (each.detail ? " (" + each.detail + ")" : "")).join(", ")
      + (action === "replay" && !refused ? ". If it is rejected again, it is listed again." : "."), refused ? "bad" : "good");
  } catch (error) {
    say(`${row.id}: ${String(error.message || error)}`, "bad");
  }
  poll();
  if ($("search-id").value.trim() === row.id && $("found").children.length) search(row.id);
}

$("confirm-no").addEventListener("click", () => $("confirm").close());
$("confirm-yes").addEventListener("click", () => { const chosen = wanted; $("confirm").close(); act(chosen); });
$("confirm").addEventListener("close", () => {
  if ($("confirm").open) return; // the event comes after a moment, in which it may be open again
  if (wanted && wanted.button.isConnected) wanted.button.focus();
  wanted = null;
});
