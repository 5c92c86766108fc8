// Shows the definition of a term beside it: while the pointer or the focus is on it, and at the first
// touch; the second touch, like a click, leads to the glossary. Escape closes it.
// The definitions are put into the page by docs/extensions/terms.py.
(() => {
  const tip = document.createElement("div");
  tip.id = "definition";
  tip.className = "definition";
  tip.role = "tooltip";
  tip.popover = "manual";
  let term = null;
  let touched = false;
  let closing = 0;

  function show(link) {
    clearTimeout(closing);
    if (link === term) return;
    hide();
    term = link;
    tip.textContent = link.dataset.definition;
    document.body.append(tip);
    tip.showPopover();
    link.setAttribute("aria-describedby", tip.id);
    const line = link.getClientRects()[0];
    const { width, height } = tip.getBoundingClientRect();
    const margin = 8;
    const below = line.bottom + height + margin < innerHeight;
    const left = Math.min(line.left, document.documentElement.clientWidth - width - margin);
    tip.style.left = `${scrollX + Math.max(margin, left)}px`;
    tip.style.top = `${scrollY + (below ? line.bottom : line.top - height)}px`;
  }

  function hide() {
    clearTimeout(closing);
    if (!term) return;
    term.removeAttribute("aria-describedby");
    term = null;
    tip.remove();
  }

  const linkOf = ({ target }) => target.closest?.("a.term");

  document.addEventListener("pointerover", (event) => {
    touched = event.pointerType === "touch";
    if (touched) return;
    if (linkOf(event)) show(linkOf(event));
    else if (event.target === tip) clearTimeout(closing);
  });
  document.addEventListener("pointerout", (event) => {
    if (!linkOf(event) && event.target !== tip) return;
    // Time to move from the term to its definition, which can be read and selected.
    clearTimeout(closing);
    closing = setTimeout(() => term !== document.activeElement && hide(), 200);
  });
  document.addEventListener("focusin", (event) => {
    if (linkOf(event)?.matches(":focus-visible")) show(linkOf(event));
  });
  document.addEventListener("focusout", (event) => linkOf(event) && hide());
  document.addEventListener(
    "click",
    (event) => {
      const link = linkOf(event);
      if (link && link !== term && touched) {
        event.preventDefault();
        event.stopPropagation(); // before instant navigation follows the link
        show(link);
      } else hide();
    },
    true,
  );
  document.addEventListener("keydown", ({ key }) => key === "Escape" && hide());
  document$.subscribe(hide);
})();
