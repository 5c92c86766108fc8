// Copies a block, the program of a page or a closed box, and opens what is folded within code.
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
    const blocks = {
      block: () => button.closest("pre").querySelectorAll("code"),
      box: () => button.parentElement.querySelectorAll(".language-python code"),
      page: () => document.querySelectorAll(".language-python code"),
    }[button.dataset.copies]();
    button.dataset.clipboardText = [...blocks]
      .map((block) => block.textContent.replace(/^\n+/, "").trimEnd())
      .join("\n\n");
  },
  true,
);

// Material would give each block its button between two questions about the layout, which is then
// worked out anew for every block. Here all get theirs at once, and nothing is asked.
document$.subscribe(() => {
  const { translations } = JSON.parse(document.getElementById("__config").textContent);
  const place = document.createElement("div");
  place.className = "md-code__nav";
  const button = document.createElement("button");
  button.className = "md-code__button";
  button.type = "button";
  button.title = translations["clipboard.copy"];
  Object.assign(button.dataset, { mdType: "copy", copies: "block", clipboardText: "" });
  place.append(button);
  for (const block of document.querySelectorAll(".highlight:not(.language-text, .no-copy) > pre"))
    block.prepend(place.cloneNode(true));

  // A closed box that holds code of the program shows a button of its own, as its blocks cannot.
  const template = document.querySelector(".program template");
  if (!template) return;
  for (const box of document.querySelectorAll("details:has(.language-python)")) {
    const holder = document.createElement("div");
    holder.className = "box";
    box.replaceWith(holder);
    holder.append(box, template.content.cloneNode(true));
  }
});
