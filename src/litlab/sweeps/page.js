"use strict";

// Sorts a table by a column: numbers by size, then texts; what is empty, and rows without a rank, come last.
function sortBy(header) {
  const table = header.closest("table"), body = table.tBodies[0], column = header.cellIndex;
  const first = header.dataset.first, other = first === "ascending" ? "descending" : "ascending";
  const order = header.getAttribute("aria-sort") === first ? other : first;
  for (const each of table.tHead.rows[0].cells) each.setAttribute("aria-sort", each === header ? order : "none");
  const sign = order === "ascending" ? 1 : -1;
  const key = row => {
    const cell = row.cells[column];
    const [kind, value] = "number" in cell.dataset ? [0, Number(cell.dataset.number)]
      : "text" in cell.dataset ? [1, cell.dataset.text] : [2, 0];
    return {row, last: row.classList.contains("last"), kind, value};
  };
  const compare = (a, b) => a.last - b.last || a.kind - b.kind
    || sign * (a.kind === 1 ? a.value.localeCompare(b.value) : a.value - b.value);
  body.append(...Array.from(body.rows, key).sort(compare).map(each => each.row));
}

for (const header of document.querySelectorAll("th")) {
  header.querySelector("button").addEventListener("click", () => sortBy(header));
}

// The points of the lines with these numbers, with gaps between the lines.
function linesOf(data, numbers) {
  const x = [], y = [];
  for (const trace of data) {
    (trace.customdata || []).forEach((number, place) => {
      if (numbers.has(number)) { x.push(trace.x[place]); y.push(trace.y[place]); }
    });
  }
  return {x, y};
}

for (const element of document.querySelectorAll(".chart")) {
  const {figure: {data, layout}, texts} = JSON.parse(document.getElementById(`${element.id}-data`).textContent);
  for (const trace of data) if (trace.customdata) trace.text = trace.customdata.map(number => texts[number]);
  const isOfLines = data.some(trace => trace.mode === "lines");
  // Two traces on top of the others: the lines that are selected, and the one that is hovered over.
  const mode = data.some(trace => trace.mode === "markers") ? "lines+markers" : "lines"; // a line of one point is a marker
  const onTop = width => ({x: [], y: [], mode, line: {color: "#1C2733", width}, hoverinfo: "skip", showlegend: false});
  const all = isOfLines ? [...data, onTop(1.2), onTop(3)] : data;
  Plotly.newPlot(element, all, layout, {responsive: true, displayModeBar: false});
  if (!isOfLines) continue;
  const mark = (numbers, trace) => {
    const {x, y} = linesOf(data, numbers);
    Plotly.restyle(element, {x: [x], y: [y]}, [trace]);
  };
  const select = numbers => {
    Plotly.restyle(element, {opacity: numbers.size ? 0.12 : 1}, [...data.keys()]);
    mark(numbers, data.length);
  };
  element.on("plotly_hover", event => mark(new Set([event.points[0].customdata]), data.length + 1));
  element.on("plotly_unhover", () => mark(new Set(), data.length + 1));
  element.on("plotly_deselect", () => select(new Set()));
  element.on("plotly_selected", event => {
    if (!event || !event.range) return;
    const [[left, right], [low, high]] = [event.range.x, event.range.y].map(ends => [...ends].sort((a, b) => a - b));
    const numbers = new Set();
    for (const trace of data) (trace.customdata || []).forEach((number, place) => {
      const [x, y] = [trace.x[place], trace.y[place]];
      if (x !== null && x >= left && x <= right && y >= low && y <= high) numbers.add(number);
    });
    select(numbers);
  });
}
