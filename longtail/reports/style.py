"""The style sheet of the pages, and the script that sorts their tables."""

STYLE = """
:root { --text: #1d232a; --soft: #57606a; --line: #d5dae0; --page: #ffffff; --band: #f4f6f8; --link: #0b5394;
  --good: #00664b; --bad: #a83c00; color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e9ec; --soft: #a3adb8; --line: #3a424b; --page: #15191e; --band: #1e242b; --link: #8ab8e6;
    --good: #5fd0ab; --bad: #ff9a63; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: break-word; }
main { max-width: 1120px; margin: 0 auto; padding: 24px 20px 64px; }
h1, h2, p, li, figcaption { overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 12px; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 40px 0 10px; }
h3 { font-size: 1rem; margin: 20px 0 6px; }
p { margin: 8px 0; max-width: 46em; }
.headline { font-size: 1.15rem; }
small { font-size: .85em; }
.soft, figcaption, dt { color: var(--soft); }
.notes { padding-left: 1.2em; max-width: 46em; color: var(--soft); font-size: .9rem; }
.notes li { margin: 4px 0; }
.box { overflow-x: auto; max-width: 100%; width: fit-content; border: 1px solid var(--line); border-radius: 6px;
  margin: 12px 0; }
.box.long { max-height: 520px; overflow-y: auto; }
table { border-collapse: separate; border-spacing: 0; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 12px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
  max-width: 24em; }
td:not(.number) { min-width: 7em; overflow-wrap: anywhere; }
tr:last-child td { border-bottom: 0; }
th { position: sticky; top: 0; background: var(--band); font-weight: 600; vertical-align: bottom; }
.number { text-align: right; white-space: nowrap; }
th.number { white-space: normal; min-width: 5.5em; }
th button { all: unset; cursor: pointer; }
th button:hover { text-decoration: underline; }
th button:focus-visible, .box:focus-visible, .drawing:focus-visible { outline: 2px solid var(--link); }
th[aria-sort="ascending"] button::after { content: " ▲"; }
th[aria-sort="descending"] button::after { content: " ▼"; }
.good { color: var(--good); }
.bad { color: var(--bad); }
figure { margin: 12px 0; min-width: 0; }
.drawing { background: #ffffff; border: 1px solid var(--line); border-radius: 6px; padding: 8px; overflow-x: auto; }
.drawing svg { display: block; width: 100%; max-width: 640px; height: auto; margin: 0 auto; }
.drawing svg text { font-family: inherit !important; }
figcaption { font-size: .85rem; margin-top: 6px; max-width: 54em; }
.pair, .cards { display: grid; gap: 8px 20px; align-items: start; }
.pair { grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
.pair > * { min-width: 0; }
.cards { grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); gap: 12px; }
.card { overflow-wrap: anywhere; border: 1px solid var(--line); border-radius: 6px; padding: 10px 14px; min-width: 0; }
.card h3 { margin: 0; }
.card p { margin: 4px 0; font-size: .9rem; }
.cards.wide { grid-template-columns: minmax(0, 1fr); }
.thumbnails, .examples { display: grid; gap: 8px; margin-top: 8px; }
.thumbnails { grid-template-columns: repeat(auto-fill, minmax(96px, 1fr)); }
.examples { grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); }
.picture { margin: 0; }
.picture img, .picture .missing { display: block; object-fit: contain; background: var(--band); border-radius: 4px; }
.thumbnails img, .thumbnails .missing { width: 96px; height: 96px; }
.examples img { width: 100%; max-height: 480px; }
.examples .missing { aspect-ratio: 4 / 3; }
.picture .missing { display: grid; place-items: center; text-align: center; font-size: .75rem; color: var(--soft); }
.picture figcaption { overflow-wrap: anywhere; font-size: .75rem; line-height: 1.3; margin-top: 3px; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 230px), 1fr)); gap: 10px 20px;
  margin: 12px 0; font-size: .9rem; }
dd { margin: 0; overflow-wrap: anywhere; }
details { margin: 24px 0; }
summary { cursor: pointer; font-weight: 600; }
pre { overflow-x: auto; background: var(--band); border-radius: 6px; padding: 12px 14px; font-size: .85rem;
  overflow-wrap: normal; }
@media (max-width: 600px) {
  main { padding: 16px 14px 48px; }
  th, td { padding: 5px 8px; }
  td br, td small { display: none; }
}
@media print {
  :root { --text: #000000; --soft: #333333; --line: #999999; --page: #ffffff; --band: #eeeeee; --good: #000000;
    --bad: #000000; color-scheme: light; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  .box, .box.long, .drawing { max-height: none; overflow: visible; border: 0; padding: 0; }
  .drawing svg { min-width: 0; max-width: 120mm; margin: 0; }
  th { position: static; }
  tr, figure, .card { overflow-wrap: anywhere; break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
"""

SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const key = (row, column) => {
    const order = row.cells[column].dataset.order;
    return order === undefined || order === "" || isNaN(order) ? order : Number(order);
  };
  const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
      const rows = [...body.rows].map((row) => [key(row, column), row]);
      const missing = (a) => Number(a === undefined);
      rows.sort(([a], [b]) => missing(a) - missing(b) || (missing(a) ? 0 : sign * compare(a, b)));
      body.append(...rows.map(([, row]) => row));
    });
  });
}
"""
