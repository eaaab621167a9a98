// Who is signed in, and calls of the API: tokens, renewing, repeating. Part of longwire.js.

// LongwireError is what every failed call throws. `code` is the server's (docs/errors.md), or one of the client's own, which have the
// status 0: network, timeout, aborted, signed_out, discarded, outbox_full, outbox_expired; bad_answer has the status of what came.
export class LongwireError extends Error {
  constructor(status, code, detail, more = {}) {
    const fields = (more.errors ?? []).map((e) => `${e.field} ${e.message}`).join("; ");
    super([detail || code, fields].filter(Boolean).join(" "));
    this.name = "LongwireError";
    Object.assign(this, { status, code, detail: detail || code, errors: [], retryAfter: null, requestId: null }, more);
  }
}

// isTemporary says whether the same call may succeed later.
export const isTemporary = (error) => error.code !== "aborted" && error.code !== "signed_out" && (error.status === 0 || error.code === "bad_answer" || [408, 425, 429, 500, 502, 503, 504].includes(error.status));

// jittered is ±50 %, so that those who failed together do not come back together.
export const jittered = (ms) => ms * (0.5 + Math.random());

// backOff is how long to wait after the nth failure in a row.
export const backOff = (failures, retryAfter) => (retryAfter ? retryAfter * 1000 * (1 + Math.random() / 4) : jittered(Math.min(30_000, 1000 * 2 ** Math.min(failures - 1, 5))));

// pause waits; the signal, or calling `wake`, ends it early.
export function pause(ms, signal) {
  let wake;
  const done = new Promise((resolve) => {
    const timer = setTimeout(() => wake(), ms);
    wake = () => (clearTimeout(timer), signal?.removeEventListener("abort", wake), resolve());
    if (signal?.aborted) wake();
    else signal?.addEventListener("abort", wake);
  });
  return Object.assign(done, { wake });
}

// problemOf makes an error of an answer that is not one of success.
export async function problemOf(response) {
  const problem = await response.json().catch(() => null);
  const after = response.headers.get("Retry-After");
  const seconds = /^\d+$/.test(after ?? "") ? Number(after) : after ? Math.max(0, (Date.parse(after) - Date.now()) / 1000) || null : null;
  return new LongwireError(response.status, problem?.code ?? `http_${response.status}`, problem?.detail ?? problem?.title ?? `The server answered ${response.status}.`, {
    errors: problem?.errors ?? [],
    retryAfter: seconds,
    requestId: problem?.request_id ?? response.headers.get("X-Request-ID"),
  });
}

const signedOut = () => new LongwireError(0, "signed_out", "Nobody is signed in.");

export class Session {
  #raw;
  #value = null;
  #renewing = null;
  #given; // the session that this tab's application knows of

  // `shared` is what tabs have in common, see tabs.js; `changed` is called with the session and a reason when it is another.
  constructor({ url, storage, prefix, fetch, shared, deviceName, changed, log }) {
    Object.assign(this, { url, storage, fetch, shared, deviceName, changed, log, key: `${prefix}.session` });
    this.#given = this.#read()?.session_id;
  }

  // #read looks into the storage, which another tab may have changed.
  #read() {
    const raw = this.storage.getItem(this.key);
    if (raw !== this.#raw) {
      this.#raw = raw;
      try {
        this.#value = raw && JSON.parse(raw);
      } catch {
        this.#value = null; // not ours
      }
    }
    return this.#value;
  }

  get tokens() {
    return this.#read();
  }

  // look gives out a change that this tab did not make.
  look(reason) {
    const now = this.#read();
    if (now?.session_id !== this.#given) this.#give(now, reason);
  }

  #give(now, reason) {
    this.#given = now?.session_id;
    this.changed(now, reason);
  }

  #keep(signIn) {
    const { user, session_id, access_token, refresh_token, expires_in } = signIn;
    const early = Math.min(60, expires_in / 10); // renewed before the server says that it has to be
    this.storage.setItem(this.key, JSON.stringify({ user, session_id, access_token, refresh_token, renew_at: Date.now() + (expires_in - early) * 1000 }));
    return this.#read();
  }

  async signIn(path, body) {
    const answer = await this.call("POST", path, { body: { ...body, ...(path.endsWith("login") && this.deviceName ? { device_name: this.deviceName } : {}) } });
    const now = this.#keep(answer);
    this.#give(now, "signed_in");
    this.shared.tell({ t: "session", reason: "signed_in" });
    return answer.user;
  }

  // end forgets the session, in all tabs. It does nothing when it was replaced by another meanwhile.
  end(reason, session_id = this.tokens?.session_id) {
    if (!session_id || this.tokens?.session_id !== session_id) return;
    this.storage.removeItem(this.key);
    this.#give(null, reason);
    this.shared.tell({ t: "session", reason });
  }

  // renewed returns the session with an access token other than the given one: the one that another tab has just got, or a new one.
  // Only one tab at a time asks, and when an answer was lost, the old refresh token is good for asking again.
  renewed(stale) {
    return (this.#renewing ??= this.shared
      .lock("renew", async () => {
        const now = this.tokens;
        if (!now) throw signedOut();
        if (now.access_token !== stale) return now;
        try {
          const answer = await this.call("POST", "/v1/auth/refresh", { body: { refresh_token: now.refresh_token } });
          if (this.tokens?.session_id !== now.session_id) throw signedOut(); // signed out meanwhile, or somebody else in
          return this.#keep(answer);
        } catch (error) {
          if (error.status === 401) {
            this.end(error.code === "session_ended" ? "session_ended" : "expired", now.session_id);
            throw signedOut();
          }
          throw error;
        }
      })
      .finally(() => (this.#renewing = null)));
  }

  // access returns a session whose token is good for a while yet.
  async access() {
    const now = this.tokens;
    if (!now) throw signedOut();
    if (Date.now() < now.renew_at) return now;
    try {
      return await this.renewed(now.access_token);
    } catch (error) {
      if (isTemporary(error)) return now; // it may be good still; if not, the answer will say so
      throw error;
    }
  }

  // call makes one call, once. `token` is the access token to send.
  async call(method, path, { body, query, token, key, signal, timeout = 30_000, read = (r) => r.json() } = {}) {
    const address = new URL(path, this.url);
    for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined && value !== null) address.searchParams.set(name, value);
    const headers = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (token) headers.Authorization = `Bearer ${token}`;
    if (key) headers["Idempotency-Key"] = key;
    const ended = new AbortController();
    const abort = () => ended.abort();
    const timer = setTimeout(abort, timeout);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    try {
      const response = await this.fetch(address.href, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal: ended.signal, cache: "no-store" });
      if (!response.ok) throw await problemOf(response);
      if (response.status === 204) return null;
      return await read(response).catch((error) => {
        if (!(error instanceof SyntaxError)) throw error;
        throw new LongwireError(response.status, "bad_answer", "What came is not Longwire's: something on the way has answered.");
      });
    } catch (error) {
      if (error instanceof LongwireError) throw error;
      if (signal?.aborted) throw new LongwireError(0, "aborted", "The call was given up.", { cause: error });
      if (ended.signal.aborted) throw new LongwireError(0, "timeout", "The server did not answer in time.", { cause: error });
      throw new LongwireError(0, "network", "The server cannot be reached.", { cause: error });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  // authorized is call with the session's token; one that turns out to be expired is renewed, once.
  async authorized(method, path, options) {
    const session = await this.access();
    const attempt = (s) => this.call(method, path, { ...options, token: s.access_token });
    try {
      return await attempt(session).catch(async (error) => {
        if (error.status !== 401 || error.code === "session_ended") throw error;
        return attempt(await this.renewed(session.access_token));
      });
    } catch (error) {
      if (error.code === "session_ended") this.end("session_ended", session.session_id);
      throw error;
    }
  }

  // request is the public one: repeated while that may help and is harmless, for `timeout` in all.
  async request(method, path, { body, query, idempotencyKey: key, signal, timeout = 30_000 } = {}) {
    const end = Date.now() + timeout;
    const harmless = key || /^(GET|HEAD|PUT|DELETE)$/i.test(method);
    for (let failures = 1; ; failures++) {
      try {
        const options = { body, query, key, signal, timeout: Math.max(1, end - Date.now()) };
        return await (this.tokens ? this.authorized(method, path, options) : this.call(method, path, options));
      } catch (error) {
        const wait = backOff(failures, error.retryAfter);
        if (!harmless || !isTemporary(error) || Date.now() + wait >= end) throw error;
        this.log(`${method} ${path} failed, again in ${Math.round(wait)} ms`, error);
        await pause(wait, signal);
      }
    }
  }
}
