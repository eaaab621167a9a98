// What the tabs of one browser have in common: locks, messages, one leader. Part of longwire.js.
import { pause } from "./session.js";

const PATIENCE = 40_000; // longer than anything is done under a lock

export class Tabs {
  #channel;
  #visible;

  // Without locks (Node, or a page that was not loaded over HTTPS) everybody leads for themselves.
  constructor({ prefix, locks, Channel, storage, shared, heard, log }) {
    Object.assign(this, { prefix, locks, storage, log, id: Math.random().toString(36).slice(2) });
    if (Channel) {
      this.#channel = new Channel(prefix);
      this.#channel.onmessage = ({ data }) => heard(data);
    }
    this.shared = Boolean(shared && locks && Channel);
  }

  tell(message) {
    this.#channel?.postMessage(message);
  }

  // lock runs work while no other tab runs work of that name. A tab that was frozen with the lock in its hands is robbed of it.
  async lock(name, work) {
    if (!this.locks) return typeof document === "undefined" ? work() : this.#lease(name, work);
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), PATIENCE);
    let running;
    const begin = () => (clearTimeout(timer), (running = work()));
    try {
      return await this.locks.request(`${this.prefix}.${name}`, { signal: patience.signal }, begin);
    } catch (error) {
      if (running) return running; // its own error, or it was robbed while it worked
      if (!patience.signal.aborted) throw error;
      this.log(`the lock ${name} is taken from a tab that does not move`);
      return await this.locks.request(`${this.prefix}.${name}`, { steal: true }, begin).catch((error) => running ?? Promise.reject(error));
    } finally {
      clearTimeout(timer);
    }
  }

  // #lease is a lock where there are none: a name in the storage that is good for a while. It is right nearly always, and where it
  // is not, an idempotency key or the old refresh token's grace makes up for it.
  async #lease(name, work) {
    const key = `${this.prefix}.lock.${name}`;
    for (;;) {
      const [holder, until] = (this.storage.getItem(key) ?? "").split(" ");
      if (holder !== this.id && Number(until) > Date.now()) {
        await pause(100 + Math.random() * 200);
        continue;
      }
      this.storage.setItem(key, `${this.id} ${Date.now() + PATIENCE}`);
      await pause(20 + Math.random() * 20); // others who saw it free write over it now
      if (!this.storage.getItem(key)?.startsWith(this.id)) continue;
      try {
        return await work();
      } finally {
        this.storage.removeItem(key);
      }
    }
  }

  // lead runs work(signal) whenever this tab leads those of its session, until the signal it is given ends. It returns what takes the
  // lead from another.
  lead(session, signal, work) {
    if (!this.shared) {
      work(signal);
      return () => {};
    }
    let steal = false;
    let waiting;
    const compete = async () => {
      while (!signal.aborted) {
        waiting = new AbortController();
        const leading = new AbortController();
        const end = () => (waiting.abort(), leading.abort());
        signal.addEventListener("abort", end);
        try {
          await this.locks.request(`${this.prefix}.leader.${session}`, steal ? { steal: true } : { signal: waiting.signal }, () => {
            steal = false;
            if (!signal.aborted) return work(leading.signal);
          });
        } catch (error) {
          if (error.name !== "AbortError") this.log("the lead", error);
          if (error.name !== "AbortError") await pause(1000, signal);
        } finally {
          leading.abort(); // also when another tab took it
          signal.removeEventListener("abort", end);
        }
      }
    };
    compete();
    return () => {
      steal = true;
      waiting.abort();
    };
  }

  // show says whether this tab is to be seen, by a lock that is gone when the tab is.
  show(visible) {
    this.#visible?.();
    this.#visible = null;
    if (visible && this.shared) this.locks.request(`${this.prefix}.visible`, { mode: "shared" }, () => new Promise((resolve) => (this.#visible = resolve))).catch(() => {});
  }

  // anyVisible says whether some tab is to be seen.
  async anyVisible() {
    if (document.visibilityState === "visible" || !this.shared) return document.visibilityState === "visible";
    const { held } = await this.locks.query();
    return held.some((lock) => lock.name === `${this.prefix}.visible`);
  }

  close() {
    this.#visible?.();
    this.#channel?.close();
  }
}
