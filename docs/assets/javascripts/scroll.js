// Lets the keyboard scroll what is wider than the page: a table, a drawing, a plot, a formula.
document$.subscribe(() => {
  const regions = document.querySelectorAll(
    "figure, .md-typeset__scrollwrap, .lab-table, div.arithmatex",
  );
  const watcher = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  regions.forEach((region) => watcher.observe(region));
});
