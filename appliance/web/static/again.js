// @ts-check
/**
 * Loads the page anew where a part of it did not come. A network that changes meanwhile (a phone that leaves
 * the Wi-Fi) ends the loading, and no browser tries again by itself: the page would say for ever that it
 * starts. No module, so that it is there before the first of them.
 */

const TRIED = 'again';
const FIRST_MS = 1000;
const LONGEST_MS = 60_000;
let isDue = false;

addEventListener(
  'error',
  (event) => {
    const part = event.target;
    const isStyle = part instanceof HTMLLinkElement && part.rel === 'stylesheet';
    if ((isStyle || part instanceof HTMLScriptElement) && !isDue) {
      isDue = true;
      const tried = Number(sessionStorage.getItem(TRIED));
      sessionStorage.setItem(TRIED, String(tried + 1));
      setTimeout(() => location.reload(), Math.min(FIRST_MS * 2 ** tried, LONGEST_MS));
    }
  },
  true, // the failure of an element does not rise
);
