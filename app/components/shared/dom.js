// Helpers for elements, texts, pictures and files.

/** Returns a function that finds the first part of an element that matches a selector. */
export const finder = (element) => (selector) => element.querySelector(selector);

/** Creates an element with these properties and children. */
export function create(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Sets the text of an element unless it is there already: a live region is announced only when its text changes. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Closes the menu that an element is in; the focus goes to what opens it. */
export function closeMenu(element) {
  const menu = element.closest("details.menu");
  if (!menu?.open) return;
  menu.open = false;
  if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
}

/** Writes a number for people, such as 12,345. */
export const formatNumber = (number) => Number(number || 0).toLocaleString("en");

/** Whether an element is laid out, which it is not while another tab of the page is open. */
export const isLaidOut = (element) => element.offsetParent !== null;

/** Calls act() whenever an element is laid out that was not, as when its tab is opened. */
export function onLaidOut(element, act) {
  let before = isLaidOut(element);
  new ResizeObserver(() => {
    const now = isLaidOut(element);
    if (now && !before) act();
    before = now;
  }).observe(element);
}

/** Lets what is scrolled to, as by the focus, stay clear of an element that covers the bottom of the window. */
export function scrollClearOf(cover) {
  const { style } = document.documentElement;
  const space = 8; // px between the two, for the outline of what has the focus
  new ResizeObserver(() => { style.scrollPaddingBottom = `${cover.offsetHeight + space}px`; }).observe(cover);
}

/** Loads and decodes the picture at a URL. */
export async function loadPicture(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

/** Copies a text to the clipboard. Returns whether that worked; it fails in frames without permission. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Calls act() once a visitor has left a field with something to copy by a click or a key, which may move what is below
 * the field; not where the window is left, as to paste it there.
 */
export function onLeft(field, act) {
  field.addEventListener("blur", () => {
    const waiting = new AbortController();
    function end() {
      if (document.activeElement === field) return;
      waiting.abort();
      if (field.value) act();
    }
    for (const type of ["click", "keyup"]) document.addEventListener(type, end, { signal: waiting.signal });
  });
}

/** Shows a link or a recipe in a field that a visitor can copy it from, selected; "" takes the field away. */
export function offerLink(field, link) {
  [field.value, field.hidden] = [link, !link];
  if (!link) return;
  field.focus();
  field.select();
  field.scrollLeft = 0;
}

/** The bytes of a file that the server has sent. data: base64. */
export const bytesOf = ({ data }) => Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));

/** Saves a file as a download. data: base64; type: its media type. */
export function download({ name, data, type }) {
  const link = create("a", { href: URL.createObjectURL(new Blob([bytesOf({ data })], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Calls act(file) for each file that is chosen in a field; the same file can be chosen again. */
export function onChosenFile(field, act) {
  field.addEventListener("change", () => {
    const [file] = field.files;
    field.value = "";
    if (file) act(file);
  });
}

/** Connects the buttons inside an element that have a data-do. actions: functions by it. before(): called first. */
export function connectButtons(element, actions, before = () => {}) {
  element.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-do]");
    if (!button) return;
    before();
    closeMenu(button);
    actions[button.dataset.do]?.(button);
  });
}

/** Calls act(message) when a message inside an element is clicked, unless that has marked some of its text. */
export function onMessage(element, act) {
  element.addEventListener("click", ({ target }) => {
    if (target.matches(".status, .alert") && getSelection().isCollapsed) act(target);
  });
}

/** Calls act(event) for events of a target outside a component, as long as the component is part of the page. */
export function listenOutside(element, target, type, act) {
  target.addEventListener(type, function listener(event) {
    if (element.isConnected) act(event);
    else target.removeEventListener(type, listener);
  });
}

/**
 * Fills the track of a range input between its origin and its value, and marks where it belongs unless that is an end.
 *
 * data-origin: "min", or a number; 0 without. data-mark: the number to mark; the origin without.
 */
export function fillRange(input) {
  const [least, most, value] = [input.min, input.max, input.value].map(Number);
  const origin = input.dataset.origin === "min" ? least : Number(input.dataset.origin || 0);
  const mark = Number(input.dataset.mark ?? origin);
  const shareOf = (number) => (number - least) / (most - least);
  input.style.setProperty("--from", shareOf(Math.min(origin, value)));
  input.style.setProperty("--to", shareOf(Math.max(origin, value)));
  input.style.setProperty("--at", shareOf(mark));
  input.classList.toggle("marked", mark > least);
}

/** Fills all range inputs inside an element, now and whenever a visitor moves one. */
export function fillRanges(element) {
  const fill = (input) => input.type === "range" && fillRange(input);
  element.querySelectorAll("input[type=range]").forEach(fill);
  element.addEventListener("input", ({ target }) => fill(target));
}
