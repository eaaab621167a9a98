// The inbox as the application sees it: each event once in each tab, in order, whichever tab reads it. Part of longwire.js.
import { Reader } from "./reader.js";
import { backOff, pause } from "./session.js";

const ACK_EVERY = 5_000; // so that senders see their messages arrive
const ALIVE_EVERY = 10_000; // the leader's tab says that it moves
const LEADER_SILENT = 90_000; // timers of a hidden tab may run once a minute only
const LEADER_ANSWERS = 3_000;

export class Inbox {
  #run = null; // what start() began: {ended, session_id}; null = stopped
  #leading = false;
  #chain = Promise.resolve(); // what has to be done one after the other
  #received = 0; // batches that came from the leader
  #covered = 0; // those of them that came before this tab last asked by itself
  #acked = null;
  #ackTimer = null;
  #silence = null; // runs out when the leader says nothing
  #steal = () => {};
  #reading = Promise.resolve(); // until the reader has let go

  // `give` has event(e), reset(r), connection(c) and cursor(text), which hand things to the application.
  constructor({ session, tabs, give, reader, log }) {
    Object.assign(this, { session, tabs, give, log, cursor: null });
    this.connection = { state: "stopped", transport: null, leader: false, retryAt: null };
    this.reader = new Reader({
      ...reader,
      session,
      log,
      inbox: {
        position: () => this.cursor,
        deliver: (events, cursor, streamed) => this.#deliver(events, cursor, streamed),
        reset: (reason) => this.#reset(reason, true),
        state: (changes) => this.#state({ ...changes, leader: true }),
      },
    });
  }

  get running() {
    return this.#run !== null;
  }

  start(cursor) {
    this.stop();
    const session_id = this.session.tokens?.session_id;
    if (!session_id) return this.#state({ state: "signed_out" });
    this.#run = { ended: new AbortController(), session_id };
    this.cursor = cursor || null;
    this.#state({ state: "connecting", leader: false, retryAt: null, reason: undefined });
    this.#follow(cursor ? () => this.tabs.shared && this.#catchUp() : () => this.#reset("start"));
  }

  stop(state = "stopped") {
    this.suspend();
    this.#run = null;
    this.cursor = null;
    this.#state({ state, transport: null, leader: false, retryAt: null, reason: undefined });
  }

  // suspend gives the lead to another tab while this one sleeps; resume comes back from where it was.
  suspend() {
    this.#run?.ended.abort();
    clearTimeout(this.#silence);
    clearTimeout(this.#ackTimer);
    this.#ackTimer = null;
    this.#chain = Promise.resolve();
  }

  resume() {
    if (!this.#run?.ended.signal.aborted) return;
    this.#run = { ...this.#run, ended: new AbortController() };
    this.#follow(() => this.#catchUp());
  }

  #follow(first) {
    const { signal } = this.#run.ended;
    this.#then(first);
    this.#steal = this.tabs.lead(this.#run.session_id, signal, (leading) => this.#lead(leading));
    if (!this.tabs.shared) return;
    this.#heardLeader();
    this.tabs.tell({ t: "who", s: this.#run.session_id });
  }

  // #then does one thing after the other, and nothing for a run that has ended.
  #then(work) {
    const run = this.#run;
    const current = () => run !== null && run === this.#run && !run.ended.signal.aborted;
    this.#chain = this.#chain.then(() => current() && work(current)).catch((error) => current() && this.log("the inbox", error));
    return this.#chain;
  }

  async #lead(signal) {
    // What came from the last leader is done first, and what this tab read when it led before: it goes on from its own cursor.
    let last;
    while (last !== this.#chain && !signal.aborted) await Promise.race([(last = this.#chain), ended(signal)]);
    await this.#reading;
    if (signal.aborted || !this.#run) return;
    clearTimeout(this.#silence);
    this.#leading = true;
    this.#state({ leader: true });
    // Who lacks what this tab has asks for it: it may have it from a poll of its own, which the others did not see.
    this.#tell({ t: "batch", from: this.cursor, to: this.cursor, events: [] });
    const alive = this.tabs.shared && setInterval(() => this.#tell({ t: "alive" }), ALIVE_EVERY);
    ended(signal).then(() => {
      clearInterval(alive);
      this.#leading = false;
      if (!this.#run || this.#run.ended.signal.aborted) return;
      this.#state({ leader: false }); // another tab took the lead while this one was frozen
      this.#heardLeader();
      this.#tell({ t: "who" });
      this.#then(() => this.#catchUp());
    });
    await (this.#reading = this.reader.run(signal));
  }

  #tell(message) {
    if (this.tabs.shared) this.tabs.tell({ ...message, s: this.#run?.session_id });
  }

  #state(changes) {
    const before = JSON.stringify(this.connection);
    this.connection = { ...this.connection, ...changes };
    if (JSON.stringify(this.connection) === before) return;
    if (this.#leading) this.#tell({ t: "connection", connection: this.connection });
    this.give.connection(this.connection);
  }

  // #deliver gives out what the leader has read, here and in the other tabs.
  #deliver(events, cursor, streamed = false) {
    const from = this.cursor;
    const to = cursor ?? from;
    if (events.length || to !== from) this.#tell({ t: "batch", from, to, events });
    this.#apply(events, to);
    if (streamed && to !== from) this.#ack();
  }

  #apply(events, to) {
    const run = this.#run;
    for (const event of events) {
      this.give.event(event);
      if (run !== this.#run) return; // a handler stopped it, or the event ended the session
      if (event.cursor) this.cursor = event.cursor;
    }
    this.cursor = to;
    this.give.cursor(to);
  }

  #ack() {
    this.#ackTimer ??= setTimeout(() => {
      this.#ackTimer = null;
      const cursor = this.cursor;
      if (!this.#leading || cursor === this.#acked) return;
      this.#acked = cursor;
      this.session.authorized("POST", "/v1/inbox/ack", { body: { cursor } }).catch((error) => this.log("acknowledging", error));
    }, ACK_EVERY);
  }

  // #persist repeats a call until it succeeds, or there is nobody left to want it.
  async #persist(path, options) {
    const { signal } = this.#run.ended;
    for (let failures = 1; ; failures++) {
      try {
        return await this.session.authorized("GET", path, { ...options, signal });
      } catch (error) {
        if (signal.aborted || !this.session.tokens || error.code === "invalid_cursor") throw error;
        const wait = backOff(failures, error.retryAfter);
        this.#state({ state: "waiting", retryAt: Date.now() + wait, reason: error.code });
        await pause(wait, signal);
      }
    }
  }

  // #reset begins anew with what the server has now.
  async #reset(reason, forAll = false) {
    const run = this.#run;
    const received = this.#received;
    const sync = await this.#persist("/v1/sync");
    if (run !== this.#run) return;
    this.#covered = received;
    if (forAll) this.#tell({ t: "reset", reason, sync });
    this.#began(reason, sync);
  }

  #began(reason, sync) {
    this.cursor = sync.cursor;
    this.give.reset({ reason, sync });
    this.give.cursor(sync.cursor);
  }

  // #catchUp reads by plain polls from this tab's own cursor to the end.
  async #catchUp() {
    const run = this.#run;
    for (let more = true; more; ) {
      const received = this.#received;
      let answer;
      try {
        answer = await this.#persist("/v1/inbox/poll", { query: { cursor: this.cursor, wait: 0, limit: 500, presence: "none" } });
      } catch (error) {
        if (error.code !== "invalid_cursor") throw error;
        return this.#reset("invalid_cursor");
      }
      if (run !== this.#run) return;
      if (answer.reset) return this.#reset(answer.reset.reason);
      this.#covered = received;
      this.#apply(answer.events.filter((event) => event.cursor), answer.cursor);
      more = answer.has_more;
    }
  }

  // heard is what another tab tells.
  heard(message) {
    const run = this.#run;
    if (!run || run.ended.signal.aborted || message.s !== run.session_id) return;
    if (message.t === "who" && this.#leading) this.#tell({ t: "connection", connection: this.connection });
    if (message.t === "wake" && this.#leading) this.wake(message.reason);
    if (this.#leading || !["batch", "reset", "connection", "alive"].includes(message.t)) return;
    this.#heardLeader();
    if (message.t === "connection") this.#state({ ...message.connection, leader: false });
    if (message.t === "reset") this.#then(() => ((this.#covered = this.#received), this.#began(message.reason, message.sync)));
    if (message.t === "batch") {
      const number = ++this.#received;
      this.#then(() => this.#fit(message, number));
    }
  }

  // #fit applies that part of a batch which this tab does not have. If the batch begins after what it has, the tab asks by itself.
  async #fit({ from, to, events }, number) {
    if (events.length && events.every((event) => !event.cursor)) return from === this.cursor || number > this.#covered ? this.#apply(events, this.cursor) : undefined;
    const known = [from, ...events.map((event) => event.cursor)];
    const at = known.lastIndexOf(this.cursor);
    if (at >= 0) this.#apply(events.slice(at), to);
    else if (to !== this.cursor && number > this.#covered) await this.#catchUp();
  }

  // #heardLeader begins to wait anew for a sign of life. A leader that gives none is a tab that was frozen: another takes the lead.
  #heardLeader(patience = LEADER_SILENT) {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      if (this.#leading) return;
      this.log("the leading tab is silent, taking the lead");
      this.#steal();
    }, patience * (1 + Math.random() / 2));
    this.#silence.unref?.();
  }

  // #check asks whether there is more than the leader has told. A leader whose tab is frozen may answer and still read nothing.
  async #check() {
    const [before, received] = [this.cursor, this.#received];
    await this.#catchUp();
    if (this.cursor === before || this.#leading) return;
    const { signal } = this.#run.ended;
    pause(LEADER_ANSWERS, signal).then(() => {
      if (signal.aborted || this.#leading || received !== this.#received) return;
      this.log("the leading tab does not read, taking the lead");
      this.#steal();
    });
  }

  // wake is called when the tab is to be seen again, or the network is back.
  wake(reason) {
    if (!this.#run) return;
    if (this.#leading) {
      this.reader.wake(reason);
      this.#tell({ t: "connection", connection: this.connection });
    } else if (this.tabs.shared) {
      this.#tell({ t: "wake", reason });
      this.#heardLeader(LEADER_ANSWERS);
      this.#then(() => this.#check());
    }
  }
}

const ended = (signal) => new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener("abort", resolve)));
