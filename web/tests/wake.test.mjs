// What a page lives through: it is hidden and shown, put away and fetched back, and the network comes and goes.
import { happen, look, watchers } from "./page.mjs";
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { memory } from "../static/longwire.js";
import { FakeLocks, FakeServer, advance, channelsOf, clock, login, tabOf, until } from "./fake.mjs";

let server;
let tabs;
beforeEach(() => {
  clock.install();
  server = new FakeServer();
  tabs = [];
});
afterEach(() => {
  for (const tab of tabs) tab.client.close();
  look("visible");
  clock.restore();
});

function open(options) {
  const tab = tabOf(server, options);
  tabs.push(tab);
  return tab;
}

async function started(options) {
  const tab = open(options);
  await login(tab);
  tab.client.start();
  await until(() => tab.client.connection.state === "live", "live");
  return tab;
}

const bodies = (tab) => tab.events.map((e) => e.data.body);
const [streams, theOnly] = [() => server.count("/v1/inbox/stream"), () => [...server.streams][0]];

test("a page that is shown again opens a stream anew that has been quiet", async () => {
  const tab = await started();
  const old = theOnly();
  look("hidden");
  await advance(6_000);
  assert.equal(old.open, true, "nothing is done to a stream of a hidden page");
  server.log.push({ cursor: "p.1", type: "message.created", at: "", data: { body: "lost on the way" } });
  look("visible");
  await advance(250);
  assert.equal(old.open, false);
  assert.equal(streams(), 2);
  assert.equal(tab.client.connection.state, "live");
  assert.deepEqual(bodies(tab), ["lost on the way"]);
});

test("a page that is shown again keeps a stream that has just said something", async () => {
  await started();
  look("hidden");
  await advance(4_000);
  look("visible");
  await advance(250);
  assert.equal(streams(), 1);
});

test("a page that is shown again does not wait for the next try", async () => {
  const tab = await started();
  server.rules.push([/./, () => Promise.reject(new TypeError("refused"))]);
  theOnly().end("cut");
  await until(() => tab.client.connection.retryAt - Date.now() > 10_000, "a long wait");
  look("hidden");
  server.rules.length = 0;
  look("visible");
  await advance(250);
  assert.equal(tab.client.connection.state, "live");
});

test("a page that is put away lets its stream go, and has what came meanwhile when it is fetched back", async () => {
  const tab = await started();
  server.publish({ body: "before" });
  await advance(250);
  happen("pagehide", { persisted: true });
  await advance(250);
  assert.equal(server.streams.size, 0);
  server.publish({ body: "meanwhile" });
  await advance(60_000);
  assert.deepEqual(bodies(tab), ["before"], "it sleeps");
  assert.equal(streams(), 1);
  happen("pageshow", { persisted: true });
  await advance(1_000);
  assert.deepEqual(bodies(tab), ["before", "meanwhile"]);
  server.publish({ body: "after" });
  await advance(250);
  assert.deepEqual(bodies(tab), ["before", "meanwhile", "after"]);
  assert.deepEqual(tab.resets, ["start"], "it goes on from where it was");
});

test("a page that is put away gives the lead to another tab", async () => {
  const shared = { storage: memory(), locks: new FakeLocks(), BroadcastChannel: channelsOf() };
  const away = await started(shared);
  assert.equal(away.client.connection.leader, true);
  happen("pagehide", { persisted: true });
  const other = open(shared);
  other.client.start();
  await advance(1_000);
  assert.equal(other.client.connection.leader, true);
  assert.equal(other.client.connection.state, "live");
});

test("a page that is fetched back finds out who is signed in now", async () => {
  const storage = memory();
  const tab = await started({ storage });
  happen("pagehide", { persisted: true });
  storage.removeItem("longwire.session");
  await advance(250);
  assert.equal(tab.sessions.length, 1);
  happen("pageshow", { persisted: true });
  await advance(250);
  assert.deepEqual(tab.sessions.at(-1), [null, "changed"]);
  assert.equal(tab.client.connection.state, "signed_out");
});

test("a page hears of a session that another one has changed in the storage", async () => {
  const storage = memory();
  const tab = await started({ storage });
  storage.removeItem("longwire.session");
  happen("storage", { key: "something.else" });
  assert.equal(tab.sessions.length, 1);
  happen("storage", { key: "longwire.session" });
  assert.deepEqual(tab.sessions.at(-1), [null, "changed"]);
});

test("when the network is back a stream is opened anew at once, however young it is", async () => {
  const tab = await started();
  const old = theOnly();
  server.log.push({ cursor: "p.1", type: "message.created", at: "", data: { body: "lost on the way" } });
  happen("online");
  await advance(1_000);
  assert.equal(old.open, false);
  assert.equal(streams(), 2);
  assert.deepEqual(bodies(tab), ["lost on the way"]);
});

test("when the network is back, what waits to be read and sent waits no longer", async () => {
  const tab = await started();
  server.rules.push([/./, () => Promise.reject(new TypeError("refused"))]);
  theOnly().end("cut");
  const { sent } = tab.client.send({ user: "bob" }, { body: "at last" });
  await until(() => tab.client.connection.retryAt - Date.now() > 10_000, "a long wait");
  server.rules.length = 0;
  server.publish({ body: "meanwhile" });
  happen("online");
  await advance(1_000);
  assert.equal(tab.client.connection.state, "live");
  assert.deepEqual(bodies(tab), ["meanwhile"]);
  assert.equal((await sent).body, "at last");
});

test("a client that was closed watches the page no more", async () => {
  const before = watchers();
  const tab = await started();
  assert.ok(watchers() > before);
  tab.client.close();
  assert.equal(watchers(), before);
});
