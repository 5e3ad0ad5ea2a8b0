// Elements without a framework: text is always text, and never HTML.

/** An element with properties and attributes (class, data-… and aria-… among them), listeners (on…) and children. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Buttons and panels as tabs (WAI-ARIA): arrows, Home and End move, one panel shows. `opened(index)` is told which. */
export function tabs(id, label, names, panels, chosen, opened) {
  const buttons = names.map((name, i) => element("button", {
    type: "button", role: "tab", id: `${id}-tab-${i}`, "aria-controls": `${id}-panel-${i}`, textContent: name,
    onclick: () => select(i),
    onkeydown: (event) => {
      const last = names.length - 1;
      const to = { ArrowRight: i === last ? 0 : i + 1, ArrowLeft: i ? i - 1 : last, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      select(to);
      buttons[to].focus();
    },
  }));
  panels.forEach((panel, i) => {
    panel.id = `${id}-panel-${i}`;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", buttons[i].id);
  });
  const select = (index) => {
    buttons.forEach((button, i) => {
      button.setAttribute("aria-selected", String(i === index));
      button.tabIndex = i === index ? 0 : -1;
      panels[i].hidden = i !== index;
    });
    opened(index);
  };
  select(chosen);
  return [element("div", { role: "tablist", class: "tabs", "aria-label": label }, buttons), ...panels];
}
