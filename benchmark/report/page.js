// Sorts and filters the tables of the page and links its parts; it is read without this too.
"use strict";

// What a cell sorts by: its number if it begins with one, else its text.
function sortKey(cell) {
  const text = cell ? cell.innerText.trim().replace(/,/g, "").replace("\u2212", "-") : "";
  const number = parseFloat(text);
  return Number.isNaN(number) ? text.toLowerCase() : number;
}

// Rows with those that belong to them: a published row stands under the one that reproduces it.
function groups(body) {
  const all = [];
  for (const row of body.rows) {
    if (row.classList.contains("published") && all.length) all[all.length - 1].push(row);
    else all.push([row]);
  }
  return all;
}

function sort(head, column) {
  const body = head.closest("table").tBodies[0];
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const keyed = groups(body).map((rows) => [sortKey(rows[0].cells[column]), rows]);
  keyed.sort(([a], [b]) => {
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1);
  });
  for (const [, rows] of keyed) body.append(...rows);
}

function filter(table, words) {
  for (const rows of groups(table.tBodies[0])) {
    const text = rows.map((row) => row.textContent.toLowerCase()).join(" ");
    const shown = words.every((word) => text.includes(word));
    for (const row of rows) row.hidden = !shown;
  }
}

for (const table of document.querySelectorAll("table")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.classList.add("sorts");
    head.tabIndex = 0;
    head.addEventListener("click", () => sort(head, column));
    head.addEventListener("keydown", (event) => event.key === "Enter" && sort(head, column));
  });
  if (table.tBodies[0].rows.length < 12) continue;
  const field = document.createElement("input");
  field.className = "filter";
  field.type = "search";
  field.placeholder = "Show rows with \u2026";
  field.setAttribute("aria-label", field.placeholder);
  const words = () => field.value.toLowerCase().split(/\s+/).filter(Boolean);
  field.addEventListener("input", () => filter(table, words()));
  table.parentElement.before(field);
}

// Headings and rows of verdicts link to themselves, so that an address can be copied.
for (const place of document.querySelectorAll("h2[id], h3[id], :is(.judged, .ran) tbody tr[id]")) {
  const link = document.createElement("a");
  link.className = "anchor";
  link.href = `#${place.id}`;
  const of = place.tagName === "TR" ? place.cells[0] : place;
  link.setAttribute("aria-label", `Link to ${of.firstChild.textContent}`);
  // In a row it stands behind the label, before what is below that.
  of.insertBefore(link, of.querySelector(":scope > small, :scope > details"));
}

// A link to what is folded away unfolds it.
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  if (target) target.scrollIntoView();
}
addEventListener("hashchange", unfold);
if (location.hash) unfold();
