// longwire.js is the client of Longwire for browsers and Node: docs/javascript.md. Types are in longwire.d.ts, the parts in longwire/.
import { Inbox } from "./longwire/inbox.js";
import { Outbox } from "./longwire/outbox.js";
import { LongwireError, Session } from "./longwire/session.js";
import { Tabs } from "./longwire/tabs.js";

export { LongwireError };

const PRESENCE_SETTLES = 1_500; // switching between two tabs is no news

// memory is a storage that is gone with the process.
export function memory() {
  const kept = new Map();
  return {
    get length() {
      return kept.size;
    },
    key: (i) => [...kept.keys()][i] ?? null,
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => void kept.set(name, String(value)),
    removeItem: (name) => void kept.delete(name),
  };
}

const page = typeof document === "undefined" ? null : document;

function storageOfPage() {
  try {
    return page && globalThis.localStorage; // a browser may forbid it
  } catch {
    return null;
  }
}

export const createClient = (options) => new Client(options);

class Client {
  #handlers = new Map();
  #cleanUp = [];
  #presence;
  #presenceTimer = null;

  constructor(options = {}) {
    const prefix = options.prefix ?? "longwire";
    const url = new URL(options.url ?? globalThis.location?.origin).href;
    const storage = options.storage ?? storageOfPage() ?? memory();
    const fetch = options.fetch ?? ((...given) => globalThis.fetch(...given));
    const log = options.log ?? (() => {});
    const given = (name, ours) => (name in options ? options[name] : ours);
    const locks = given("locks", page && globalThis.navigator?.locks);
    const Channel = given("BroadcastChannel", page && globalThis.BroadcastChannel);
    this.log = log;
    this.fixedPresence = options.presence ?? (page ? null : "active");
    this.#presence = this.fixedPresence ?? (page.visibilityState === "visible" ? "active" : "background");
    this.tabs = new Tabs({ prefix, locks, Channel, storage, shared: options.shared ?? true, log, heard: (message) => this.#heard(message) });
    this.auth = new Session({ url, storage, prefix, fetch, shared: this.tabs, deviceName: options.deviceName, log, changed: (s, reason) => this.#sessionChanged(s, reason) });
    this.out = new Outbox({ session: this.auth, storage, prefix, shared: this.tabs, log, changed: () => this.#emit("outbox", () => this.outbox) });
    this.cursorKey = `${prefix}.cursor`;
    this.storage = storage;
    this.inbox = new Inbox({
      session: this.auth,
      tabs: this.tabs,
      log,
      give: {
        event: (event) => this.#event(event),
        reset: (reset) => this.#emit("reset", () => reset),
        connection: (connection) => {
          this.#emit("connection", () => connection);
          if (connection.leader) this.#presenceSoon(); // the last leader may have been the one that was looked at
        },
        cursor: (cursor) => this.#keepCursor(cursor),
      },
      reader: {
        url,
        fetch,
        EventSource: given("EventSource", page && globalThis.EventSource),
        sameOrigin: Boolean(page) && new URL(url).origin === globalThis.location.origin,
        transports: options.transports ?? ["sse", "long-poll", "short-poll"],
        timing: options.timing,
        presence: () => this.#presence,
      },
    });
    if (page) this.#watchPage();
    this.out.flush();
  }

  // --- who is signed in

  get session() {
    const tokens = this.auth.tokens;
    return tokens ? { user: tokens.user, session_id: tokens.session_id } : null;
  }

  register(input) {
    return this.auth.signIn("/v1/auth/register", input);
  }

  login(input) {
    return this.auth.signIn("/v1/auth/login", input);
  }

  async logout() {
    const session = this.auth.tokens;
    if (!session) return;
    try {
      await this.request("POST", "/v1/auth/logout");
    } catch (error) {
      if (error.status !== 401 && error.code !== "signed_out") throw error; // still signed in, and the application should know
    }
    this.auth.end("signed_out", session.session_id);
  }

  #sessionChanged(tokens, reason) {
    this.inbox.stop(tokens ? "stopped" : "signed_out");
    this.out.clear(tokens?.user.id);
    if (!this.#keptCursor()) this.storage.removeItem(this.cursorKey);
    this.#emit("session", () => this.session, reason);
    if (tokens) this.out.flush();
  }

  // --- calls

  request(method, path, options) {
    return this.auth.request(method, path, options);
  }

  send(to, message) {
    return this.out.send(to, message);
  }

  get outbox() {
    return this.out.items.map(({ key, to, message, state, error, at }) => ({ key, to, message, state, at, ...(error && { error: new LongwireError(error.status, error.code, error.detail, error) }) }));
  }

  retry(key) {
    this.out.retry(key);
  }

  discard(key) {
    this.out.discard(key);
  }

  // --- the inbox

  sync() {
    return this.request("GET", "/v1/sync");
  }

  start(cursor) {
    this.inbox.start(cursor);
  }

  stop() {
    this.inbox.stop();
  }

  get cursor() {
    return this.inbox.running ? this.inbox.cursor : (this.#keptCursor()?.cursor ?? null);
  }

  get connection() {
    return this.inbox.connection;
  }

  // close stops everything: for tests, and for pages that make more than one client.
  close() {
    this.stop();
    this.#handlers.clear();
    for (const clean of this.#cleanUp) clean();
    this.tabs.close();
  }

  #keptCursor() {
    try {
      const kept = JSON.parse(this.storage.getItem(this.cursorKey));
      return kept?.session_id === this.auth.tokens?.session_id ? kept : null;
    } catch {
      return null;
    }
  }

  #keepCursor(cursor) {
    const session_id = this.auth.tokens?.session_id;
    try {
      if (session_id) this.storage.setItem(this.cursorKey, JSON.stringify({ cursor, session_id }));
    } catch (error) {
      this.log("the cursor is not kept", error);
    }
  }

  #event(event) {
    if (event.type === "message.created" && event.data.idempotency_key) this.out.confirm(event.data);
    this.#emit("event", () => event);
    if (event.type === "session.revoked" && event.data.session_id === this.session?.session_id) this.auth.end("session_ended");
  }

  // --- handlers

  on(type, handler) {
    if (!this.#handlers.has(type)) this.#handlers.set(type, new Set());
    const handlers = this.#handlers.get(type);
    const own = (...given) => handler(...given); // so that the same function may be given twice
    handlers.add(own);
    return () => handlers.delete(own);
  }

  #emit(type, value, ...more) {
    for (const handler of [...(this.#handlers.get(type) ?? [])]) {
      try {
        handler(value(), ...more);
      } catch (error) {
        // One handler's fault must not cost the others an event.
        this.log(`a handler of ${type} failed`, error);
        (globalThis.reportError ?? console.error)(error);
      }
    }
  }

  // --- other tabs, and the page

  #heard(message) {
    if (message.t === "session") this.auth.look(message.reason);
    else if (message.t === "outbox") this.out.heard(message);
    else if (message.t === "presence") this.#presenceSoon();
    else this.inbox.heard(message);
  }

  #watchPage() {
    const listen = (target, type, handler) => {
      target.addEventListener(type, handler);
      this.#cleanUp.push(() => target.removeEventListener(type, handler));
    };
    const shown = () => page.visibilityState === "visible";
    this.tabs.show(shown());
    listen(page, "visibilitychange", () => {
      this.tabs.show(shown());
      this.#presenceSoon();
      this.tabs.tell({ t: "presence" });
      if (shown()) this.inbox.wake("visible");
    });
    listen(globalThis, "online", () => {
      this.inbox.wake("online");
      this.out.flush(undefined, true);
    });
    listen(globalThis, "pagehide", () => {
      this.tabs.show(false);
      this.tabs.tell({ t: "presence" });
      this.inbox.suspend(); // another tab goes on at once, and the page may be kept for going back to it
    });
    listen(globalThis, "pageshow", (event) => {
      if (!event.persisted) return;
      this.tabs.show(shown());
      this.auth.look("changed");
      this.inbox.resume();
      this.out.flush();
    });
    listen(globalThis, "storage", (event) => (event.key === null || event.key === this.auth.key) && this.auth.look("changed"));
    this.#presenceSoon();
  }

  // #presenceSoon tells the server, if this tab leads, whether any of the tabs is looked at.
  #presenceSoon() {
    if (this.fixedPresence) return;
    clearTimeout(this.#presenceTimer);
    this.#presenceTimer = setTimeout(async () => {
      const now = (await this.tabs.anyVisible()) ? "active" : "background";
      if (now === this.#presence) return;
      this.#presence = now;
      if (this.connection.leader && this.session) this.auth.authorized("PUT", "/v1/me/presence", { body: { state: now } }).catch((error) => this.log("presence", error));
    }, PRESENCE_SETTLES);
  }
}
