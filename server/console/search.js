// ---- one transaction, by its id -----------------------------------------------------------------
async function search(id) {
  const found = $("found");
  found.replaceChildren(make("p", "searching …", "note"));
  try {
    const answer = await fetch("console/transactions/" + encodeURIComponent(id),
      {headers: headers({}), cache: "no-store", signal: AbortSignal.timeout(30000)});
    const path = await answer.json();
    if (answer.status !== 200) throw new Error(path.error[0].message);
    const list = make("ol", undefined, "steps");
    for (const step of path.steps) {
      const item = make("li");
      item.append(make("b", step.place), make("span", step.text, "text " + step.kind));
      list.append(item);
    }
    found.replaceChildren(make("p", "Transaction " + path.id + (path.lane ? ", " + path.lane : ""), "mono"), list);
    if (path.open.length) {
      const row = make("div", undefined, "row");
      row.append(...actionButtons(path.open[0]));
      found.append(row);
    }
  } catch (error) {
    found.replaceChildren(make("p", "No answer: " + String(error.message || error), "note bad"));
  }
}
$("search").addEventListener("submit", event => {
  event.preventDefault();
  const id = $("search-id").value.trim();
  if (id) search(id);
});
