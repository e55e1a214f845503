"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const clear = "rgba(0,0,0,0)";
  const config = {
    responsive: true,
    displaylogo: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };

  /* Colours of everything in a plot that is not data. */
  const template = (isDark) => {
    const ink = isDark ? "#cfd6de" : "#2b3440";
    const grid = isDark ? "#26303a" : "#e7ebef";
    const line = isDark ? "#4a5764" : "#b9c2cb";
    const axis = {
      gridcolor: grid, linecolor: line, zerolinecolor: line, zerolinewidth: 1,
      automargin: true, ticks: "outside", tickcolor: line, ticklen: 4,
    };
    const ternary = { gridcolor: grid, linecolor: line };
    return {
      layout: {
        font: { family: "system-ui, sans-serif", size: 12, color: ink },
        paper_bgcolor: clear,
        plot_bgcolor: clear,
        xaxis: axis,
        yaxis: axis,
        ternary: { bgcolor: clear, aaxis: ternary, baxis: ternary, caxis: ternary },
        hoverlabel: {
          bgcolor: isDark ? "#1d2630" : "#ffffff", bordercolor: line, font: { color: ink },
        },
        modebar: { bgcolor: clear, color: line, activecolor: ink },
      },
    };
  };

  const plots = new Set();
  const show = (canvas, data, layout) => {
    plots.add(canvas);
    return Plotly.react(canvas, data, { ...layout, template: template(dark.matches) }, config);
  };
  const recolour = (isDark) => {
    for (const canvas of plots) Plotly.relayout(canvas, { template: template(isDark) });
  };
  dark.addEventListener("change", () => recolour(dark.matches));

  /* Figures: drawn once, when they come near the window. */
  const draw = (figure) => {
    if (figure.dataset.drawn) return;
    figure.dataset.drawn = "yes";
    const canvas = figure.querySelector(".plot");
    const spec = JSON.parse(figure.querySelector("script").textContent);
    const chooser = figure.querySelector("select");
    const mask = () => {
      const chosen = spec.views[chooser.value];
      return spec.data.map((_, place) => chosen.includes(place));
    };
    if (chooser) {
      mask().forEach((visible, place) => { spec.data[place].visible = visible; });
      chooser.addEventListener("change", () => {
        const free = spec.layout.xaxis ? { "xaxis.autorange": true, "yaxis.autorange": true } : {};
        Plotly.update(canvas, { visible: mask() }, free);
      });
    }
    show(canvas, spec.data, spec.layout);
  };
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "600px" });
  const figures = [...document.querySelectorAll("figure.chart")];
  figures.forEach((figure) => near.observe(figure));

  let begin = () => {};

  /* Printing: everything drawn, in light colours, as wide as the paper. */
  addEventListener("beforeprint", () => {
    figures.forEach(draw);
    begin();
    document.body.style.width = "48rem";
    recolour(false);
    for (const canvas of plots) Plotly.Plots.resize(canvas);
  });
  addEventListener("afterprint", () => {
    document.body.style.width = "";
    recolour(dark.matches);
    for (const canvas of plots) Plotly.Plots.resize(canvas);
  });

  /* The table of contents marks the section being read. */
  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const reading = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const [anchor, link] of links) link.classList.toggle("current", anchor === entry.target.id);
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  document.querySelectorAll("main > section").forEach((section) => reading.observe(section));

  /* The hull explorer. */
  const explorer = document.querySelector(".explorer");
  if (!explorer) return;
  const hull = JSON.parse(explorer.querySelector("script").textContent);
  const [input, select] = [explorer.querySelector("input"), explorer.querySelector("select")];
  const [note, canvas, list] = [".hull-note", ".hull-plot", ".hull-table"].map((name) => explorer.querySelector(name));
  const grey = "rgba(128,128,128,0.9)";
  const accent = "#3b86e0";
  const onHull = (energy) => energy !== null && energy < 0.05;

  const within = (elements) => hull.materials.map((_, place) => place)
    .filter((place) => Object.keys(hull.fractions[place]).every((symbol) => elements.includes(symbol)));
  const label = (place) => `<b>${hull.formulas[place]}</b> ${hull.materials[place]}`;

  const binary = (elements, places, predicted) => {
    const x = (place) => hull.fractions[place][elements[1]] ?? 0;
    const layers = [["labels", hull.labels, grey, "circle"], [select.value, predicted, accent, "diamond"]];
    const data = layers.flatMap(([name, values, color, symbol]) => {
      const known = places.filter((place) => values[place][0] !== null);
      const stable = known.filter((place) => onHull(values[place][1])).sort((a, b) => x(a) - x(b));
      return [
        { x: stable.map(x), y: stable.map((p) => values[p][0]), mode: "lines", line: { color, width: 1.5 }, hoverinfo: "skip", showlegend: false },
        {
          x: known.map(x), y: known.map((p) => values[p][0]), text: known.map(label), name, mode: "markers",
          customdata: known.map((p) => values[p][1]), marker: { color, symbol, size: 8 },
          hovertemplate: "%{text}<br>%{y:.1f} meV/atom, %{customdata:.1f} above the hull<extra>%{fullData.name}</extra>",
        },
      ];
    });
    return show(canvas, data, {
      xaxis: { title: { text: `fraction of ${elements[1]}` }, range: [-0.03, 1.03] },
      yaxis: { title: { text: "formation energy (meV/atom)" } },
      margin: { l: 10, r: 10, t: 10, b: 10 },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      hovermode: "closest",
    });
  };

  const ternary = (elements, places, predicted) => {
    const known = places.filter((place) => predicted[place][1] !== null);
    const part = (symbol) => known.map((place) => hull.fractions[place][symbol] ?? 0);
    const [a, b, c] = elements;
    const data = [{
      type: "scatterternary", a: part(a), b: part(b), c: part(c), mode: "markers", text: known.map(label),
      customdata: known.map((place) => [predicted[place][1], hull.labels[place][1] ?? "–"]),
      marker: {
        color: known.map((place) => predicted[place][1]), colorscale: "Viridis", cmin: 0, size: 10,
        symbol: known.map((place) => (onHull(predicted[place][1]) ? "circle" : "circle-open")),
        line: { width: 2 },
        colorbar: { title: { text: "meV/atom" }, thickness: 10, len: 0.9, outlinewidth: 0 },
      },
      hovertemplate: "%{text}<br>above the hull: %{customdata[0]} (model), %{customdata[1]} (labels) meV/atom<extra></extra>",
    }];
    const axis = (title) => ({ title: { text: title } });
    return show(canvas, data, {
      ternary: { sum: 1, aaxis: axis(a), baxis: axis(b), caxis: axis(c) },
      margin: { l: 50, r: 30, t: 40, b: 40 },
    });
  };

  const cell = (tag, text, name) => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const row = (tag, texts) => {
    const made = document.createElement("tr");
    texts.forEach((text, place) => made.append(cell(tag, text, place > 1 ? "number" : "")));
    return made;
  };
  const tabulate = (places, predicted) => {
    const write = (value) => (value === null ? "–" : value.toFixed(1));
    const far = (place) => hull.labels[place][1] ?? Infinity;
    const sorted = [...places].sort((a, b) => far(a) - far(b)).slice(0, 100);
    const [table, head, body] = ["table", "thead", "tbody"].map((tag) => document.createElement(tag));
    head.append(row("th", ["Formula", "Material", "Formation, labels", "Formation, model", "Above hull, labels", "Above hull, model"]));
    for (const p of sorted) {
      const [mine, theirs] = [predicted[p], hull.labels[p]];
      body.append(row("td", [hull.formulas[p], hull.materials[p], ...[theirs[0], mine[0], theirs[1], mine[1]].map(write)]));
    }
    table.append(head, body);
    list.replaceChildren(table);
  };

  const explore = () => {
    const elements = input.value.split("-").map((symbol) => symbol.trim()).filter(Boolean);
    const places = within(elements);
    const predicted = hull.models[select.value];
    const known = places.filter((place) => hull.labels[place][0] !== null || predicted[place][0] !== null);
    const drawable = known.length && (elements.length === 2 || elements.length === 3);
    canvas.style.display = drawable ? "" : "none";
    note.textContent = `${places.length} materials of ${elements.join(", ") || "no element"}; energies in meV/atom`
      + (places.length > 100 ? "; the 100 nearest to the hull are listed." : ".")
      + (elements.length > 3 ? " Hulls of four and more elements are not drawn: their materials are listed, the nearest to the hull first." : "")
      + (places.length && !known.length ? " None has a formation energy: a pure phase of one of the elements is missing." : "");
    if (drawable) {
      Plotly.purge(canvas);
      (elements.length === 2 ? binary : ternary)(elements, places, predicted);
    }
    tabulate(places, predicted);
  };
  begin = () => {
    if (!list.firstChild) explore();
  };
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) begin();
  }, { rootMargin: "600px" }).observe(explorer);
  [input, select].forEach((control) => control.addEventListener("change", explore));
})();
