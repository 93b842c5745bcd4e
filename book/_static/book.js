// The theme names two buttons otherwise than what they show, so that nobody could ask for them by what
// they read there.
document.querySelector(".search-button-field")?.removeAttribute("aria-label");
document
  .querySelector(".theme-switch-button")
  ?.setAttribute("aria-label", "Color mode: light, dark or system settings");

// A figure much wider than high would be too small on a phone: there it scrolls (book.css), with the
// arrow keys too.
window.addEventListener("load", () => {
  for (const image of document.querySelectorAll("figure img, .cell_output img")) {
    if (image.naturalWidth > 2 * image.naturalHeight) {
      const strip = document.createElement("div");
      strip.className = "wide-figure";
      strip.tabIndex = 0;
      image.replaceWith(strip);
      strip.append(image);
    }
  }
});

// The theme takes tables out of the keys' reach while they fit, and misjudges some: keys reach them all.
const reachable = (box) => box.tabIndex === 0 || (box.tabIndex = 0);
const watch = new MutationObserver((changes) => changes.forEach(({ target }) => reachable(target)));
for (const box of document.querySelectorAll(".pst-scrollable-table-container")) {
  reachable(box);
  watch.observe(box, { attributeFilter: ["tabindex"] });
}
