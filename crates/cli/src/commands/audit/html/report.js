"use strict";
(() => {
  const table = document.getElementById("images");
  const rows = Array.from(table.tBodies[0].rows);
  const search = document.getElementById("search");
  const state = document.getElementById("state");
  const shown = document.getElementById("shown");
  const filter = () => {
    const text = search.value.trim().toLowerCase();
    let count = 0;
    for (const row of rows) {
      const fits = (!state.value || row.dataset.state === state.value) &&
        (!text || row.textContent.toLowerCase().includes(text));
      row.hidden = !fits;
      count += fits ? 1 : 0;
    }
    shown.textContent = `${count} of ${rows.length} shown`;
  };
  search.addEventListener("input", filter);
  state.addEventListener("change", filter);
  const order = new Intl.Collator("en", { numeric: true });
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const head = button.parentElement;
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const at = head.cellIndex;
    const key = (row) => row.cells[at].textContent;
    rows.sort((a, b) => (down ? -1 : 1) * order.compare(key(a), key(b)));
    table.tBodies[0].append(...rows);
  });
  filter();
})();
