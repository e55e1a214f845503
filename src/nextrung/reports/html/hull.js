"use strict";
/* The hull explorer: the hull of the labels beside the hull of a model. */
(() => {
  const explorer = document.querySelector(".explorer");
  if (!explorer) return;
  const hull = JSON.parse(explorer.querySelector("script").textContent);
  const [input, menu] = [explorer.querySelector("input"), explorer.querySelector("select")];
  const [note, canvas] = [".hull-note", ".hull-plot"].map((name) => explorer.querySelector(name));
  const list = document.querySelector(".hull-table");

  const MAX_COLOUR = 200; /* energy above the hull in meV/atom from which the colour is the same */
  const MAX_NAMED = 15; /* phases on the hull that are named in the plot */
  const MAX_LISTED = 100; /* materials in the table */
  const ROUNDING = 0.1; /* energies are rounded to this, in meV/atom */
  const GREY = "rgba(128,128,128,0.9)";
  /* Positions of the pure elements of ternary and quaternary systems. */
  const CORNERS = {
    3: [[0, 0], [1, 0], [0.5, Math.sqrt(0.75)]],
    4: [[0, 0, 0], [1, 0, 0], [0.5, Math.sqrt(0.75), 0], [0.5, Math.sqrt(1 / 12), Math.sqrt(2 / 3)]],
  };

  const onHull = (energy) => energy !== null && energy < ROUNDING / 2;
  const format = (value) => (value === null ? "–" : value.toFixed(1));
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const within = (elements) => hull.materials.map((_, index) => index)
    .filter((index) => Object.keys(hull.fractions[index]).every((symbol) => elements.includes(symbol)));

  /* Solve a small system of linear equations by Gauss-Jordan elimination; null if it is singular. */
  const solve = (matrix, right) => {
    const rows = matrix.map((row, i) => [...row, right[i]]);
    for (let k = 0; k < rows.length; k += 1) {
      const pivot = rows.slice(k).reduce((best, row, i) => (Math.abs(row[k]) > Math.abs(rows[best][k]) ? i + k : best), k);
      [rows[k], rows[pivot]] = [rows[pivot], rows[k]];
      if (Math.abs(rows[k][k]) < 1e-9) return null;
      rows.forEach((row, i) => {
        const factor = i === k ? 0 : row[k] / rows[k][k];
        row.forEach((value, j) => { row[j] = value - factor * rows[k][j]; });
      });
    }
    return rows.map((row, k) => row[rows.length] / row[k]);
  };

  /* Pairs of phases that coexist: a facet of the hull is as many phases as there are elements, at whose
     chemical potentials no other phase has a lower energy. */
  const findEdges = (elements, stable, values) => {
    const parts = stable.map((index) => elements.map((symbol) => hull.fractions[index][symbol] ?? 0));
    const energies = stable.map((index) => values[index][0]);
    const edges = new Map();
    const extend = (chosen, next) => {
      if (chosen.length < elements.length) {
        for (let i = next; i < stable.length; i += 1) extend([...chosen, i], i + 1);
        return;
      }
      const potentials = solve(chosen.map((i) => parts[i]), chosen.map((i) => energies[i]));
      if (!potentials || parts.some((part, i) => energies[i] < dot(part, potentials) - ROUNDING)) return;
      chosen.forEach((one) => chosen.filter((other) => other > one).forEach((other) => {
        edges.set(`${one} ${other}`, [stable[one], stable[other]]);
      }));
    };
    extend([], 0);
    return [...edges.values()];
  };

  /* Traces of one panel: tie lines, materials, names of compounds on the hull, names of elements. */
  const drawPanel = (elements, indices, { title, values, suffix }) => {
    const corners = CORNERS[elements.length];
    const position = (index) => {
      const part = elements.map((symbol) => hull.fractions[index][symbol] ?? 0);
      return corners ? corners[0].map((_, axis) => dot(part, corners.map((corner) => corner[axis]))) : [part[1], values[index][0]];
    };
    const trace = (points, options) => {
      const axes = Object.fromEntries([..."xyz"].slice(0, corners?.[0].length ?? 2).map((axis, k) => [axis, points.map((point) => point[k])]));
      const panel = axes.z ? { type: "scatter3d", scene: `scene${suffix}` } : { type: "scatter", xaxis: `x${suffix}`, yaxis: `y${suffix}` };
      return { ...axes, ...panel, hoverinfo: "skip", showlegend: false, ...options };
    };
    const known = indices.filter((index) => values[index][1] !== null).sort((a, b) => values[b][1] - values[a][1]);
    const stable = known.filter((index) => onHull(values[index][1]));
    const named = stable.filter((index) => Object.keys(hull.fractions[index]).length > 1);
    const shown = named.length > MAX_NAMED ? [] : named;
    const gap = [null, null, null];
    const centre = corners?.[0].map((_, axis) => dot(corners.map((corner) => corner[axis]), corners.map(() => 1 / corners.length)));
    const outside = (corner) => corner.map((value, axis) => value + 0.07 * (value - centre[axis]));
    return [
      trace(findEdges(elements, stable, values).flatMap((edge) => [...edge.map(position), gap]), { mode: "lines", line: { color: GREY, width: 1.5 } }),
      trace(known.map(position), {
        mode: "markers", name: title, hoverinfo: "text+name",
        text: known.map((index) => `<b>${hull.formulas[index]}</b> ${hull.materials[index]}<br>`
          + `formation ${format(hull.labels[index][0])} (labels), ${format(values[index][0])} (here)<br>`
          + `above hull ${format(hull.labels[index][1])} (labels), ${format(values[index][1])} (here) meV/atom`),
        marker: {
          color: known.map((index) => values[index][1]), coloraxis: "coloraxis", line: { width: 2 }, size: elements.length > 3 ? 5 : 9,
          symbol: known.map((index) => (onHull(values[index][1]) ? "circle" : "circle-open")),
        },
      }),
      trace(shown.map(position), { mode: "text", text: shown.map((index) => hull.formulas[index]), textposition: "bottom center" }),
      ...(corners ? [trace(corners.map(outside), { mode: "text", text: elements.map((symbol) => `<b>${symbol}</b>`) })] : []),
    ];
  };

  /* Two panels, side by side or, on a narrow page, one below the other. */
  const layOut = (elements, panels) => {
    const narrow = canvas.clientWidth < 600;
    canvas.style.height = narrow ? "720px" : "520px";
    const domains = narrow
      ? [{ x: [0, 1], y: [0.57, 1] }, { x: [0, 1], y: [0, 0.43] }]
      : [{ x: [0, 0.47], y: [0, 1] }, { x: [0.53, 1], y: [0, 1] }];
    const layout = {
      margin: { l: 10, r: 10, t: 40, b: 10 },
      hovermode: "closest",
      coloraxis: {
        colorscale: "Viridis", cmin: 0, cmax: MAX_COLOUR,
        colorbar: { title: { text: "above hull (meV/atom)", side: "top" }, orientation: "h", yanchor: "top", y: narrow ? -0.09 : -0.12, thickness: 10, len: 0.5 },
      },
      annotations: panels.map(({ title }, k) => ({
        text: `<b>${title}</b>`, x: (domains[k].x[0] + domains[k].x[1]) / 2, y: domains[k].y[1] + 0.02,
        xref: "paper", yref: "paper", xanchor: "center", yanchor: "bottom", showarrow: false,
      })),
    };
    panels.forEach(({ suffix }, k) => {
      const hidden = { visible: false, showspikes: false };
      const [x, y] = [{ domain: domains[k].x }, { domain: domains[k].y, anchor: `x${suffix}` }];
      if (elements.length === 4) {
        const camera = { eye: { x: 0.35, y: -1.8, z: 0.55 } };
        layout[`scene${suffix}`] = { domain: domains[k], camera, xaxis: hidden, yaxis: hidden, zaxis: hidden };
        return;
      }
      layout[`xaxis${suffix}`] = elements.length === 3
        ? { ...x, visible: false }
        : { ...x, anchor: `y${suffix}`, title: { text: narrow && !suffix ? "" : `fraction of ${elements[1]}` } };
      layout[`yaxis${suffix}`] = elements.length === 3
        ? { ...y, visible: false, scaleanchor: `x${suffix}` }
        : { ...y, ...(suffix ? { matches: "y" } : {}), ...(suffix && !narrow ? {} : { title: { text: "formation energy (meV/atom)" } }) };
    });
    return layout;
  };

  const buildRow = (tag, texts) => {
    const row = document.createElement("tr");
    texts.forEach((text, column) => {
      const cell = document.createElement(tag);
      cell.textContent = text;
      if (column > 1) cell.className = "number";
      row.append(cell);
    });
    return row;
  };
  const tabulate = (indices, predicted) => {
    const rank = (index) => hull.labels[index][1] ?? Infinity;
    const sorted = [...indices].sort((a, b) => rank(a) - rank(b)).slice(0, MAX_LISTED);
    const [table, head, body] = ["table", "thead", "tbody"].map((tag) => document.createElement(tag));
    const energies = ["Formation, labels", "Formation, model", "Above hull, labels", "Above hull, model"];
    head.append(buildRow("th", ["Formula", "Material", ...energies.map((title) => `${title} (meV/atom)`)]));
    for (const index of sorted) {
      const [model, labels] = [predicted[index], hull.labels[index]];
      const values = [labels[0], model[0], labels[1], model[1]].map(format);
      body.append(buildRow("td", [hull.formulas[index], hull.materials[index], ...values]));
    }
    table.append(head, body);
    list.replaceChildren(table);
  };

  const explore = () => {
    const elements = [...new Set(input.value.split("-").map((symbol) => symbol.trim()).filter(Boolean))];
    const indices = within(elements);
    const predicted = hull.models[menu.value];
    const known = indices.filter((index) => hull.labels[index][0] !== null || predicted[index][0] !== null);
    const drawable = known.length && elements.length >= 2 && elements.length <= 4;
    canvas.style.display = drawable ? "" : "none";
    note.textContent = (list ? `${indices.length} materials of ${elements.join(", ") || "no element"}.` : "")
      + (list && indices.length > MAX_LISTED ? ` The table lists the ${MAX_LISTED} nearest to the hull.` : "")
      + (drawable ? ` Filled: on the hull; open: above it; the colour is the same from ${MAX_COLOUR} meV/atom on.` : "")
      + (drawable && elements.length > 2 ? " Lines join phases that coexist." : "")
      + (elements.length > 4 ? " Hulls of five and more elements are not drawn." : "")
      + (indices.length && !known.length ? " None has a formation energy: a pure phase of an element is missing." : "");
    if (drawable) {
      const panels = [{ title: "labels", values: hull.labels, suffix: "" }, { title: menu.value, values: predicted, suffix: "2" }];
      Plotly.purge(canvas);
      report.show(canvas, panels.flatMap((panel) => drawPanel(elements, indices, panel)), layOut(elements, panels));
    }
    if (list) tabulate(indices, predicted);
  };

  let started = false;
  const start = () => {
    if (!started) explore();
    started = true;
  };
  report.onPrint(start);
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) start();
  }, { rootMargin: "600px" }).observe(explorer);
  [input, menu].forEach((control) => control.addEventListener("change", explore));
})();
