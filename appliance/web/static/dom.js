// @ts-check
/** Elements of the page by their id, with the type that they have. */

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return found;
}

/** @param {string} id */
export const button = (id) => element(id, HTMLButtonElement);

/** Any element, by its test id. @param {string} name @returns {HTMLElement} */
export function part(name) {
  const found = document.querySelector(`[data-testid="${name}"]`);
  if (!(found instanceof HTMLElement)) throw new Error(`the page has no part ${name}`);
  return found;
}

/**
 * A new element with text.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [text]
 * @param {string} [className]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, text = '', className = '') {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** Change a text only if it differs: a live region speaks at every change. */
export function say(/** @type {Element} */ where, /** @type {string} */ text) {
  if (where.textContent !== text) where.textContent = text;
}

/** The words of a round button. @param {string} id */
export const label = (id) => /** @type {Element} */ (button(id).querySelector('.label'));

/** @param {string} id @param {boolean} on @param {string} text @param {string} icon */
export function toggle(id, on, text, icon) {
  button(id).setAttribute('aria-pressed', String(on));
  say(label(id), text);
  button(id).querySelector('use')?.setAttribute('href', `#${icon}`);
}
