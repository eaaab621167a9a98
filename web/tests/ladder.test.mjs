// Which transport is taken when: streams that are held back or cut, polls that are cut, and the way up again.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { parseEvents } from "../static/longwire/reader.js";
import { FakeServer, advance, clock, login, problem, tabOf, until } from "./fake.mjs";

let server;
let tab;
beforeEach(() => {
  clock.install();
  server = new FakeServer();
  tab = tabOf(server);
});
afterEach(() => {
  tab.client.close();
  clock.restore();
});

const live = (transport) => until(() => tab.client.connection.state === "live" && tab.client.connection.transport === transport, `live by ${transport}`);
const bodies = () => tab.events.map((e) => e.data.body);

async function started() {
  await login(tab);
  tab.client.start();
  await live("sse");
}

test("a stream brings events, and goes on from the last one after bye", async () => {
  await started();
  assert.deepEqual(tab.resets, ["start"]);
  server.publish({ body: "one" });
  await advance(250);
  const [stream] = server.streams;
  stream.named("bye", { reason: "lifetime", retry_ms: 700 });
  stream.end();
  server.publish({ body: "two" });
  await until(() => bodies().length === 2, "two");
  assert.deepEqual(bodies(), ["one", "two"]);
  assert.equal(server.last("/v1/inbox/stream").query.cursor, "p.1");
  assert.equal(tab.client.cursor, "p.2");
});

for (const [diag, why] of [["buffering", "the probe shows it"], [404, "there is no probe"]])
  test(`a stream that is held back is given up for long-poll: ${why}`, async () => {
    server.holds = true;
    server.diag = diag;
    const began = Date.now();
    await login(tab);
    tab.client.start();
    await until(() => server.count("/v1/inbox/poll") > 1, "a poll");
    assert.ok(Date.now() - began < 9_000, `after ${Date.now() - began} ms`);
    server.publish({ body: "one" });
    await advance(250);
    assert.deepEqual(bodies(), ["one"]);
    assert.equal(tab.client.connection.transport, "long-poll");
    assert.equal(server.last("/v1/inbox/poll").query.wait, "25");
  });

test("where the first bytes only are held back, padding keeps the stream", async () => {
  server.holds = server.diag = "first bytes";
  await login(tab);
  tab.client.start();
  await live("sse");
  assert.equal(server.last("/v1/inbox/stream").query.padding, "16384");
  assert.equal(server.count("/v1/inbox/poll"), 0);
});

test("streams that are refused while everything else works are given up", async () => {
  server.rules.push([/stream$/, () => problem(502, "http_502")]);
  await login(tab);
  tab.client.start();
  await live("long-poll");
});

test("streams that are cut again and again without bringing anything are given up", async () => {
  await started();
  for (let i = 0; i < 3; i++) {
    await until(() => server.streams.size === 1, "a stream");
    await advance(1000);
    for (const stream of server.streams) stream.end("cut");
  }
  await live("long-poll");
  assert.equal(server.count("/v1/inbox/stream"), 3);
});

test("a server that is away makes nobody give up streams", async () => {
  await started();
  server.rules.push([/./, () => Promise.reject(new TypeError("refused"))]);
  for (const stream of server.streams) stream.end("cut");
  await advance(90_000, 1000);
  assert.equal(tab.client.connection.state, "waiting");
  assert.ok(tab.client.connection.retryAt > Date.now());
  const tries = server.count("/v1/inbox/stream");
  assert.ok(tries >= 4 && tries <= 14, `${tries} tries in 90 s`);
  server.rules.length = 0;
  await live("sse");
});

test("a stream that says nothing for 1.5 heartbeats is taken for dead", async () => {
  await started();
  const [dead] = server.streams;
  await advance(15_000);
  dead.named("heartbeat", { cursor: "p.0" }, "p.0");
  await advance(22_000);
  assert.equal(server.count("/v1/inbox/stream"), 1);
  server.log.push({ cursor: "p.1", type: "message.created", at: "", data: { body: "lost on the way" } });
  await until(() => server.count("/v1/inbox/stream") === 2, "another stream", 5_000);
  await until(() => bodies().length === 1, "what was lost");
  assert.equal(dead.open, false);
});

test("the better transport is tried again later, and at once when the network changes", async () => {
  server.holds = true;
  server.diag = "buffering";
  await login(tab);
  tab.client.start();
  await live("long-poll");
  const streams = server.count("/v1/inbox/stream");
  await advance(400_000, 1000);
  assert.equal(server.count("/v1/inbox/stream"), streams, "the probe still shows buffering");
  assert.ok(server.count("/v1/diag/stream") >= 2);
  server.holds = false;
  server.diag = "ok";
  tab.client.inbox.wake("online");
  await live("sse");

  server.holds = true;
  server.diag = "buffering";
  for (const stream of server.streams) stream.end("cut");
  await live("long-poll");
  server.holds = false;
  server.diag = "ok";
  await until(() => tab.client.connection.transport === "sse" && tab.client.connection.state === "live", "a stream again by itself", 700_000);
});

test("a long-poll that is cut while it waits is shortened, then given up for short ones", async () => {
  tab.client.close();
  tab = tabOf(server, { transports: ["long-poll", "short-poll"] });
  server.rules.push([/poll$/, async ({ query }) => {
    if (query.wait <= 5) return;
    await new Promise((resolve) => setTimeout(resolve, 8_000));
    return problem(504, "http_504");
  }]);
  await login(tab);
  tab.client.start();
  await until(() => server.last("/v1/inbox/poll")?.query.wait === "10", "a shorter wait");
  await live("short-poll");
  const before = server.count("/v1/inbox/poll");
  await advance(60_000);
  const polls = server.count("/v1/inbox/poll") - before;
  assert.ok(polls >= 12 && polls <= 20, `${polls} polls in a minute`);
  server.publish({ body: "one" });
  await advance(5_250);
  assert.deepEqual(bodies(), ["one"]);
});

test("one connection that breaks while it waits shortens nothing", async () => {
  tab.client.close();
  tab = tabOf(server, { transports: ["long-poll"] });
  let cut = true;
  server.rules.push([/poll$/, async () => {
    if (!cut) return;
    cut = false;
    await new Promise((resolve) => setTimeout(resolve, 8_000));
    throw new TypeError("reset");
  }]);
  await login(tab);
  tab.client.start();
  await until(() => server.count("/v1/inbox/poll") === 4, "the poll after it");
  assert.equal(server.last("/v1/inbox/poll").query.wait, "25");
});

test("polls that are answered at once with nothing do not follow each other without a pause", async () => {
  tab.client.close();
  tab = tabOf(server, { transports: ["long-poll"] });
  server.rules.push([/poll$/, async ({ query }) => {
    await new Promise(setImmediate); // as any network does, however quick
    return new Response(JSON.stringify({ events: [], cursor: query.cursor, has_more: false }));
  }]);
  await login(tab);
  tab.client.start();
  await live("long-poll");
  const before = server.count("/v1/inbox/poll");
  await advance(60_000);
  const polls = server.count("/v1/inbox/poll") - before;
  assert.ok(polls >= 30 && polls < 130, `${polls} polls in a minute`);
});

test("too many streams: polls until there is room", async () => {
  server.rules.push([/stream$/, ({ path }) => path.startsWith("/v1/inbox") && problem(429, "too_many_streams", { "Retry-After": "30" })]);
  await login(tab);
  tab.client.start();
  await live("long-poll");
});

test("a reset begins anew with a snapshot, and goes on from its cursor", async () => {
  await started();
  server.publish({ body: "one" });
  await advance(250);
  const [stream] = server.streams;
  server.log.push({ cursor: "p.2", type: "x", at: "", data: {} });
  stream.named("reset", { reason: "epoch", cursor: "p.0" }, "p.0");
  await until(() => tab.resets.length === 2, "the reset");
  await live("sse");
  assert.deepEqual(tab.resets, ["start", "epoch"]);
  assert.equal(server.last("/v1/inbox/stream").query.cursor, "p.2");
});

test("what was received is acknowledged, at most once in five seconds", async () => {
  await started();
  for (let i = 0; i < 8; i++) {
    server.publish({ body: String(i) });
    await advance(1000);
  }
  const acks = server.calls.filter((c) => c.path === "/v1/inbox/ack");
  assert.equal(acks.length, 1);
  await advance(20_000);
  assert.equal(server.count("/v1/inbox/ack"), 2);
  assert.equal(server.last("/v1/inbox/ack").body.cursor, "p.8");
});

test("ephemeral events come and move nothing", async () => {
  await started();
  for (const stream of server.streams) stream.event({ type: "typing", at: "", data: { user_id: "x" } });
  await advance(250);
  assert.deepEqual(tab.events.map((e) => e.type), ["typing"]);
  assert.equal(tab.client.cursor, "p.0");
});

test("an event is what the stream's lines say, in whatever pieces they come", () => {
  const text = ': hi\r\nretry: 5\r\n\r\nevent: hello\r\nid: 1\r\ndata: {"a":1}\r\n\r\ndata: x: y\rdata:z\r\rid: 2\ndata: é\n\n';
  for (const size of [1, 2, 3, 7, 1000]) {
    const got = [];
    const parse = parseEvents((...event) => got.push(event));
    for (let i = 0; i < text.length; i += size) parse(text.slice(i, i + size));
    assert.deepEqual(got, [["hello", '{"a":1}', "1"], ["message", "x: y\nz", "1"], ["message", "é", "2"]], `pieces of ${size}`);
  }
});
