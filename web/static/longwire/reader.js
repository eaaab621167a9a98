// How the inbox is read: by stream, long-poll or short-poll, going down when one does not get through and up again later. Part of longwire.js.
import { LongwireError, backOff, isTemporary, jittered, pause, problemOf } from "./session.js";

export const TIMING = {
  hello: 5_000, // a stream that has not said hello by then is looked into
  deaths: 3, // so many streams that die within `deathsWithin` without having brought anything are too many
  deathsWithin: 120_000,
  up: 180_000, // when a better transport is tried again; doubled each time it fails, up to upMax
  upMax: 1_800_000,
  waits: [25, 10], // seconds of a long-poll, shortened when something on the way cuts it
  cut: 2_000, // a poll that fails sooner was not cut while it waited
  short: [3_000, 5_000], // between short polls
  quiet: 5_000, // a tab that becomes visible opens a connection anew that has been quiet for so long
};

const PADDING = 16_384;

// parseEvents returns a function that takes pieces of an event stream and calls got(name, data, id).
export function parseEvents(got) {
  let rest = "";
  let name = "";
  let data = [];
  let id = "";
  return (text) => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    if (rest.length > 4 << 20) throw new LongwireError(0, "bad_answer", "A line of the stream has no end.");
    for (const line of lines) {
      const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (line === "") {
        if (data.length) got(name || "message", data.join("\n"), id);
        name = "";
        data = [];
      } else if (field === "event") name = value;
      else if (field === "data") data.push(value);
      else if (field === "id") id = value;
    }
  };
}

// openByFetch reads a stream by fetch. It returns what closes it.
export function openByFetch(fetch, url, token, got, broke) {
  const ended = new AbortController();
  const read = async () => {
    const response = await fetch(url, { headers: { Accept: "text/event-stream", Authorization: `Bearer ${token}` }, signal: ended.signal, cache: "no-store" });
    if (!response.ok) throw await problemOf(response);
    if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) throw new LongwireError(response.status, "bad_answer", "What came is no event stream.");
    await readAll(response, parseEvents(got));
  };
  read().then(
    () => broke(null),
    (error) => broke(error instanceof LongwireError ? error : null),
  );
  return () => ended.abort();
}

// openByEventSource reads a stream by EventSource, which is closed at the first error: what to do then is not left to it.
export function openByEventSource(EventSource, url, got, broke) {
  const source = new EventSource(url);
  for (const name of ["message", "hello", "heartbeat", "reset", "bye"]) source.addEventListener(name, (e) => got(name, e.data, e.lastEventId));
  source.addEventListener("error", (e) => (e.data ? got("error", e.data) : broke(null)));
  return () => source.close();
}

// probe finds out whether streams get through: "ok", "buffering" when they do not while other calls do, "missing" when the server does
// not say, "unreachable".
export async function probe(fetch, url, padding = 0, timeout = 8_000) {
  const ended = new AbortController();
  const timer = setTimeout(() => ended.abort(), timeout);
  try {
    const response = await fetch(new URL(`/v1/diag/stream${padding ? `?padding=${padding}` : ""}`, url).href, { headers: { Accept: "text/event-stream" }, signal: ended.signal, cache: "no-store" });
    if (response.status === 404 || response.status === 429) return "missing";
    if (response.status === 503) return "unreachable";
    const ticks = [];
    const parse = parseEvents((name, data) => name === "tick" && ticks.push({ ...JSON.parse(data), came: Date.now() }));
    await readAll(response, parse);
    const [first, last] = [ticks[0], ticks.at(-1)];
    if (last && last.n === last.of) return last.came - first.came < ((last.n - first.n) * last.interval_ms) / 2 ? "buffering" : "ok";
  } catch {
    // Whether it is streams alone that do not get through, a plain call shows.
  } finally {
    clearTimeout(timer);
  }
  const patience = new AbortController();
  const patient = setTimeout(() => patience.abort(), timeout);
  const plain = await fetch(new URL("/v1/limits", url).href, { signal: patience.signal, cache: "no-store" }).catch(() => null);
  clearTimeout(patient);
  return plain?.ok ? "buffering" : "unreachable";
}

async function readAll(response, parse) {
  const decoder = new TextDecoder();
  const body = response.body.getReader();
  for (let part = await body.read(); !part.done; part = await body.read()) parse(decoder.decode(part.value, { stream: true }));
}

export class Reader {
  #level = 0; // in transports
  #upAt = 0;
  #upAfter;
  #deaths = [];
  #wait = 0; // in timing.waits
  #cuts = 0;
  #polled = false; // whether the last poll was answered
  #failures = 0;
  #byToken; // whether EventSource needs a token in its URL, because the cookie is not ours
  #inboxToken = null;
  #interrupt = null; // ends what is being waited for
  #heardAt = 0;
  #resetAt = 0;
  #padding = 0; // bytes behind hello, where the first ones are held back

  // `inbox` has position(), deliver(events, cursor, streamed), reset(reason) and state(changes); see inbox.js.
  constructor({ session, inbox, transports, timing, url, fetch, EventSource, sameOrigin, presence, log }) {
    Object.assign(this, { session, inbox, transports, timing: { ...TIMING, ...timing }, url, fetch, EventSource, presence, log });
    this.#byToken = !sameOrigin;
    this.#upAfter = this.timing.up;
  }

  // run reads until the signal ends.
  async run(signal) {
    this.#failures = 0;
    const interrupt = () => this.#interrupt?.("ended");
    signal.addEventListener("abort", interrupt);
    while (!signal.aborted && this.session.tokens) {
      let wait;
      try {
        if (this.#level > 0 && Date.now() >= this.#upAt) await this.#tryUp();
        if (signal.aborted) break;
        const transport = this.transports[this.#level];
        this.inbox.state({ transport });
        wait = transport === "sse" ? await this.#stream() : await this.#poll(transport === "long-poll" ? this.timing.waits[this.#wait] : 0);
      } catch (error) {
        if (signal.aborted) break;
        wait = await this.#failed(error);
      }
      if (wait > 0 && !signal.aborted) await this.#pause(wait);
    }
    signal.removeEventListener("abort", interrupt);
    // The session is gone. Who ended it tells; but nobody may be left to tell.
    if (!signal.aborted) await pause(1000, signal);
    if (!signal.aborted) this.session.look("changed");
  }

  // wake is called when the network or the tab is back: a connection that may be dead is not waited for.
  wake(reason) {
    if (reason === "online") {
      this.#level = this.#wait = this.#cuts = this.#failures = 0; // it may be another network
      this.#upAfter = this.timing.up;
      this.#deaths = [];
      this.#padding = 0;
    }
    if (reason === "visible" && Date.now() - this.#heardAt < this.timing.quiet) return;
    this.#interrupt?.(reason);
  }

  async #pause(ms) {
    const pausing = pause(ms);
    this.#interrupt = pausing.wake;
    await pausing;
    this.#interrupt = null;
  }

  #live() {
    this.inbox.state({ state: "live", retryAt: null, reason: undefined });
  }

  #down(reason) {
    if (this.#level + 1 >= this.transports.length) return false;
    this.#level++;
    this.#wait = this.#cuts = 0;
    this.#deaths = [];
    this.#upAt = Date.now() + jittered(this.#upAfter);
    this.#upAfter = Math.min(this.timing.upMax, this.#upAfter * 2);
    this.log(`${this.transports[this.#level - 1]} does not get through (${reason}), going on by ${this.transports[this.#level]}`);
    return true;
  }

  // #judge is probe, and finds out whether padding helps.
  async #judge() {
    const verdict = await probe(this.fetch, this.url, this.#padding);
    if (verdict !== "buffering" || this.#padding || (await probe(this.fetch, this.url, PADDING)) !== "ok") return verdict;
    this.#padding = PADDING;
    this.log("the first bytes of streams are held back, which padding helps against");
    return "padded";
  }

  async #tryUp() {
    const verdict = this.transports[0] === "sse" ? await this.#judge() : "ok";
    if (verdict === "buffering" || verdict === "unreachable") {
      this.#upAt = Date.now() + jittered(this.#upAfter);
      this.#upAfter = Math.min(this.timing.upMax, this.#upAfter * 2);
      return;
    }
    this.#level = this.#wait = this.#cuts = 0;
  }

  async #open(got, broke) {
    const session = await this.session.access();
    const address = new URL("/v1/inbox/stream", this.url);
    address.searchParams.set("cursor", this.inbox.position());
    address.searchParams.set("presence", this.presence());
    if (this.#padding) address.searchParams.set("padding", this.#padding);
    if (!this.EventSource) return openByFetch(this.fetch, address.href, session.access_token, got, broke);
    address.searchParams.set("errors", "inband");
    if (this.#byToken) {
      if (!this.#inboxToken || this.#inboxToken.session_id !== session.session_id || Date.now() >= this.#inboxToken.renew_at) {
        const { token, expires_in } = await this.session.authorized("POST", "/v1/inbox/tokens");
        this.#inboxToken = { token, session_id: session.session_id, renew_at: Date.now() + expires_in * 500 };
      }
      address.searchParams.set("access_token", this.#inboxToken.token);
    }
    return openByEventSource(this.EventSource, address.href, got, broke);
  }

  async #stream() {
    this.#polled = false;
    const life = await this.#life();
    if (life.asked) return 0;
    if (life.reset) return this.#reset(life.reset);
    // What something on the way answers in place of the server is a death like others.
    if (life.error && !/^(bad_answer$|http_)/.test(life.error.code)) throw life.error;
    if (life.bye) return this.#bye(life.bye);
    return this.#died(life);
  }

  // #life is the life of one stream. It resolves with how it ended.
  #life() {
    return new Promise((resolve) => {
      const life = { hello: false, events: 0, began: Date.now() };
      let close = () => {};
      let timer;
      const finish = (how) => {
        if (life.over) return;
        Object.assign(life, how, { over: true, lasted: Date.now() - life.began });
        clearTimeout(timer);
        this.#interrupt = null;
        close();
        resolve(life);
      };
      const expect = (ms, late) => {
        clearTimeout(timer);
        timer = setTimeout(late, ms);
      };
      const noHello = async () => {
        const verdict = await this.#judge();
        if (!life.hello) finish({ verdict });
      };
      const got = (name, text) => {
        if (life.over) return;
        const data = JSON.parse(text);
        this.#heardAt = Date.now();
        if (name === "error") return finish({ error: new LongwireError(data.status, data.code, data.detail, { errors: data.errors ?? [], requestId: data.request_id ?? null }) });
        if (name === "bye") return finish({ bye: data });
        if (name === "reset") return finish({ reset: data.reason });
        if (name === "hello") {
          if (data.session_id !== this.session.tokens?.session_id) return finish({ error: new LongwireError(401, "other_session", "The cookie is of another session.") });
          life.hello = true;
          this.#failures = 0;
          life.heartbeat = data.heartbeat_seconds * 1500;
          this.#live();
        }
        if (name === "hello" || name === "heartbeat") this.inbox.deliver([], data.cursor, true);
        if (life.heartbeat) expect(life.heartbeat, () => finish({ silent: true }));
        if (name !== "message") return;
        life.events++;
        this.inbox.deliver([data], data.cursor, true);
      };
      this.#interrupt = (reason) => finish({ asked: reason });
      expect(this.timing.hello, noHello);
      this.#open(got, (error) => finish(error ? { error } : { broke: true })).then(
        (closes) => (life.over ? closes() : (close = closes)),
        (error) => finish({ error }),
      );
    });
  }

  // #reset lets the application begin anew. That it has to again and again must not make a storm of it.
  async #reset(reason) {
    const again = Date.now() - this.#resetAt < 30_000;
    this.#resetAt = Date.now();
    await this.inbox.reset(reason);
    return again ? jittered(5_000) : 0;
  }

  async #bye({ reason, retry_ms }) {
    if (reason === "revoked") this.session.end("session_ended");
    else if (reason === "token_expiring") {
      this.#inboxToken = null;
      await this.session.renewed(this.session.tokens?.access_token);
    } else if (reason === "too_many_streams") this.#down(reason);
    return retry_ms ?? jittered(1000);
  }

  // #died judges a stream that ended without a word.
  async #died(life) {
    const reason = life.silent ? "silent" : life.hello ? "cut" : "no_hello";
    this.inbox.state({ state: "connecting", reason });
    if (life.events > 0 || life.lasted > this.timing.deathsWithin) {
      this.#deaths = []; // it worked
      this.#upAfter = this.timing.up;
      return this.#later(reason);
    }
    const now = Date.now();
    this.#deaths = [...this.#deaths.filter((at) => now - at < this.timing.deathsWithin), now];
    const many = this.#deaths.length >= this.timing.deaths;
    const verdict = life.verdict ?? (many || life.silent ? await this.#judge() : null);
    const holds = verdict === "buffering" || (verdict === "missing" && !life.hello && !life.broke);
    if ((holds || (many && verdict !== "unreachable" && verdict !== "padded")) && this.#down(holds ? "held back" : "cut again and again")) return 0;
    return this.#later(reason);
  }

  // #later tells that reading goes on after a while, and how long that is.
  #later(reason, retryAfter) {
    const wait = backOff(++this.#failures, retryAfter);
    const offline = globalThis.navigator?.onLine === false;
    this.inbox.state({ state: offline ? "offline" : "waiting", retryAt: Date.now() + wait, reason });
    return wait;
  }

  async #poll(full) {
    // The first one does not wait, so that it is known at once whether there is a connection.
    const wait = this.#polled ? full : 0;
    const began = Date.now();
    const ended = new AbortController();
    let asked;
    this.#interrupt = (reason) => ((asked = reason), ended.abort());
    try {
      const query = { cursor: this.inbox.position(), wait, presence: this.presence() };
      const answer = await this.session.authorized("GET", "/v1/inbox/poll", { query, signal: ended.signal, timeout: (wait + 10) * 1000 });
      this.#interrupt = null;
      if (!Array.isArray(answer?.events)) throw new LongwireError(0, "bad_answer", "What came is not Longwire's.");
      this.#polled = true;
      this.#heardAt = Date.now();
      if (wait === full) this.#cuts = this.#failures = 0;
      this.#live();
      if (answer.reset) return await this.#reset(answer.reset.reason);
      this.inbox.deliver(answer.events, answer.cursor);
      if (answer.has_more || wait !== full) return 0;
      const [least, most] = this.timing.short;
      if (wait === 0) return least + Math.random() * (most - least);
      // A node that is going down answers at once, and so may a cache: neither must make us ask without a pause.
      return answer.events.length === 0 && Date.now() - began < 1000 ? jittered(1000) : 0;
    } catch (error) {
      this.#interrupt = null;
      this.#polled = false;
      if (asked) return 0;
      const waited = Date.now() - began;
      if (wait > 0 && isTemporary(error) && waited >= this.timing.cut && (error.status === 504 || ++this.#cuts >= 2)) {
        this.#cuts = 0;
        if (this.#wait + 1 < this.timing.waits.length) this.#wait++;
        else this.#down("cut while it waits");
        this.log(`a poll was cut after ${waited} ms`, error);
      }
      throw error;
    }
  }

  // #failed decides what an error means, and returns how long to wait.
  async #failed(error) {
    try {
      if (!(error instanceof LongwireError)) this.log("a fault in reading", error);
      if (error.code === "signed_out") return 0;
      if (error.code === "session_ended") {
        this.session.end("session_ended");
        return 0;
      }
      if (error.code === "too_many_streams" && this.#down(error.code)) return 0;
      const byCookie = this.EventSource && !this.#byToken && this.transports[this.#level] === "sse";
      if (byCookie && (error.code === "invalid_cursor" || error.code === "other_session" || (error.status === 401 && this.#failures > 0))) {
        this.log("the cookie is missing or of another session, going on by a token");
        this.#byToken = true;
        return 0;
      }
      if (error.code === "invalid_cursor") return await this.#reset(error.code);
      if (error.status === 401) {
        this.#inboxToken = null;
        await this.session.renewed(this.session.tokens?.access_token);
        if (this.#failures++ === 0) return 0;
      }
      if (!isTemporary(error)) this.#down(error.code);
    } catch (another) {
      this.log("reading goes on later", another);
      error = another;
    }
    return this.#later(error.code, error.retryAfter);
  }
}
