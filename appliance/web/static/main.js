// @ts-check
/**
 * Puts the page together: who it is, its call, its two panes, the keyboard.
 *
 * @typedef {object} Client  what the server tells (`/client.json`)
 * @property {string} device_id
 * @property {string} name
 * @property {string} root
 * @property {string | null} websocket_url
 * @property {4 | 5} [mqtt_version]
 * @property {import('./settings.js').Settings} [settings]
 * @property {'allow' | 'refuse'} [unsigned]  whether a page that is not paired is listened to
 * @property {string | null} [public_key]  of the demo's device, where its page pairs by itself
 * @property {boolean} [stranger]  the server tells nothing to who is not logged in
 * @property {boolean} [demo]
 * @property {{uid: string, name: string}[]} [people]
 * @property {import('./door.js').ConfiguredButton[]} [buttons]
 * @property {boolean} [screen]  the device has one to be looked at
 * @property {string[]} [outputs]  of sound, which can be plugged in and out
 * @property {Record<string, string>} [words]  of what a visitor is told
 */

import { isLive } from './call.js';
import { parseLimits } from './capture.js';
import { button, element, part, say } from './dom.js';
import { DoorView } from './door.js';
import { pairInDemo } from './demopairing.js';
import { DoorLink } from './doorlink.js';
import { nextSeq, tabEndpoint } from './identity.js';
import { ofBrowser, ofTab } from './kept.js';
import { fetchKnown } from './login.js';
import { pairingWith, pairings } from './pairings.js';
import { parsePairing, takePairing } from './pairing.js';
import { pairHere, showDeadEnd, showPairing } from './pairingview.js';
import { PhoneView } from './phone.js';
import { Ringtone } from './ringtone.js';
import { ScreenView } from './doorscreen.js';
import { Prompts } from './prompts.js';
import { keepRelays } from './relays.js';
import { Session, parseInvitation } from './session.js';
import { DEFAULTS } from './settings.js';
import { Signaling } from './signaling.js';
import { PLAIN, Pinned } from './trust.js';
import * as words from './words.js';

const NOT_KNOWN = 'appliance.not_known';
const CREDENTIALS = 'appliance.credentials';
const RETRY_MS = 2000;

/** @returns {Promise<Client | null>} */
async function fetchClient() {
  try {
    const response = await fetchKnown('client.json');
    if (response.status === 401) return stranger(parsePairing(location.hash));
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

/**
 * Of a server that tells strangers nothing, what an invitation of it says.
 *
 * @param {ReturnType<typeof parsePairing>} invitation @returns {Client}
 */
function stranger(invitation) {
  const { device_id = '', root = '', websocket_url = null } =
    invitation === 'broken' ? {} : invitation ?? {};
  return { device_id, name: device_id, root, websocket_url, unsigned: 'refuse', stranger: true };
}

/**
 * @typedef {object} Who
 * @property {string} uid
 * @property {string} name
 * @property {string} [username]  at the broker, where it is not the uid
 * @property {string} [password]
 * @property {import('./pairings.js').Pairing} [pairing]
 */

/**
 * Who sits before this page: whom it was paired as; in the demo whom the address says (`?as=alice`), or
 * the first person; else, where one need not be paired, one signs in. Null where it is nobody who is known.
 *
 * @param {Client} client @param {ReturnType<typeof takePairing>} invitation @returns {Promise<Who | null>}
 */
async function whoIsIt(client, invitation) {
  const { device_id, people = [], unsigned = 'allow' } = client;
  if (invitation) return paired(await pairHere(invitation, client));
  const asked =
    new URLSearchParams(location.search).get('as') ?? parseInvitation(location.hash)?.uid ?? null;
  const pairing = await pairingWith(device_id, asked);
  // each demo is a new device, with another key under the same name
  if (pairing && !client.demo) return paired(pairing);
  if (people.length === 0 && unsigned === 'refuse') {
    showDeadEnd(...words.NOT_PAIRED);
    return null;
  }
  if (people.length > 0) {
    const known = asked === null ? people[0] : people.find(({ uid }) => uid === asked);
    if (!known) showDeadEnd(words.unknownPerson(asked ?? ''), words.CHOOSE_PERSON);
    return known && client.public_key ? paired(await pairInDemo(client, known)) : (known ?? null);
  }
  const kept = JSON.parse(ofTab.getItem(CREDENTIALS) ?? 'null');
  return kept && (asked === null || kept.uid === asked) ? kept : signIn(asked ?? '');
}

/** @param {import('./pairings.js').Pairing | null} pairing @returns {Who | null} */
function paired(pairing) {
  if (!pairing) return null;
  const { uid, name, username, password } = pairing;
  return { uid, name, username, password: password ?? undefined, pairing };
}

/** @param {string} uid @returns {Promise<Who>} */
function signIn(uid) {
  /** @type {HTMLInputElement | null} */ (document.querySelector('[name=uid]'))?.setAttribute(
    'value',
    uid,
  );
  const form = element('sign-in', HTMLFormElement);
  form.hidden = false;
  say(element('title', HTMLElement), 'Who are you?');
  say(element('line', HTMLElement), 'The appliance rings those whom it knows.');
  element('phone', HTMLElement).dataset.state = 'signed_out';
  say(element('link-words', HTMLElement), 'Signed out');
  return new Promise((signed_in) => {
    form.addEventListener('submit', (submit) => {
      submit.preventDefault();
      const entered = new FormData(form);
      const uid = String(entered.get('uid'));
      const who = { uid, name: uid, password: String(entered.get('password')) || undefined };
      // this tab's only, and gone with it
      ofTab.setItem(CREDENTIALS, JSON.stringify(who));
      form.hidden = true;
      signed_in(who);
    });
  });
}

/** @param {Client} client @param {string | null} uid */
function offerPeople({ people = [] }, uid) {
  const chooser = element('person', HTMLSelectElement);
  chooser.replaceChildren(
    ...(uid === null ? [new Option('…', '', true, true)] : []),
    ...people.map((one) => new Option(one.name, one.uid, false, one.uid === uid)),
  );
  /** @type {HTMLElement} */ (chooser.closest('label')).hidden =
    people.length === 0 || (people.length < 2 && uid !== null);
  chooser.addEventListener('change', () => {
    const asked = new URLSearchParams(location.search);
    asked.set('as', chooser.value);
    location.search = asked.toString();
  });
}

/** Letters act like the button that shows them, where it can be pressed. */
function listenToKeys() {
  for (const keyed of document.querySelectorAll('[data-key]')) {
    keyed.setAttribute('aria-keyshortcuts', keyed.getAttribute('data-key') ?? '');
  }
  window.addEventListener('keydown', (key) => {
    const typing = key.target instanceof Element && key.target.closest('input, select, textarea');
    // a held key must not first answer and then hang up
    if (typing || key.repeat || key.ctrlKey || key.metaKey || key.altKey) return;
    const meant = document.querySelectorAll(`[data-key="${CSS.escape(key.key.toLowerCase())}"]`);
    for (const pressed of meant) {
      if (pressed instanceof HTMLButtonElement && pressed.checkVisibility()) pressed.click();
    }
  });
  window.addEventListener(
    'keydown',
    (key) => {
      if (
        key.repeat &&
        (key.key === 'Enter' || key.key === ' ') &&
        key.target instanceof HTMLButtonElement
      ) {
        key.preventDefault();
      }
    },
    { capture: true },
  );
}

/** One pane at a time on a narrow screen. @param {string} name */
function showPane(name) {
  element('panes', HTMLElement).dataset.showing = name;
  for (const tab of document.querySelectorAll('[data-tab]')) {
    tab.setAttribute('aria-pressed', String(tab.getAttribute('data-tab') === name));
  }
}

/** @param {Client} client @param {Ringtone} ringtone */
function openDoorPane(client, ringtone) {
  for (const shown of document.querySelectorAll('[data-demo]')) {
    /** @type {HTMLElement} */ (shown).hidden = false;
  }
  document.body.dataset.demo = 'yes';
  for (const tab of document.querySelectorAll('[data-tab]')) {
    tab.addEventListener('click', () => showPane(tab.getAttribute('data-tab') ?? 'phone'));
  }
  /** @type {DoorLink | null} */
  let link = null;
  const prompts = new Prompts(ringtone);
  const view = new DoorView(client.name, client.buttons ?? [], client.outputs ?? [], client.words ?? {}, {
    press: (name, gesture) => link?.press(name, gesture),
    plug: (output, present) => link?.plug(output, present),
    dingDong: () => ringtone.dingDong(),
    play: (sound, on) => prompts.play(sound, on),
  });
  if (client.screen) new ScreenView();
  const url = new URL('demo/socket', location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  link = new DoorLink(url.href, {
    onLink: (up) => view.showLink(up),
    onEvent: (event) => view.showEvent(event),
    onBoard: (board) => view.showBoard(board),
    onStatus: (status) => view.showStatus(status),
    onDropped: (count) => view.showDropped(count),
    onRefused: (message) => view.showRefused(message),
  });
}

/** The screen stays on while somebody talks. */
function wakeLock() {
  /** @type {Promise<WakeLockSentinel | null> | null} */
  let held = null;
  return (/** @type {boolean} */ on) => {
    if (on) held ??= navigator.wakeLock?.request('screen').catch(() => null) ?? null;
    else {
      held?.then((lock) => lock?.release());
      held = null;
    }
  };
}

/** @param {Client} client @param {string} websocket_url @param {ReturnType<typeof takePairing>} invitation */
async function openPhone(client, websocket_url, invitation) {
  const who = await whoIsIt(client, invitation);
  if (client.stranger && who) {
    client = { ...client, ...(await fetchClient()) }; // with the key that it has taken
    say(part('device-name'), client.name);
  }
  offerPeople(client, who?.uid ?? null);
  if (!who) return;
  const self = { uid: who.uid, name: who.name, endpoint: await tabEndpoint() };
  const keepAwake = wakeLock();
  let refused = false;
  /** @type {Session} */
  let session;
  const view = new PhoneView(
    {
      put: (input) => session.put(input),
      ask: (action, about) => session.ask(action, about),
      call: () => session.call('video', view.withCamera),
      callBack: () => callBack(session, view),
      openDoor: () => session.openDoor(),
      switchCamera: () => session.switchCamera(),
      // whom the broker refused has to sign in anew
      retry: () => (refused ? location.reload() : session.signaling.retryNow()),
    },
    client.name,
    (client.people ?? []).filter(({ uid }) => uid !== client.device_id),
    who.uid,
    { ...DEFAULTS, ...client.settings },
  );
  const ringtone = new Ringtone((enabled) => view.showSound(enabled));
  view.showSound(ringtone.enabled);
  button('enable-sound').addEventListener('click', () => ringtone.enable());
  const broker = {
    url: websocket_url,
    root: client.root,
    version: client.mqtt_version ?? 4,
    username: who.username ?? who.uid,
    password: who.password,
  };
  const trust = who.pairing ? new Pinned(who.pairing, await pairings()) : PLAIN;
  if (who.pairing) showPairing(who.pairing, client.name, () => session.close());
  session = new Session(
    self,
    { uid: client.device_id, name: client.name },
    (listener) => {
      const alerted = alert(listener, view, client, trust);
      return new Signaling(self, broker, [client.device_id], nextSeq, alerted, trust);
    },
    ringtone,
    {
      onState(state) {
        view.showState(state);
        keepAwake(isLive(state));
        if (state.phase === 'incoming') showPane('phone');
        // a reload enters the session again, until it is over
        if (state.phase === 'ended' && location.hash) {
          history.replaceState(null, '', location.pathname + location.search);
        }
      },
      onLink(link, retry_s) {
        view.showLink(link, retry_s);
        view.showState(session.state);
        if (link === 'connected') enterByLink(session, view);
        refused = link === 'refused';
        // a wrong name or password must not be tried again by the next reload
        if (refused) ofTab.removeItem(CREDENTIALS);
      },
      onDoor: (online) => view.showDoor(online),
      onRemote: (link, remote) => view.in_call.showRemote(link, remote),
      onOwnPicture: (stream) => view.in_call.showOwnPicture(stream),
      onSpeaker: (speaker, audible) => view.in_call.showSpeaker(speaker, audible),
    },
    parseLimits(new URLSearchParams(location.search).get('camera')),
  );
  view.showState(session.state);
  // mqtt.js writes with the next tick, and a page that is being hidden has none left
  window.addEventListener('beforeunload', () => session.leave());
  window.addEventListener('pagehide', () => session.close());
  // brought back as it was, its sockets are dead: begin anew
  window.addEventListener('pageshow', ({ persisted }) => persisted && location.reload());
  window.addEventListener('hashchange', () => enterByLink(session, view));
  window.addEventListener('online', () => {
    session.signaling.retryNow();
    session.signaling.probe();
  });
  window.addEventListener('keydown', ({ key }) => key === 'Escape' && view.panels.close());
  if (client.demo) openDoorPane(client, ringtone);
  await keepRelays((servers) => { session.media.iceServers = servers; });
  await session.signaling.connect();
}

/**
 * The device tells that it does not know this phone's key any more, or is not who it was; or somebody else
 * says in this phone's place who is there.
 *
 * @param {import('./signaling.js').Listener} listener @param {PhoneView} view @param {Client} client
 * @param {import('./trust.js').Trust} trust @returns {import('./signaling.js').Listener}
 */
function alert(listener, view, client, trust) {
  // the device hears nobody whom it does not know: it says so once, and to nobody who comes back
  const told = `${NOT_KNOWN}.${trust.kid}`;
  return {
    ...listener,
    onPaired({ kid, error }) {
      if (kid !== trust.kid || error !== 'not_known') return;
      ofBrowser.setItem(told, 'told');
      listener.onLink('revoked', null);
    },
    onLink(link, retry_s) {
      listener.onLink(link, retry_s);
      if (link === 'connected' && ofBrowser.getItem(told)) listener.onLink('revoked', null);
    },
    onMessage(message) {
      ofBrowser.removeItem(told); // a device that was put back from a backup may know it again
      listener.onMessage(message);
    },
    onFault(code, sentence) {
      listener.onFault(code, sentence);
      if (code === 'other_key') view.showProblem(words.otherKey(client.name), false);
      if (code === 'presence_taken') view.showProblem(words.presenceTaken(client.name), false);
    },
  };
}

/** Whoever rang in vain is called. @param {Session} session @param {PhoneView} view */
function callBack(session, view) {
  const { missed } = session.state;
  if (!missed) return;
  session.put({ type: 'dismiss' });
  session.signaling.watch(missed.uid);
  session.call('video', view.withCamera, { uid: missed.uid, name: missed.name });
}

/** The address leads into a session. @param {Session} session @param {PhoneView} view */
function enterByLink(session, view) {
  const invitation = parseInvitation(location.hash);
  if (!invitation || isLive(session.state)) return;
  if (invitation.uid === session.self.uid) session.join(invitation, view.withCamera);
  else view.showProblem(words.notForYou(invitation.uid), false);
}

async function main() {
  ofTab.removeItem('again'); // all of the page has come: again.js
  listenToKeys();
  // an invitation that is opened where the page is open already
  window.addEventListener('hashchange', () => parsePairing(location.hash) && location.reload());
  const client = await fetchClient();
  const invitation = client ? takePairing() : null;
  if (client?.stranger && !invitation) {
    showDeadEnd(...words.NOT_PAIRED);
    return;
  }
  if (!client?.websocket_url && invitation !== 'broken') {
    showDeadEnd('Not ready', client ? words.NO_WEBSOCKET : words.NO_SERVER);
    if (!client) window.setTimeout(() => location.reload(), RETRY_MS);
    return;
  }
  if (!client) return;
  say(part('device-name'), client.name);
  await openPhone(client, client.websocket_url ?? '', invitation);
}

await main();
