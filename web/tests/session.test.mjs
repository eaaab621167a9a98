// Tokens, repeating, and the outbox.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { LongwireError, memory } from "../static/longwire.js";
import { backOff, jittered } from "../static/longwire/session.js";
import { FakeLocks, FakeServer, advance, channelsOf, clock, login, problem, tabOf, until } from "./fake.mjs";

let server;
let tabs;
const open = (options) => {
  const tab = tabOf(server, options);
  tabs.push(tab);
  return tab;
};
beforeEach(() => {
  clock.install();
  server = new FakeServer();
  tabs = [];
});
afterEach(() => {
  for (const tab of tabs) tab.client.close();
  clock.restore();
});

// settled lets time pass until a promise is settled, and returns its value or error.
async function settled(promise) {
  let result;
  promise.then(
    (value) => (result = { value }),
    (error) => (result = { error }),
  );
  await until(() => result, "the promise settles");
  return result;
}

const sends = () => server.calls.filter((c) => c.path.endsWith("/messages"));

test("a token is renewed before it expires, once for all calls that want it", async () => {
  const { client } = open();
  await login({ client });
  await advance(895_000, 5_000);
  await settled(Promise.all([client.sync(), client.sync(), client.request("GET", "/v1/sync")]));
  assert.equal(server.count("/v1/auth/refresh"), 1);
  assert.equal(server.last("/v1/sync").headers.Authorization, "Bearer access-2");
});

test("a 401 leads to one renewal and one repetition", async () => {
  const { client } = open();
  await login({ client });
  server.accepts = (authorization) => authorization === "Bearer access-2";
  assert.equal((await settled(client.sync())).value.cursor, "p.0");
  assert.equal(server.count("/v1/auth/refresh"), 1);
  server.accepts = () => false;
  assert.equal((await settled(client.sync())).error.code, "unauthenticated");
  assert.equal(server.count("/v1/auth/refresh"), 2, "no endless renewing");
  assert.notEqual(client.session, null);
});

test("an answer to a renewal that got lost is asked for again with the same token", async () => {
  const { client } = open();
  await login({ client });
  let lost = 1;
  const used = [];
  server.rules.push([/refresh/, ({ body }) => {
    used.push(body.refresh_token);
    if (lost-- > 0) throw new TypeError("reset");
  }]);
  server.accepts = (authorization) => authorization !== "Bearer access-1";
  assert.equal((await settled(client.sync())).error, undefined);
  assert.deepEqual(used, ["ada|session-ada|1", "ada|session-ada|1"]);
});

test("two tabs renew in one place", async () => {
  const shared = { storage: memory(), locks: new FakeLocks(), BroadcastChannel: channelsOf() };
  const [one, two] = [open(shared), open(shared)];
  await login(one);
  server.accepts = (authorization) => authorization !== "Bearer access-1";
  await settled(Promise.all([one.client.sync(), two.client.sync(), one.client.sync()]));
  assert.equal(server.count("/v1/auth/refresh"), 1);
});

test("a session that has ended is over in all tabs, and what it wanted to send is gone", async () => {
  const shared = { storage: memory(), locks: new FakeLocks(), BroadcastChannel: channelsOf() };
  const [one, two] = [open(shared), open(shared)];
  await login(one);
  await advance(250);
  for (const tab of [one, two]) tab.client.start();
  await until(() => one.client.connection.state === "live", "live");
  server.rules.push([/./, () => problem(401, "session_ended")]);
  const { sent } = one.client.send({ user: "bob" }, { body: "too late" });
  assert.equal((await settled(sent)).error.code, "signed_out");
  await advance(250);
  for (const tab of [one, two]) {
    assert.deepEqual(tab.sessions, [["ada", "signed_in"], [null, "session_ended"]]);
    assert.equal(tab.client.session, null);
    assert.deepEqual(tab.client.outbox, []);
    assert.equal(tab.client.connection.state, "signed_out");
  }
  assert.equal(shared.storage.length, 0);
});

test("a renewal that is refused ends the session; one that fails does not", async () => {
  const tab = open();
  await login(tab);
  server.accepts = () => false;
  server.rules.push([/refresh/, () => problem(503, "unavailable")]);
  assert.equal((await settled(tab.client.request("POST", "/v1/typing"))).error.status, 503);
  assert.notEqual(tab.client.session, null);
  server.rules[0][1] = () => problem(401, "session_ended");
  assert.equal((await settled(tab.client.sync())).error.code, "signed_out");
  assert.deepEqual(tab.sessions.at(-1), [null, "session_ended"]);
});

test("who failed together comes back apart: waits have a random part", (t) => {
  const random = t.mock.method(Math, "random");
  const bounds = (wait) => [0, 0.999].map((drawn) => (random.mock.mockImplementation(() => drawn), Math.round(wait())));
  assert.deepEqual(bounds(() => jittered(1_000)), [500, 1_499]);
  assert.deepEqual(bounds(() => backOff(1)), [500, 1_499]);
  assert.deepEqual(bounds(() => backOff(3)), [2_000, 5_996]);
  assert.deepEqual(bounds(() => backOff(99)), [15_000, 44_970], "thirty seconds are the longest");
  assert.deepEqual(bounds(() => backOff(1, 8)), [8_000, 9_998], "never sooner than Retry-After");
});

test("calls are repeated while it is harmless, and not longer than asked", async () => {
  const { client } = open();
  await login({ client });
  let failing = 3;
  server.rules.push([/flaky/, () => (failing-- > 0 ? problem(503, "unavailable", { "Retry-After": "2" }) : new Response("{}"))]);
  const began = Date.now();
  assert.deepEqual((await settled(client.request("PUT", "/v1/flaky"))).value, {});
  assert.ok(Date.now() - began >= 6_000, "Retry-After holds");

  failing = Infinity;
  const { error } = await settled(client.request("GET", "/v1/flaky", { timeout: 5_000 }));
  assert.ok(error instanceof LongwireError);
  assert.deepEqual([error.status, error.code, error.retryAfter, error.requestId], [503, "unavailable", 2, "R"]);

  const before = server.count("/v1/flaky");
  await settled(client.request("POST", "/v1/flaky"));
  assert.equal(server.count("/v1/flaky"), before + 1, "a POST without a key is not repeated");
  failing = 1;
  assert.equal((await settled(client.request("POST", "/v1/flaky", { idempotencyKey: "k" }))).error, undefined);
});

test("what something else than Longwire answers is an error", async () => {
  const { client } = open();
  await login({ client });
  server.rules.push([/portal/, () => new Response("<h1>Sign in to this network</h1>", { headers: { "Content-Type": "text/html" } })]);
  assert.equal((await settled(client.request("GET", "/v1/portal", { timeout: 3_000 }))).error.code, "bad_answer");
  const controller = new AbortController();
  const call = client.request("GET", "/v1/portal", { signal: controller.signal });
  controller.abort();
  assert.equal((await settled(call)).error.code, "aborted");
});

test("messages to one recipient leave in order, each with one key in all its tries", async () => {
  const { client } = open();
  await login({ client });
  let failing = 2;
  server.rules.push([/bob.messages/, () => {
    if (failing-- > 0) throw new TypeError("offline");
  }]);
  const all = ["one", "two", "three"].map((body) => client.send({ user: "bob" }, { body }));
  const other = client.send({ user: "cleo" }, { body: "meanwhile" });
  assert.equal((await settled(other.sent)).value.body, "meanwhile");
  assert.deepEqual(client.outbox.map((i) => i.message.body), ["one", "two", "three"]);
  await settled(Promise.all(all.map((m) => m.sent)));
  const toBob = sends().filter((c) => c.path.includes("bob"));
  assert.deepEqual(toBob.map((c) => c.body.body), ["one", "one", "one", "two", "three"]);
  assert.equal(new Set(toBob.map((c) => c.headers["Idempotency-Key"])).size, 3);
  assert.equal(toBob[0].headers["Idempotency-Key"], all[0].key);
  assert.deepEqual(client.outbox, []);
});

test("a message survives a reload", async () => {
  const storage = memory();
  const before = open({ storage });
  await login(before);
  server.rules.push([/messages/, () => Promise.reject(new TypeError("offline"))]);
  const { key } = before.client.send({ group: "g" }, { body: "still there" });
  await advance(500);
  before.client.close();
  clock.restore(); // nothing of the old page goes on
  clock.install();
  server.rules.length = 0;
  const after = open({ storage });
  assert.equal(after.client.outbox[0].message.body, "still there");
  await until(() => after.client.outbox.length === 0, "sent");
  assert.equal(sends().at(-1).headers["Idempotency-Key"], key);
  assert.equal(sends().at(-1).path, "/v1/groups/g/messages");
});

test("Retry-After holds, whatever is written meanwhile", async () => {
  const { client } = open();
  await login({ client });
  server.rules.push([/messages/, () => problem(429, "rate_limited", { "Retry-After": "20" })]);
  for (let i = 0; i < 10; i++) {
    client.send({ user: "bob" }, { body: String(i) });
    await advance(1000);
  }
  assert.equal(sends().length, 1);
  await advance(16_000);
  assert.equal(sends().length, 2);
});

test("what is refused for good stays as failed, until it is retried or discarded; the next goes on", async () => {
  const { client } = open();
  await login({ client });
  server.rules.push([/messages/, ({ body }) => body.body === "bad" && problem(403, "recipient_not_accepting")]);
  const bad = client.send({ user: "bob" }, { body: "bad" });
  const good = client.send({ user: "bob" }, { body: "good" });
  assert.equal((await settled(bad.sent)).error.code, "recipient_not_accepting");
  assert.equal((await settled(good.sent)).value.body, "good");
  const [item] = client.outbox;
  assert.deepEqual([item.key, item.state, item.error.code, item.error instanceof Error], [bad.key, "failed", "recipient_not_accepting", true]);
  server.rules.length = 0;
  client.retry(bad.key);
  await until(() => client.outbox.length === 0, "sent after all");
  assert.equal(sends().at(-1).headers["Idempotency-Key"], bad.key);

  server.rules.push([/messages/, () => problem(503, "unavailable")]);
  const waiting = client.send({ user: "bob" }, { body: "never mind" });
  await advance(500);
  client.discard(waiting.key);
  assert.equal((await settled(waiting.sent)).error.code, "discarded");
  assert.deepEqual(client.outbox, []);
});

test("the outbox is bounded, in number and in age", async () => {
  const { client } = open();
  await login({ client });
  server.rules.push([/messages/, () => Promise.reject(new TypeError("offline"))]);
  const all = Array.from({ length: 201 }, (_, i) => client.send({ user: "bob" }, { body: String(i) }));
  assert.equal((await settled(all[200].sent)).error.code, "outbox_full");
  assert.equal(client.outbox.length, 200);
  for (let hours = 0; hours < 25; hours++) await advance(3600_000, 30_000);
  assert.equal((await settled(all[0].sent)).error.code, "outbox_expired");
  assert.equal(client.outbox[0].state, "failed");
});

test("a storage that is full refuses the message", async () => {
  const storage = memory();
  const { client } = open({ storage });
  await login({ client });
  const { setItem } = storage;
  storage.setItem = (name, value) => {
    if (name.includes("outbox")) throw new DOMException("full", "QuotaExceededError");
    setItem(name, value);
  };
  assert.equal((await settled(client.send({ user: "bob" }, { body: "x" }).sent)).error.code, "outbox_full");
});

test("several tabs send a message once, and each is told", async () => {
  const shared = { storage: memory(), locks: new FakeLocks(), BroadcastChannel: channelsOf() };
  const [one, two] = [open(shared), open(shared)];
  await login(one);
  await advance(250);
  const a = one.client.send({ user: "bob" }, { body: "a" });
  const b = two.client.send({ user: "bob" }, { body: "b" });
  assert.equal((await settled(a.sent)).value.body, "a");
  assert.equal((await settled(b.sent)).value.body, "b");
  assert.deepEqual(sends().map((c) => c.body.body), ["a", "b"]);
});

test("a message that came back through the inbox is sent, even if the answer got lost", async () => {
  const { client } = open();
  await login({ client });
  client.start();
  await until(() => client.connection.state === "live", "live");
  server.rules.push([/messages/, () => Promise.reject(new TypeError("reset"))]);
  const { key, sent } = client.send({ user: "bob" }, { body: "x" });
  await advance(250);
  server.publish({ body: "x", idempotency_key: key, conversation_id: "c", seq: 1 });
  assert.equal((await settled(sent)).value.seq, 1);
  assert.deepEqual(client.outbox, []);
});

test("what a closed tab has left is sent by another", async () => {
  const shared = { storage: memory(), locks: new FakeLocks(), BroadcastChannel: channelsOf() };
  const [one, two] = [open(shared), open(shared)];
  await login(one);
  await advance(250);
  // As if the tab were gone before its first try: what it wrote and told is all there is of it.
  const item = { key: "k", to: { user: "bob" }, message: { body: "left behind" }, state: "sending", at: Date.now(), user: "id-ada" };
  shared.storage.setItem("longwire.outbox.k", JSON.stringify(item));
  two.client.out.heard({ lane: "users/bob" });
  await until(() => two.client.outbox.length === 0, "sent", 12_000);
  assert.deepEqual(sends().map((c) => [c.body.body, c.headers["Idempotency-Key"]]), [["left behind", "k"]]);
});
