// What an operator reads on the dashboard; see dashboard.py.
(() => {
  const textOf = (element) => (element?.innerText ?? "").replace(/\s+/g, " ").trim();
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const pairs = (entries) => Object.fromEntries(entries);

  return {
    table(caption) {
      const table = all("table").find((each) => each.caption?.textContent === caption);
      if (!table) return [];
      const labels = all("thead th", table).map((head) => textOf(head).replace(/[▾▴]/g, "").trim());
      return all("tbody tr", table).map((row) => pairs([...row.cells].map((cell, at) => [labels[at], textOf(cell)])));
    },

    facts: () =>
      pairs(
        all("main section.panel").map((part) => [
          textOf(part.querySelector("h2")),
          pairs(all(".fact", part).map((fact) => all("dt, dd", fact).map(textOf))),
        ]),
      ),

    tiles: () => all(".tile").map((tile) => all(".tile-label, .tile-value, .tile-detail", tile).map(textOf)),

    events: () =>
      all(".events > li.event").map((event) => ({
        kind: textOf(event.querySelector(".badge .mono")),
        severity: textOf(event.querySelector(".badge .unseen")),
        text: textOf(event.querySelector(".event-text > .text")),
        room: textOf(event.querySelector(".event-links a[href^='#/rooms/']")) || null,
        userId: Number(textOf(event.querySelector(".event-links .id"))) || null,
        details: pairs(all(".details > span", event).map((each) => textOf(each).split(/=(.*)/s).slice(0, 2))),
      })),
  };
})()
