// @ts-check
/**
 * What is seen of a pairing: the question before it, what became of it, whose phone this is, and its end.
 *
 * @typedef {import('./pairing.js').Invitation} Invitation
 * @typedef {import('./pairings.js').Pairing} Pairing
 */

import { button, element, part, say } from './dom.js';
import { NotPaired, pair } from './pairing.js';
import { forget, pairings } from './pairings.js';
import * as words from './words.js';

/** @param {string} state @param {string} title @param {string} line */
function tell(state, title, line) {
  element('phone', HTMLElement).dataset.state = state;
  say(element('title', HTMLElement), title);
  say(element('line', HTMLElement), line);
}

/** Nothing can be done here: say why. @param {string} title @param {string} line */
export function showDeadEnd(title, line) {
  tell('failed', title, line);
  say(element('link-words', HTMLElement), 'Not started');
}

/** A click on the one button of the form: an address alone, opened by whatever looks at links, pairs nothing. */
function asked() {
  const form = element('pairing', HTMLFormElement);
  form.hidden = false;
  return new Promise((done) => {
    form.addEventListener(
      'submit',
      (submit) => {
        submit.preventDefault();
        form.hidden = true;
        done(undefined);
      },
      { once: true },
    );
    button('pair').focus({ preventScroll: true });
  });
}

/**
 * Ask, pair, and say what became of it; null where there is no pairing, which the page then shows.
 *
 * @param {Invitation | 'broken'} invitation
 * @param {{device_id: string, name: string, mqtt_version?: 4 | 5}} device  whose page this is
 * @returns {Promise<Pairing | null>}
 */
export async function pairHere(invitation, device) {
  if (invitation === 'broken') {
    showDeadEnd(...words.BROKEN_INVITATION);
    return null;
  }
  if (invitation.device_id !== device.device_id) {
    showDeadEnd(...words.othersInvitation(device.name));
    return null;
  }
  const known = (await pairings()).filter(({ device_id }) => device_id === device.device_id);
  const again = known.some(({ uid }) => uid === invitation.uid);
  // it would take the place of the one that is pinned
  const other_key = known.some(({ public_key }) => public_key !== invitation.public_key);
  tell('pairing', ...words.pairingQuestion(device.name, invitation.name, again, other_key));
  say(element('link-words', HTMLElement), 'Not paired');
  await asked();
  return pairNow(invitation, device);
}

/**
 * @param {Invitation} invitation
 * @param {{name: string, mqtt_version?: 4 | 5}} device
 * @returns {Promise<Pairing | null>}
 */
export async function pairNow(invitation, { name, mqtt_version = 4 }) {
  tell('pairing', 'Pairing …', words.pairingLine(name, 'connecting'));
  try {
    return await pair(invitation, mqtt_version, (link) => {
      part('link').dataset.link = link;
      say(element('link-words', HTMLElement), words.LINK_WORDS[link]);
      say(element('line', HTMLElement), words.pairingLine(name, link));
    });
  } catch (error) {
    if (!(error instanceof NotPaired)) throw error;
    showDeadEnd(...words.notPaired(error.failure, name, window.isSecureContext));
    return null;
  }
}

/**
 * Whose phone this is, and the way to end that.
 *
 * @param {Pairing} pairing @param {string} device_name @param {() => void} leave
 */
export function showPairing(pairing, device_name, leave) {
  part('identity').hidden = false;
  say(part('identity-words'), words.pairedAs(pairing.name, pairing.may));
  say(part('unpair-words'), words.unpairQuestion(device_name));
  const sure = (/** @type {boolean} */ open) => {
    part('unpair-question').hidden = !open;
    part('identity').hidden = open;
    button(open ? 'keep-paired' : 'unpair').focus({ preventScroll: true });
  };
  button('unpair').addEventListener('click', () => sure(true));
  button('keep-paired').addEventListener('click', () => sure(false));
  button('unpair-now').addEventListener('click', async () => {
    leave();
    await forget(pairing);
    location.reload();
  });
}
