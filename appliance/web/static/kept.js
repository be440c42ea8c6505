// @ts-check
/**
 * What a tab and a browser keep for the page; where they may not, for as long as it is open.
 *
 * @typedef {Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>} Kept
 */

const TRIAL = 'appliance.trial';

/** A browser that is told to keep nothing throws where it is only asked. @param {'sessionStorage' | 'localStorage'} where @returns {Kept} */
function keptIn(where) {
  try {
    const storage = window[where];
    storage.setItem(TRIAL, '');
    storage.removeItem(TRIAL);
    return storage;
  } catch {
    return inThisPage();
  }
}

/** @returns {Kept} */
function inThisPage() {
  /** @type {Map<string, string>} */
  const kept = new Map();
  return {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => void kept.set(name, value),
    removeItem: (name) => void kept.delete(name),
  };
}

export const ofTab = keptIn('sessionStorage');
export const ofBrowser = keptIn('localStorage');
