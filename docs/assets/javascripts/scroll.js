// What is wider than its place scrolls: the keyboard may scroll it too, and `data-more` tells the
// style sheet on which side there is more.
document$.subscribe(() => {
  const regions = document.querySelectorAll(
    "figure, .md-typeset__scrollwrap, .lab-table, div.arithmatex, .md-typeset pre > code",
  );
  const look = (region) => {
    const hidden = region.scrollWidth - region.clientWidth;
    if (hidden > 1) region.tabIndex = 0;
    else region.removeAttribute("tabindex");
    const sides = [];
    if (region.scrollLeft > 1) sides.push("start");
    if (region.scrollLeft < hidden - 1) sides.push("end");
    if (sides.length) region.dataset.more = sides.join(" ");
    else delete region.dataset.more;
  };
  const watcher = new ResizeObserver((entries) => entries.forEach(({ target }) => look(target)));
  regions.forEach((region) => {
    watcher.observe(region);
    region.addEventListener("scroll", () => look(region), { passive: true });
  });
});
