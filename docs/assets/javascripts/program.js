// Copies the program of a page or of a closed box, and opens what is folded within code.
// Material copies what stands in data-clipboard-text and says so; here it is filled in when needed.
document.addEventListener(
  "click",
  ({ target }) => {
    const fold = target.closest?.(".fold");
    if (fold) {
      const open = fold.getAttribute("aria-expanded") === "true";
      fold.setAttribute("aria-expanded", String(!open));
    }
    const button = target.closest?.("[data-copies]");
    if (!button) return;
    const within = button.dataset.copies === "box" ? button.parentElement : document;
    const blocks = [...within.querySelectorAll(".language-python code")];
    button.dataset.clipboardText = blocks
      .map((block) => block.textContent.replace(/^\n+/, "").trimEnd())
      .join("\n\n");
  },
  true,
);

// A closed box that holds code of the program shows a button of its own, as its blocks cannot.
document$.subscribe(() => {
  const template = document.querySelector(".program template");
  if (!template) return;
  for (const box of document.querySelectorAll("details:has(.language-python)")) {
    const holder = document.createElement("div");
    holder.className = "box";
    box.replaceWith(holder);
    holder.append(box, template.content.cloneNode(true));
  }
});
