// Returns the accessibility problems of the current page. Run in the page by test_browser.py.
() => {
  const found = [];
  const name = (element) => {
    const id = element.id ? `#${element.id}` : "";
    return `<${element.localName}${id}> “${element.textContent.trim().slice(0, 40)}”`;
  };
  const seen = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });

  // -- names and order ------------------------------------------------------------------------

  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    const label = [...(field.labels ?? [])].map((one) => one.textContent.trim()).join(" ");
    if (!label && !field.ariaLabel) found.push(`${name(field)} ${field.name} has no label`);
  }
  for (const element of document.querySelectorAll("a[href], button, summary")) {
    const text = element.textContent.trim() || element.ariaLabel;
    if (seen(element) && !text) found.push(`${name(element)} has no name`);
  }
  for (const image of document.images) {
    if (!image.alt) found.push(`${image.src} has no alternative text`);
    if (image.complete && !image.naturalWidth) found.push(`${image.src} is broken`);
  }
  if (!document.documentElement.lang) found.push("the page has no language");
  if (!document.title.trim()) found.push("the page has no title");
  if (document.querySelectorAll("main").length !== 1) found.push("there is not one <main>");
  const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")];
  const levels = headings.map((heading) => Number(heading.localName[1]));
  const firsts = levels.filter((level) => level === 1).length;
  if (firsts !== 1) found.push(`there are ${firsts} h1`);
  levels.forEach((level, at) => {
    if (level > (at ? levels[at - 1] : 0) + 1) found.push(`${name(headings[at])} skips a level`);
    if (!headings[at].textContent.trim()) found.push(`heading ${at} is empty`);
  });
  const ids = new Set();
  for (const element of document.querySelectorAll("[id]")) {
    if (ids.has(element.id)) found.push(`the id ${element.id} stands there twice`);
    ids.add(element.id);
  }
  for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby], label[for]")) {
    for (const key of ["aria-labelledby", "aria-describedby", "for"]) {
      for (const id of (element.getAttribute(key) ?? "").split(/\s+/).filter(Boolean)) {
        if (!ids.has(id)) found.push(`${name(element)}: ${key} names ${id}, which is not there`);
      }
    }
  }
  for (const link of document.querySelectorAll('a[href^="#"]')) {
    const id = decodeURIComponent(link.hash.slice(1));
    if (id && !ids.has(id)) found.push(`${name(link)} leads to ${link.hash}, which is not there`);
  }
  const headers = document.querySelectorAll("thead th:not([scope])");
  if (headers.length) found.push(`${headers.length} column headers without a scope`);

  // -- contrast -------------------------------------------------------------------------------

  const parsed = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const over = (upper, lower) => upper.rgb.map((c, at) => c * upper.a + lower[at] * (1 - upper.a));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => {
      const share = c / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const canvas = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
  const grounds = new Map();
  const ground = (element) => {
    if (!element) return canvas;
    if (!grounds.has(element)) {
      const own = parsed(getComputedStyle(element).backgroundColor);
      grounds.set(element, own.a === 1 ? own.rgb : over(own, ground(element.parentElement)));
    }
    return grounds.get(element);
  };
  const pale = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !seen(element)) continue;
    const back = ground(element);
    const ink = over(parsed(getComputedStyle(element).color), back);
    const [light, dark] = [luminance(ink), luminance(back)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < 4.5) {
      const key = `${element.localName}.${element.className}: ${ink} on ${back.map(Math.round)}`;
      pale.set(key, `${name(element)} has a contrast of ${ratio.toFixed(2)}`);
    }
  }
  for (const [key, text] of pale) found.push(`${text} (${key})`);
  return found;
}
