// Loads and starts the figures that react, each when it comes near the view. The fragment of a figure
// brings this script; data-figure="NAME" names the module, figures/NAME.js.

/**
 * Start what comes near the view: once for each element, also for those that instant navigation
 * brings later, when a module itself is not run again.
 *
 * @param {string} selector of the elements
 * @param {(element: Element) => void} start
 * @param {string} margin how near, as a root margin
 */
export function near(selector, start, margin = "300px") {
  const known = new WeakSet();
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        observer.unobserve(target);
        start(target);
      }
    },
    { rootMargin: margin },
  );
  const look = () => {
    for (const element of document.querySelectorAll(selector)) {
      if (!known.has(element)) observer.observe(element);
      known.add(element);
    }
  };
  look();
  window.document$?.subscribe(look); // the theme's signal that a page has been put in place
}

// A figure whose module cannot be loaded stays as it is without scripts, and gives back the place that
// it keeps for its controls.
near("[data-figure]", (figure) =>
  import(`./figures/${figure.dataset.figure}.js`).then(
    (module) => module.default?.(figure),
    () => figure.classList.add("broken"),
  ),
);
