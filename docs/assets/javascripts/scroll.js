// What is wider than its place scrolls: the keyboard may scroll it too, and `data-more` tells the
// style sheet on which side there is more. All places are measured before the first is marked: after
// each mark the browser would lay out the page anew to answer the next question.
document$.subscribe(() => {
  const regions = document.querySelectorAll(
    "figure, .md-typeset__scrollwrap, .lab-table, div.arithmatex, .md-typeset pre > code",
  );
  const measure = (region) => [region, region.scrollWidth - region.clientWidth, region.scrollLeft];
  const mark = ([region, hidden, left]) => {
    if (hidden > 1) region.tabIndex = 0;
    else region.removeAttribute("tabindex");
    const sides = [];
    if (left > 1) sides.push("start");
    if (left < hidden - 1) sides.push("end");
    if (sides.length) region.dataset.more = sides.join(" ");
    else delete region.dataset.more;
  };
  const watcher = new ResizeObserver((entries) =>
    entries.map(({ target }) => measure(target)).forEach(mark),
  );
  regions.forEach((region) => {
    watcher.observe(region);
    region.addEventListener("scroll", () => mark(measure(region)), { passive: true });
  });
});
