"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const clear = "rgba(0,0,0,0)";
  const config = {
    responsive: true,
    displaylogo: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };

  /* Colours of everything in a plot but data. */
  const template = (isDark) => {
    const ink = isDark ? "#cfd6de" : "#2b3440";
    const grid = isDark ? "#26303a" : "#e7ebef";
    const line = isDark ? "#4a5764" : "#b9c2cb";
    const axis = {
      gridcolor: grid, linecolor: line, zerolinecolor: line, zerolinewidth: 1,
      automargin: true, ticks: "outside", tickcolor: line, ticklen: 4,
    };
    return {
      layout: {
        font: { family: "system-ui, sans-serif", size: 12, color: ink },
        paper_bgcolor: clear,
        plot_bgcolor: clear,
        xaxis: axis,
        yaxis: axis,
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

  /* Figures: drawn once, when they are near the window. */
  const draw = (figure) => {
    if (figure.dataset.drawn) return;
    figure.dataset.drawn = "yes";
    const canvas = figure.querySelector(".plot");
    const spec = JSON.parse(figure.querySelector("script").textContent);
    const menu = figure.querySelector("select");
    const mask = () => {
      const chosen = spec.views[menu.value];
      return spec.data.map((_, index) => chosen.includes(index));
    };
    if (menu) {
      mask().forEach((visible, index) => { spec.data[index].visible = visible; });
      menu.addEventListener("change", () => {
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

  /* Printing: all figures drawn, in light colours, as wide as the paper. */
  const preparations = [];
  addEventListener("beforeprint", () => {
    figures.forEach(draw);
    preparations.forEach((prepare) => prepare());
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

  window.report = { show, onPrint: (prepare) => preparations.push(prepare) };
})();
