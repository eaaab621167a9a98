// Messages on their way out: kept in the storage until the server has them on disk, and sent in order for each recipient. Part of longwire.js.
import { LongwireError, backOff, isTemporary, pause } from "./session.js";

const MAX_ITEMS = 200;
const MAX_AGE = 24 * 3600_000; // what is older is not sent by itself any more: its writer may not want it said today

const WATCH = 5_000;

const laneOf = (to) => (to.user ? `users/${encodeURIComponent(to.user)}` : `groups/${encodeURIComponent(to.group)}`);

// newKey is an idempotency key. It is no secret: where there is no crypto, as in Node 18, less good chance will do.
const newKey = () =>
  Array.from(globalThis.crypto?.getRandomValues(new Uint8Array(16)) ?? Array.from({ length: 16 }, () => Math.floor(Math.random() * 256)), (byte) =>
    byte.toString(16).padStart(2, "0")).join("");

export class Outbox {
  #sent = new Map(); // key → {item, resolve, reject}, of those who wait in this tab
  #lanes = new Map(); // lane → {wake, again}, of those that are being sent by this tab
  #watched = new Set(); // lanes that another tab sends
  #last = 0;

  constructor({ session, storage, prefix, shared, changed, log }) {
    Object.assign(this, { session, storage, shared, changed, log, prefix: `${prefix}.outbox.` });
  }

  // items are those of who is signed in, oldest first. Each is kept by itself, so that tabs do not write over each other's.
  get items() {
    const user = this.session.tokens?.user.id;
    const all = [];
    for (let i = 0; i < this.storage.length; i++) {
      const name = this.storage.key(i);
      if (!name?.startsWith(this.prefix)) continue;
      const item = this.#get(name.slice(this.prefix.length));
      if (item && item.user === user) all.push(item);
    }
    return all.sort((a, b) => a.at - b.at);
  }

  #get(key) {
    try {
      return JSON.parse(this.storage.getItem(this.prefix + key));
    } catch {
      return null;
    }
  }

  #put(item) {
    this.storage.setItem(this.prefix + item.key, JSON.stringify(item));
  }

  #told(message) {
    this.shared.tell({ t: "outbox", ...message });
    this.changed();
  }

  send(to, message) {
    const key = newKey();
    const sent = new Promise((resolve, reject) => {
      const user = this.session.tokens?.user.id;
      if (!user) throw new LongwireError(0, "signed_out", "Nobody is signed in.");
      if (this.items.length >= MAX_ITEMS) throw new LongwireError(0, "outbox_full", `${MAX_ITEMS} messages wait already; nothing was kept of this one.`);
      this.#last = Math.max(Date.now(), this.#last + 0.01);
      const item = { key, to, message, state: "waiting", at: this.#last, user };
      try {
        this.#put(item);
      } catch (error) {
        throw new LongwireError(0, "outbox_full", "The storage is full; nothing was kept of this message.", { cause: error });
      }
      this.#sent.set(key, { item, resolve, reject });
      this.#told({ lane: laneOf(to) });
      this.flush(laneOf(to));
    });
    sent.catch(() => {}); // who does not wait for it sees the state of the item
    return { key, sent };
  }

  retry(key) {
    const item = this.#get(key);
    if (!item) return;
    // It was kept too long, or the bound counts from now on: who asks for it wants it said now.
    this.#put({ ...item, state: "waiting", error: undefined, since: Date.now(), next: 0, failures: 0 });
    this.#told({ lane: laneOf(item.to) });
    this.flush(laneOf(item.to));
  }

  discard(key) {
    this.storage.removeItem(this.prefix + key);
    this.settle(key, null, new LongwireError(0, "discarded", "The message was taken back before it was sent."));
    this.#told({ key, discarded: true });
  }

  // settle answers who waits for a message in this tab.
  settle(key, message, error) {
    const waiting = this.#sent.get(key);
    this.#sent.delete(key);
    if (error) waiting?.reject(error);
    else waiting?.resolve(message);
  }

  // confirm is called when a message of one's own comes back, which says that it was sent even if the answer got lost.
  confirm(message) {
    if (this.storage.getItem(this.prefix + message.idempotency_key) === null && !this.#sent.has(message.idempotency_key)) return;
    this.storage.removeItem(this.prefix + message.idempotency_key);
    this.settle(message.idempotency_key, message);
    this.changed();
  }

  // heard is what another tab tells.
  heard({ lane, key, message, error, discarded }) {
    if (message) this.settle(key, message);
    if (error) this.settle(key, null, new LongwireError(error.status, error.code, error.detail, error));
    if (discarded) this.settle(key, null, new LongwireError(0, "discarded", "The message was taken back before it was sent."));
    this.changed();
    if (lane) this.#watch(lane);
  }

  // #watch sends what another tab has written if that tab does not: it may be closed. Tabs that all queue for the lock at once would wait
  // for one that is frozen.
  #watch(lane) {
    if (this.#watched.has(lane)) return;
    this.#watched.add(lane);
    setTimeout(() => {
      this.#watched.delete(lane);
      if (this.items.some((item) => laneOf(item.to) === lane && item.state !== "failed")) this.flush(lane);
    }, WATCH * (1 + Math.random()));
  }

  // clear forgets everything: nobody is signed in, or somebody else.
  clear(keepUser) {
    for (let i = this.storage.length - 1; i >= 0; i--) {
      const name = this.storage.key(i);
      if (name?.startsWith(this.prefix) && this.#get(name.slice(this.prefix.length))?.user !== keepUser) this.storage.removeItem(name);
    }
    for (const [key, { item }] of [...this.#sent]) if (item.user !== keepUser) this.settle(key, null, new LongwireError(0, "signed_out", "The session ended before the message was sent."));
    for (const lane of this.#lanes.values()) lane.wake?.();
    this.changed();
  }

  // flush sends what waits: of one recipient, or of all. In a hurry, when the network is back, nothing waits for its time to come.
  flush(only, hurry = false) {
    const lanes = only ? [only] : new Set(this.items.map((item) => laneOf(item.to)));
    for (const lane of lanes) {
      const running = this.#lanes.get(lane);
      if (running) {
        running.again = true;
        running.hurry ||= hurry;
        running.wake?.(); // which changes nothing for what has to wait yet
      } else this.#run(lane, hurry).catch((error) => this.log(`outbox ${lane}`, error));
    }
  }

  async #run(lane, hurry) {
    const me = { again: false, hurry, wake: null };
    this.#lanes.set(lane, me);
    try {
      for (;;) {
        const hurried = me.hurry;
        me.again = me.hurry = false;
        // The lock is held for one try only: a tab that is frozen while it holds it must not stop the others for long.
        const wait = await this.shared.lock(`outbox.${lane}`, () => this.#next(lane, hurried));
        if (me.again) continue;
        if (wait === null) return;
        const pausing = pause(wait);
        me.wake = pausing.wake;
        await pausing;
        me.wake = null;
      }
    } finally {
      this.#lanes.delete(lane);
    }
  }

  // #next sends one message. It returns how long to wait before the next try, null when nothing is left.
  async #next(lane, hurried) {
    if (!this.session.tokens) return null;
    const kept = this.items.filter((item) => laneOf(item.to) === lane);
    // What others have sent while nobody told us is asked for again: the key gives the same answer.
    const lost = [...this.#sent.values()].map((s) => s.item).filter((i) => laneOf(i.to) === lane && this.storage.getItem(this.prefix + i.key) === null);
    const item = [...lost, ...kept].sort((a, b) => a.at - b.at).find((i) => i.state !== "failed");
    if (!item) return null;
    if (!hurried && item.next > Date.now()) return item.next - Date.now();
    if (Date.now() - (item.since ?? item.at) > MAX_AGE) return this.#fail(item, new LongwireError(0, "outbox_expired", "It could not be sent for a day."));
    const isLost = lost.includes(item);
    if (!isLost) this.#put({ ...item, state: "sending" });
    this.changed();
    try {
      const message = await this.session.authorized("POST", `/v1/${lane}/messages`, { body: item.message, key: item.key });
      if (!message?.conversation_id) throw new LongwireError(0, "bad_answer", "What came is not Longwire's.");
      this.storage.removeItem(this.prefix + item.key);
      this.settle(item.key, message);
      this.#told({ key: item.key, message });
      return 0;
    } catch (error) {
      if (!(error instanceof LongwireError)) throw error;
      if (!this.session.tokens) return null; // and the outbox is cleared
      if (!isTemporary(error)) return this.#fail(item, error);
      const failures = (item.failures ?? 0) + 1;
      const wait = backOff(failures, error.retryAfter);
      this.log(`message ${item.key} waits for ${Math.round(wait)} ms`, error);
      if (this.#get(item.key)) this.#put({ ...item, state: "waiting", failures, next: Date.now() + wait });
      this.changed();
      return wait;
    }
  }

  #fail(item, error) {
    const { status, code, detail, errors, retryAfter, requestId } = error;
    const told = { status, code, detail, errors, retryAfter, requestId };
    if (this.#get(item.key)) this.#put({ ...item, state: "failed", error: told });
    this.settle(item.key, null, error);
    this.#told({ key: item.key, error: told });
    return 0;
  }
}
