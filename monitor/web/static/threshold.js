// A slider over the rows of the table behind the curve. Without script the table says it all.
"use strict";
for (const card of document.querySelectorAll("[data-thresholds]")) {
  const rows = [...card.querySelectorAll("tbody tr")].map((row) => [...row.children].map((cell) => cell.textContent));
  const line = card.querySelector(".slider");
  if (rows.length < 2 || !line) continue;
  const input = line.querySelector("input");
  const said = line.querySelector("output");
  const show = () => {
    const [threshold, passes, n, right, interval] = rows[rows.length - 1 - Number(input.value)];
    said.textContent = `from ${threshold} on: ${passes} pass, ${right} right (${interval || "no label"}), n ${n}`;
    input.setAttribute("aria-valuetext", said.textContent);
  };
  input.max = String(rows.length - 1);
  const near = rows.findIndex((row) => Number(row[0]) <= 0.9);
  input.value = String(rows.length - 1 - (near < 0 ? 0 : near));
  input.addEventListener("input", show);
  line.hidden = false;
  show();
}
