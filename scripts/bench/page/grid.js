// What the grid costs, measured in its page; an object of functions, see grid.py.
({
  /** Milliseconds from the call until so many rows are drawn, and until the frame is over. */
  async render(count) {
    const rows = Array.from({ length: count }, (_, id) => ({ ...page.rows[id % page.rows.length], id }));
    page.setRows([]);
    await this.frame();
    const begun = performance.now();
    page.setRows(rows);
    return (await this.frame()) - begun;
  },

  /** Milliseconds from the key that commits to the end of the frame that shows the text. */
  async edit(row) {
    const { left, top } = page.cell(row, "memo").getBoundingClientRect();
    page.grid.focusCell(row, "memo", { edit: true });
    await this.frame();
    const field = document.activeElement;
    field.value = `typed ${left} ${top}`;
    field.dispatchEvent(new InputEvent("input", { bubbles: true }));
    const begun = performance.now();
    field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
    const called = performance.now() - begun;
    await new Promise(requestAnimationFrame);
    const shown = page.text(row, "memo") === `typed ${left} ${top}`;
    return { shown, called, frame: (await this.posted()) - begun };
  },

  /** Times between frames while others change rows in view, and somebody scrolls. */
  async frames(milliseconds, perSecond, pixels) {
    const scroller = document.querySelector(".grid-scroller");
    const spent = [];
    const frames = [];
    let direction = 1;
    let number = 0;
    const timer = setInterval(() => {
      const begun = performance.now();
      const id = (Math.floor(scroller.scrollTop / 32) + ((number * 7) % 20)) % page.rows.length;
      page.update(id, { s0: String(number), memo: `changed ${number++}` });
      page.grid.flash(id, "memo", "이서준", "#d0620b");
      spent.push(performance.now() - begun);
    }, 1000 / perSecond);
    const end = performance.now() + milliseconds;
    let last = await new Promise(requestAnimationFrame);
    while (last < end) {
      scroller.scrollTop += direction * pixels;
      if (scroller.scrollTop + scroller.clientHeight >= scroller.scrollHeight - 2) direction = -1;
      const now = await new Promise(requestAnimationFrame);
      frames.push(now - last);
      last = now;
    }
    clearInterval(timer);
    return { frames, spent };
  },

  /** The time at which the next frame is over. */
  async frame() {
    await new Promise(requestAnimationFrame);
    return this.posted();
  },

  posted: () =>
    new Promise((done) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => done(performance.now());
      port2.postMessage(null);
    }),
})
