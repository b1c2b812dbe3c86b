//! Zhiyin browser tracker, Apache-2.0
//
// Sends what visitors do to {host}/v1/b in Segment's wire format. No dependency, ES2017.
//
// Three rules hold everywhere below:
// - Before consent nothing is read from the browser's storage, written to it, or sent.
// - An event leaves the queue when the server has answered for good, never earlier. What may have
//   arrived is sent again under the same messageId: the server keeps it once.
// - Each event is an own storage item, written by one tab and deleted by whoever delivered it, so
//   that tabs never overwrite each other's queue.
//
// The server strips indentation and lines that are only a comment (api/tracker.py): a comment has
// a line of its own, and no string or template runs over lines. Under 4 kB gzipped; a test says so.
(() => {
  'use strict';

  const VERSION = '0.1.0';
  const NAME = 'zhiyin';
  const UPDATED = 'Segment Consent Preference Updated';
  const MAX_HELD_CALLS = 100;
  const MAX_EVENT_BYTES = 32000;
  // All keepalive requests under way share 64 KiB.
  const MAX_BATCH_BYTES = 60000;
  const MAX_WAIT_MS = 300000;
  const TIMEOUT_MS = 15000;

  const script = document.currentScript;
  const options = {
    host: script ? script.src.replace(/\/[^/]*$/, '') : '',
    // 'wait', or 'off': this site asks for none. What is known already: {category: boolean}.
    consent: 'wait',
    preferences: {},
    // The category without which nothing is stored or sent; those that a bare grant or deny means.
    needs: 'Analytics',
    categories: null,
    // Whether Global Privacy Control and Do Not Track are refusals.
    signals: false,
    // Page views: of the page as loaded; of every address it gives itself later (true or 'hash').
    pages: true,
    spa: false,
    cookieDomain: '',
    cookieDays: 365,
    batchSize: 20,
    batchMs: 1000,
    retryMs: 500,
    keepEvents: 500,
    keepHours: 48,
  };

  const preferences = {};
  // Events that the browser refused to store, by their slot; and the slots of those under way.
  const memory = new Map();
  const flying = new Set();
  let writeKey, timer, address, leaving;
  let anonymousId = '';
  let userId = '';
  let referrer = document.referrer;
  // Calls that wait for consent.
  let held = [];
  let taken = 0;
  let unsent = 0;
  let failures = 0;
  let notBefore = 0;

  const warn = (text) => console.warn(NAME + ': ' + text);

  // A tracker never breaks the page it is on.
  const safely = (action, quietly) => {
    try {
      return action();
    } catch (error) {
      return quietly ? null : warn(error.message);
    }
  };

  // ---- Storage: every access may throw, where the visitor blocks it or it is full.

  const read = (item) => safely(() => localStorage.getItem(NAME + '.' + item), true);

  const write = (item, value) =>
    safely(() => {
      localStorage.setItem(NAME + '.' + item, value);
      return true;
    }, true);

  const remove = (item) => safely(() => localStorage.removeItem(NAME + '.' + item), true);

  // What follows the prefix in the names of our items, sorted.
  const stored = (prefix) => {
    prefix = NAME + '.' + prefix;
    const items = safely(() => Object.keys(localStorage), true) || [];
    return items.filter((item) => item.startsWith(prefix)).map((item) => item.slice(prefix.length)).sort();
  };

  // ---- Who: an anonymous id in a first-party cookie, and a copy where cookies live shorter.

  // Not crypto.randomUUID: a page over plain http has none.
  const newId = () =>
    Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => (byte + 256).toString(16).slice(1)).join('');

  const writeCookie = (value, days) => {
    document.cookie =
      NAME + '_id=' + value + ';path=/;samesite=lax;max-age=' + days * 86400 +
      (options.cookieDomain && ';domain=' + options.cookieDomain) +
      (location.protocol === 'https:' ? ';secure' : '');
  };

  const setAnonymousId = (id) => {
    anonymousId = id;
    writeCookie(id, options.cookieDays);
    write('id', id);
  };

  const setUserId = (id) => {
    userId = String(id);
    write('user', userId);
  };

  // Another tab may have signed in or out: what is stored comes before what this page remembers.
  const recall = () => {
    const cookie = document.cookie.match(/(?:^|; )zhiyin_id=([\w-]+)/);
    const kept = read('id');
    const id = (cookie && cookie[1]) || kept || anonymousId || newId();
    if (id !== anonymousId) setAnonymousId(id);
    if (kept) userId = read('user') || '';
  };

  // ---- Consent.

  const refused = () => preferences[options.needs] === false;

  const mayTrack = () =>
    writeKey && (options.consent === 'off' ? !refused() : preferences[options.needs] === true);

  const empty = () => {
    held = [];
    memory.clear();
    stored('q.').forEach((slot) => remove('q.' + slot));
  };

  const prefer = (changes) => {
    const before = mayTrack();
    Object.assign(preferences, changes);
    if (options.signals && (navigator.globalPrivacyControl || navigator.doNotTrack === '1')) {
      preferences[options.needs] = false;
    }
    if (mayTrack()) {
      const text = JSON.stringify(preferences);
      if (text !== '{}' && text !== read('consent')) {
        write('consent', text);
        held.unshift(snapshot('track', [UPDATED]));
      }
      held.splice(0).forEach(run);
    } else if (refused()) {
      empty();
      if (before && anonymousId) {
        // Who takes consent back is heard: that is the last thing sent.
        run(snapshot('track', [UPDATED]));
        send();
        empty();
        writeCookie('', 0);
        stored('').forEach(remove);
        anonymousId = userId = '';
      }
    }
  };

  const consent = (decision, categories) => {
    if (!/^(grant|deny)$/.test(decision)) return warn("consent takes 'grant' or 'deny'");
    const changes = {};
    [].concat(categories || options.categories || options.needs).forEach((category) => {
      changes[category] = decision === 'grant';
    });
    prefer(changes);
  };

  // ---- Calls: what the page is like is taken at once; ids are filled in when there is consent.

  const snapshot = (type, args, at) => {
    const campaign = {};
    new URLSearchParams(location.search).forEach((value, name) => {
      if (/^utm_/.test(name)) campaign[name === 'utm_campaign' ? 'name' : name.slice(4)] = value;
    });
    const { pathname: path, search, href: url } = location;
    const page = { path, referrer, search, title: document.title, url };
    return { type, args, at: at || Date.now(), page, campaign };
  };

  // Each fills in an event and says whether it is complete. Names and ids (`texts`) come first in a
  // call and may be left out; then come the properties or traits (`body`), then the options.
  const kinds = {
    track: (event, texts, body) => {
      event.properties = body;
      return (event.event = texts[0]);
    },
    page: (event, texts, body, page) => {
      event.name = texts.pop();
      event.category = texts.pop();
      const { name, category } = event;
      return (event.properties = Object.assign({}, page, { name, category }, body));
    },
    identify: (event, texts, body) => {
      const id = texts[0];
      if (id) {
        // Another person at the same browser starts with an anonymous id of her own.
        if (userId && String(id) !== userId) setAnonymousId(newId());
        setUserId(id);
      }
      return (event.traits = body);
    },
    group: (event, texts, body) => {
      event.traits = body;
      return (event.groupId = texts[0]);
    },
    alias: (event, texts) => {
      event.previousId = texts[1] || userId || anonymousId;
      if (texts[0]) setUserId(texts[0]);
      return texts[0];
    },
    reset: () => {
      setUserId('');
      setAnonymousId(newId());
    },
  };

  const run = ({ type, args, at, page, campaign }) =>
    safely(() => {
      recall();
      const texts = args.filter((arg) => /string|number/.test(typeof arg));
      const [body, extra] = args.filter((arg) => arg && typeof arg === 'object').concat({}, {});
      const event = { type };
      if (!kinds[type](event, texts, body, page)) {
        return type === 'reset' || warn(type + ' needs a name or an id');
      }
      // A slot begins with its time, so that slots sort by age.
      const slot = Date.now().toString(36) + '-' + (10000 + taken++) + '-' + newId();
      const context = {
        library: { name: NAME + '.js', version: VERSION },
        page,
        campaign,
        userAgent: navigator.userAgent,
        locale: navigator.language,
        timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
        consent: { categoryPreferences: preferences },
      };
      Object.assign(event, {
        messageId: extra.messageId || slot,
        timestamp: new Date(extra.timestamp || at).toISOString(),
        anonymousId,
        userId: userId || undefined,
        integrations: extra.integrations,
        context: Object.assign(context, extra.context),
      });
      return keep(slot, JSON.stringify(event));
    });

  // ---- The queue.

  const sizeOf = (text) => new TextEncoder().encode(text).length;

  const nameOf = (slot) => 'q.' + writeKey + '.' + slot;

  const keep = (slot, text) => {
    if (sizeOf(text) > MAX_EVENT_BYTES) return warn('dropped an event over 32 kB');
    if (!write(nameOf(slot), text)) memory.set(slot, text);
    const slots = stored(nameOf('')).concat(Array.from(memory.keys()));
    slots.slice(0, -options.keepEvents).forEach(forget);
    unsent += 1;
    later(unsent < options.batchSize ? options.batchMs : 0);
  };

  const forget = (slot) => {
    memory.delete(slot);
    remove(nameOf(slot));
  };

  const waiting = () => {
    const oldest = Date.now() - options.keepHours * 3600000;
    const events = stored(nameOf('')).map((slot) => [slot, read(nameOf(slot))]).concat(Array.from(memory));
    return events.filter(([slot, text]) => {
      if (parseInt(slot, 36) < oldest) forget(slot);
      else return text && !flying.has(slot);
    });
  };

  // ---- Delivery.

  const pause = () => Math.min(Math.max(notBefore, read('wait')) - Date.now(), MAX_WAIT_MS);

  const later = (ms) => {
    if (timer && ms) return;
    clearTimeout(timer);
    timer = setTimeout(flush, Math.max(ms, pause()));
  };

  // One tab at a time, where the browser has locks; elsewhere the server drops what comes twice.
  const flush = () => {
    timer = 0;
    if (!mayTrack()) return;
    if (!navigator.locks) send();
    else {
      const sendIfFree = (lock) => (lock ? send() : later(options.batchMs));
      navigator.locks.request(NAME, { ifAvailable: true }, sendIfFree).catch(send);
    }
  };

  // A page that is left sends without the lock: nobody will be there to get it.
  const leave = () => {
    leaving = true;
    if (mayTrack() && pause() <= 0) send();
    leaving = false;
  };

  const post = async (body) => {
    const url = options.host + '/v1/b';
    const controller = new AbortController();
    const limit = setTimeout(() => controller.abort(), TIMEOUT_MS);
    try {
      // A browser without keepalive ends a request with its page.
      if (leaving && !('keepalive' in Request.prototype)) navigator.sendBeacon(url, body);
      // A string goes as text/plain, which needs no preflight.
      else {
        const { signal } = controller;
        return await fetch(url, { method: 'POST', body, keepalive: true, credentials: 'omit', signal });
      }
    } catch (error) {
      // The network failed: as without an answer.
    } finally {
      clearTimeout(limit);
    }
  };

  const send = async () => {
    let bytes = 200;
    const batch = waiting().filter(([, text], place) => {
      bytes += sizeOf(text) + 1;
      return place < options.batchSize && bytes < MAX_BATCH_BYTES;
    });
    unsent = 0;
    if (!batch.length) return;
    batch.forEach(([slot]) => flying.add(slot));
    const texts = batch.map(([, text]) => text);
    const rest = JSON.stringify({ sentAt: new Date(), writeKey });
    const answer = await post('{"batch":[' + texts + '],' + rest.slice(1));
    batch.forEach(([slot]) => flying.delete(slot));
    if (!mayTrack()) return;
    const status = answer ? answer.status : 500;
    if (/^(408|410|429|460|5(?!01|05)..)$/.test(status)) {
      const told = answer && answer.headers.get('Retry-After');
      const toldMs = told * 1000 || Date.parse(told) - Date.now();
      const backoff = options.retryMs * Math.pow(2, failures++) * (0.5 + Math.random());
      notBefore = Date.now() + (toldMs > 0 ? toldMs : backoff);
      write('wait', notBefore);
    } else {
      if (status >= 400) warn('the server refused a batch: ' + status);
      batch.forEach(([slot]) => forget(slot));
      resume();
    }
    if (waiting().length) later(0);
  };

  const resume = () => {
    failures = notBefore = 0;
    remove('wait');
  };

  // ---- Page views.

  const addressNow = () => (options.spa === 'hash' ? location.href : location.href.split('#')[0]);

  const viewPage = () => {
    if (address === addressNow()) return;
    referrer = address || referrer;
    address = addressNow();
    call('page', []);
  };

  const watchHistory = () => {
    ['pushState', 'replaceState'].forEach((method) => {
      const original = history[method];
      history[method] = function () {
        original.apply(this, arguments);
        // The page's own code first: it sets the title.
        setTimeout(viewPage);
      };
    });
    addEventListener('popstate', () => setTimeout(viewPage));
  };

  // ---- The one function that pages call.

  const init = (key, given) => {
    if (!key || writeKey) return warn('init needs one write key, once');
    writeKey = key;
    Object.assign(options, given);
    options.host = options.host.replace(/\/+$/, '');
    prefer(options.preferences);
    addEventListener('pagehide', leave);
    document.addEventListener('visibilitychange', () => document.hidden && leave());
    addEventListener('online', () => {
      if (!mayTrack()) return;
      resume();
      later(0);
    });
    if (options.spa) watchHistory();
    // A page that the browser loads ahead is not seen yet.
    if (!options.pages) address = addressNow();
    else if (document.prerendering) document.addEventListener('prerenderingchange', viewPage);
    else viewPage();
    if (mayTrack()) later(options.batchMs);
  };

  const call = (name, args, at) => {
    if (!kinds.hasOwnProperty(name)) warn('there is no ' + name);
    else if (mayTrack()) run(snapshot(name, args, at));
    else if (!refused() && held.length < MAX_HELD_CALLS) held.push(snapshot(name, args, at));
  };

  const commands = { init, consent, flush };

  const take = ([name, ...args], at) =>
    safely(() => (commands.hasOwnProperty(name) ? commands[name](...args) : call(name, args, at)));

  const early = (window[NAME] && window[NAME].q) || [];
  window[NAME] = (...args) => take(args);
  early.forEach(([at, args]) => take(Array.from(args), at));
})();
