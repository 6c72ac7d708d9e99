// What somebody sees of the line-up page; see lineup_page.py.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const keys = () => all(".grid-head [data-column]").map((head) => head.dataset.column);
  const rows = () => all(".grid-row:not([hidden])").sort((a, b) => a.getAttribute("aria-rowindex") - b.getAttribute("aria-rowindex"));
  const cells = (row) => Object.fromEntries(keys().map((key, at) => [key, row.children[at]]));
  const textOf = (cell) => cell?.querySelector(".grid-text")?.textContent ?? null;
  // A person's telephone number is theirs alone.
  const rowOf = (phone) => rows().map(cells).find((row) => textOf(row.phoneNumber) === phone);

  return {
    keys,
    text: (phone, key) => textOf(rowOf(phone)?.[key]),
    state: (phone, key) => rowOf(phone)?.[key]?.querySelector(".grid-status")?.classList[1] ?? null,
    reason: (phone, key) => rowOf(phone)?.[key]?.querySelector(".grid-status")?.title ?? null,
    person: (phone, key) => rowOf(phone)?.[key]?.querySelector(".grid-name")?.textContent ?? null,
    background: (phone, key) => getComputedStyle(rowOf(phone)[key].querySelector(".grid-text")).backgroundColor,
    classes: (phone, key) => [...rowOf(phone)[key].classList],
    column: (key) => rows().map((row) => textOf(cells(row)[key])),
    box: (phone, key) => rowOf(phone)?.[key]?.getBoundingClientRect().toJSON() ?? null,
    hide: (hidden) => {
      Object.defineProperty(document, "visibilityState", { get: () => (hidden ? "hidden" : "visible"), configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    },
  };
})()
