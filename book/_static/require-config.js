// Loaded on pages with widgets, between RequireJS and the widgets' own code.

// Two modules load a font from the place that they believe to be in: beside the page, if nobody says.
const dist = new URL("vendor/@jupyter-widgets/html-manager/dist/", document.currentScript.src).href;
requirejs.config({
  paths: {
    "@jupyter-widgets/html-manager": `${dist}index`,
    "@jupyter-widgets/html-manager/dist/libembed-amd": `${dist}libembed-amd`,
  },
});

// They ask for formulas in their labels as MathJax 2 wants it; pages with formulas carry MathJax 3. Before
// that is ready there is nothing to ask for: it then reads the whole page.
if (window.MathJax) {
  const hub = { Queue: ([, , element]) => window.MathJax.typesetPromise?.([element]) };
  const ready = () => {
    MathJax.startup.defaultReady();
    MathJax.Hub = hub;
  };
  Object.assign(window.MathJax, { Hub: hub, startup: { ready } });
}
