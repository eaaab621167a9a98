// What the tests of longwire.js run against: a network that misbehaves as told, which no real server does on demand, and the locks and
// channels of a browser. How the client works with the real server is tested in e2e.
import { createClient } from "../static/longwire.js";

export const start = Date.parse("2026-09-01T10:00:00Z");

// advance lets time pass, in steps, and everything happen that is due.
export async function advance(ms, step = 250) {
  for (let passed = 0; passed <= ms; passed += step) {
    for (let i = 0; i < 6; i++) await new Promise(setImmediate);
    if (passed < ms) clock.tick(Math.min(step, ms - passed));
  }
}

// until lets time pass until something is so, or for a limit of it.
export async function until(so, what, limit = 120_000) {
  for (let passed = 0; !so(); passed += 250) {
    if (passed > limit) throw new Error(`it never came to be: ${what}`);
    await advance(250);
  }
}

// clock stands in for the timers and the time of day, so that a test of hours takes no time.
export const clock = {
  now: start,
  timers: new Map(),
  last: 0,
  real: null,
  install() {
    this.real = { setTimeout, clearTimeout, setInterval, clearInterval, now: Date.now };
    this.now = start;
    const add = (work, ms, every) => (this.timers.set(++this.last, { at: this.now + Math.max(1, ms || 0), work, every }), this.last);
    globalThis.setTimeout = (work, ms) => add(work, ms);
    globalThis.setInterval = (work, ms) => add(work, ms, ms);
    globalThis.clearTimeout = globalThis.clearInterval = (id) => this.timers.delete(id);
    Date.now = () => this.now;
  },
  restore() {
    const { now, ...timers } = this.real;
    Object.assign(globalThis, timers);
    Date.now = now;
    this.timers.clear();
  },
  tick(ms) {
    const end = this.now + ms;
    for (;;) {
      const [id, timer] = [...this.timers].reduce((first, other) => (other[1].at <= end && (!first[1] || other[1].at < first[1].at) ? other : first), []);
      if (!timer) break;
      this.now = timer.at;
      if (timer.every) timer.at += timer.every;
      else this.timers.delete(id);
      timer.work();
    }
    this.now = end;
  },
};

const json = (status, body, headers = {}) => new Response(body === undefined ? null : JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });
export const problem = (status, code, headers) => json(status, { type: `urn:longwire:problem:${code}`, status, code, detail: code, title: code, request_id: "R" }, headers);

export class FakeServer {
  calls = []; // {method, path, query, body, headers, at}
  log = []; // the inbox
  streams = new Set();
  polls = new Set();
  tokens = 0;
  sends = new Map();
  rules = []; // [pattern, (call) => Response | promise | undefined], the first that answers counts
  diag = "ok"; // "ok", "buffering", "first bytes" when padding helps, 404

  fetch = async (address, { method = "GET", headers = {}, body, signal } = {}) => {
    const url = new URL(address);
    const call = { method, path: url.pathname, query: Object.fromEntries(url.searchParams), headers, body: body && JSON.parse(body), signal, at: Date.now() };
    this.calls.push(call);
    const aborted = new Promise((_, reject) => {
      const abort = () => reject(new DOMException("aborted", "AbortError"));
      if (signal?.aborted) abort();
      signal?.addEventListener("abort", abort);
    });
    aborted.catch(() => {});
    return Promise.race([aborted, this.#answer(call)]);
  };

  count = (path, method) => this.calls.filter((c) => c.path === path && (!method || c.method === method)).length;
  last = (path) => this.calls.findLast((c) => c.path === path);

  async #answer(call) {
    await null;
    for (const [pattern, rule] of this.rules) {
      const ruled = pattern.test(`${call.method} ${call.path}`) && (await rule(call));
      if (ruled) return ruled;
    }
    const { method, path, query, body } = call;
    if (path === "/v1/diag/stream") return this.#diag(query.padding);
    if (path === "/v1/limits") return json(200, {});
    if (path === "/v1/auth/login" || path === "/v1/auth/register") return json(200, this.#signIn(body.username, `session-${body.username}`));
    if (path === "/v1/auth/refresh") return json(200, this.#signIn(...body.refresh_token.split("|")));
    const who = this.accepts(call.headers.Authorization);
    if (!who) return problem(401, "unauthenticated");
    if (path === "/v1/auth/logout" || path === "/v1/inbox/ack" || path === "/v1/me/presence") return json(204);
    if (path === "/v1/sync") return json(200, { cursor: this.head, me: { id: "u" }, conversations: [], pinned_conversations: [], incoming_request_count: 0, limits: {} });
    if (path === "/v1/inbox/stream") return this.#stream(call);
    if (path === "/v1/inbox/poll") return this.#poll(call, Number(query.wait));
    if (method === "POST" && path.endsWith("/messages")) return this.#send(call);
    return problem(404, "not_found");
  }

  accepts = (authorization) => authorization?.startsWith("Bearer ");

  #signIn(username, session_id) {
    const n = ++this.tokens;
    return { user: { id: `id-${username}`, username, display_name: username }, session_id, access_token: `access-${n}`, refresh_token: `${username}|${session_id}|${n}`, token_type: "Bearer", expires_in: 900 };
  }

  #send(call) {
    const key = call.headers["Idempotency-Key"];
    const known = this.sends.get(key);
    if (known) return json(200, known, { "Idempotency-Replayed": "true" });
    const message = { conversation_id: "c", seq: this.sends.size + 1, body: call.body.body, idempotency_key: key };
    this.sends.set(key, message);
    return json(201, message);
  }

  get head() {
    return `p.${this.log.length}`;
  }

  // publish adds an event to the inbox, and sends it to who is connected.
  publish(data, type = "message.created") {
    const event = { cursor: `p.${this.log.length + 1}`, type, at: new Date(clock.now).toISOString(), data };
    this.log.push(event);
    for (const stream of this.streams) stream.event(event);
    for (const poll of [...this.polls]) poll();
    return event;
  }

  #diag(padding) {
    if (this.diag === 404) return problem(404, "not_found");
    const tick = (n) => `event: tick\ndata: ${JSON.stringify({ n, of: 4, sent_at: "", interval_ms: 250 })}\n\n`;
    const held = this.diag === "buffering" || (this.diag === "first bytes" && !padding);
    const body = new ReadableStream({
      start: (controller) => {
        const encode = (text) => controller.enqueue(new TextEncoder().encode(text));
        if (!held) for (let n = 1; n <= 4; n++) setTimeout(() => (encode(tick(n)), n === 4 && controller.close()), (n - 1) * 250);
        else setTimeout(() => (encode([1, 2, 3, 4].map(tick).join("")), controller.close()), 750);
      },
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }

  #stream(call) {
    const stream = { open: true, position: Number(call.query.cursor.split(".")[1]) };
    const body = new ReadableStream({
      start: (controller) => {
        const write = (text) => stream.open && !(this.holds === true || (this.holds === "first bytes" && !call.query.padding)) && controller.enqueue(new TextEncoder().encode(text));
        const named = (name, data, id) => write(`event: ${name}\n${id ? `id: ${id}\n` : ""}data: ${JSON.stringify(data)}\n\n`);
        Object.assign(stream, {
          named,
          event: (event) => write(`${event.cursor ? `id: ${event.cursor}\n` : ""}data: ${JSON.stringify(event)}\n\n`),
          end: (how) => {
            if (!stream.open) return;
            stream.open = false;
            this.streams.delete(stream);
            if (how === "cut") controller.error(new TypeError("terminated"));
            else controller.close();
          },
        });
        call.signal?.addEventListener("abort", () => stream.end("cut"));
        this.streams.add(stream);
        named("hello", { cursor: call.query.cursor, user_id: "u", session_id: "session-ada", heartbeat_seconds: 15, lifetime_seconds: 540 }, call.query.cursor);
        for (const event of this.log.slice(stream.position)) stream.event(event);
      },
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }

  async #poll(call, wait) {
    const from = Number(call.query.cursor.split(".")[1]);
    if (this.log.length === from && wait > 0)
      await new Promise((resolve) => {
        const done = () => (this.polls.delete(done), resolve());
        this.polls.add(done);
        setTimeout(done, wait * 1000);
        call.signal?.addEventListener("abort", done);
      });
    return json(200, { events: this.log.slice(from), cursor: this.head, has_more: false });
  }
}

// FakeLocks are the locks of one browser. A tab that is frozen is one whose work does not end.
export class FakeLocks {
  #held = new Map(); // name → [{mode, rob}]
  #queue = [];

  request(name, options, work) {
    if (typeof options === "function") [work, options] = [options, {}];
    return new Promise((resolve, reject) => {
      const request = { name, mode: options.mode ?? "exclusive", work, resolve, reject };
      options.signal?.addEventListener("abort", () => {
        if (!this.#queue.includes(request)) return;
        this.#queue.splice(this.#queue.indexOf(request), 1);
        reject(new DOMException("aborted", "AbortError"));
      });
      if (options.steal) {
        for (const holder of this.#held.get(name) ?? []) holder.reject(new DOMException("stolen", "AbortError"));
        this.#held.delete(name);
        this.#queue.unshift(request);
      } else this.#queue.push(request);
      queueMicrotask(() => this.#grant());
    });
  }

  #grant() {
    for (const request of [...this.#queue]) {
      const holders = this.#held.get(request.name) ?? [];
      if (holders.length && !(request.mode === "shared" && holders.every((h) => h.mode === "shared"))) continue;
      this.#queue.splice(this.#queue.indexOf(request), 1);
      this.#held.set(request.name, [...holders, request]);
      const done = (settle) => (value) => {
        this.#held.set(
          request.name,
          (this.#held.get(request.name) ?? []).filter((h) => h !== request),
        );
        settle(value);
        this.#grant();
      };
      Promise.resolve()
        .then(() => request.work({ name: request.name }))
        .then(done(request.resolve), done(request.reject));
    }
  }

  async query() {
    return { held: [...this.#held].flatMap(([name, holders]) => holders.map((h) => ({ name, mode: h.mode }))) };
  }
}

// channelsOf makes a BroadcastChannel class for the tabs of one browser.
export function channelsOf() {
  const open = new Set();
  return class {
    constructor(name) {
      this.name = name;
      open.add(this);
    }
    postMessage(data) {
      if (!open.has(this)) return;
      const copy = structuredClone(data);
      for (const other of open) if (other !== this && other.name === this.name) setTimeout(() => open.has(other) && !this.frozen && !other.frozen && other.onmessage?.({ data: copy }), 1);
    }
    close() {
      open.delete(this);
    }
  };
}

// tabOf makes a client and notes what it gives out.
export function tabOf(server, options = {}) {
  const client = createClient({ url: "http://longwire.test", fetch: server.fetch, locks: null, BroadcastChannel: null, ...options });
  const tab = { client, events: [], resets: [], states: [], sessions: [] };
  client.on("event", (e) => tab.events.push(e));
  client.on("reset", (r) => tab.resets.push(r.reason));
  client.on("connection", (c) => tab.states.push({ ...c, at: Date.now() }));
  client.on("session", (s, reason) => tab.sessions.push([s?.user.username ?? null, reason]));
  return tab;
}

export const login = (tab, username = "ada") => tab.client.login({ username, password: "correct horse battery" });
