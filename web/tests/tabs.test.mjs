// One connection for all tabs, and each event once in each of them.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { memory } from "../static/longwire.js";
import { FakeLocks, FakeServer, advance, channelsOf, clock, login, tabOf, until } from "./fake.mjs";

let server;
let browser;
let tabs;
let channels;
beforeEach(() => {
  clock.install();
  server = new FakeServer();
  browser = { storage: memory(), locks: new FakeLocks(), BroadcastChannel: channelsOf() };
  tabs = [];
  channels = [];
});
afterEach(() => {
  for (const tab of tabs) tab.client.close();
  clock.restore();
});

// newTab opens a tab, whose channel can be frozen.
function newTab() {
  let channel;
  const Channel = class extends browser.BroadcastChannel {
    constructor(name) {
      super(name);
      channel = this;
    }
  };
  const tab = tabOf(server, { ...browser, BroadcastChannel: Channel });
  tabs.push(tab);
  channels.push(channel);
  return tab;
}

async function opened(count) {
  for (let i = 0; i < count; i++) newTab();
  await login(tabs[0]);
  await advance(250);
  for (const tab of tabs) tab.client.start();
  await until(() => tabs.every((tab) => tab.client.connection.state === "live"), "all are live");
}

const bodies = (tab) => tab.events.map((e) => e.data.body);
const leaders = () => tabs.filter((tab) => tab.client.connection.leader);

test("seven tabs, one connection, each event once in each", async () => {
  await opened(7);
  assert.equal(server.streams.size, 1);
  assert.equal(server.count("/v1/inbox/stream"), 1);
  assert.equal(leaders().length, 1);
  for (let i = 0; i < 20; i++) server.publish({ body: i });
  await advance(500);
  for (const tab of tabs) assert.deepEqual(bodies(tab), [...Array(20).keys()]);
  assert.equal(server.count("/v1/inbox/poll"), 0, "nobody had to ask by itself");
});

test("when the leader's tab is closed another goes on from its own cursor", async () => {
  await opened(3);
  server.publish({ body: 0 });
  await advance(500);
  const [gone] = leaders();
  tabs = tabs.filter((tab) => tab !== gone);
  gone.client.close();
  server.publish({ body: 1 });
  await until(() => leaders().length === 1, "a leader");
  server.publish({ body: 2 });
  await until(() => tabs.every((tab) => bodies(tab).length === 3), "all have all");
  for (const tab of tabs) assert.deepEqual(bodies(tab), [0, 1, 2]);
  assert.equal(server.streams.size, 1);
});

test("a leader that is frozen is robbed of the lead, and gets nothing twice when it wakes", async () => {
  await opened(3);
  server.publish({ body: 0 });
  await advance(500);
  const [frozen] = leaders();
  const at = tabs.indexOf(frozen);
  channels[at].frozen = true;
  const [stream] = server.streams;
  server.streams.delete(stream); // its bytes stay in the sleeping tab
  server.publish({ body: 1 });
  const others = tabs.filter((tab) => tab !== frozen);
  others[0].client.inbox.wake("visible");
  await until(() => others.every((tab) => bodies(tab).length === 2), "the others have it", 12_000);
  channels[at].frozen = false;
  server.publish({ body: 2 });
  await until(() => tabs.every((tab) => bodies(tab).length === 3), "all have all");
  for (const tab of tabs) assert.deepEqual(bodies(tab), [0, 1, 2]);
  assert.equal(leaders().filter((tab) => others.includes(tab)).length, 1);
  assert.equal(frozen.client.connection.leader, false);
});

test("a tab that was not told of some events asks for them by itself", async () => {
  await opened(2);
  const follower = tabs.find((tab) => !tab.client.connection.leader);
  const channel = channels[tabs.indexOf(follower)];
  channel.frozen = true;
  for (let i = 0; i < 5; i++) server.publish({ body: i });
  await advance(500);
  assert.deepEqual(bodies(follower), []);
  channel.frozen = false;
  for (let i = 5; i < 10; i++) server.publish({ body: i });
  await until(() => bodies(follower).length === 10, "all of them");
  assert.deepEqual(bodies(follower), [...Array(10).keys()]);
  assert.ok(server.count("/v1/inbox/poll") <= 2, `${server.count("/v1/inbox/poll")} polls`);
});

test("a tab that comes later begins with its own snapshot and misses nothing", async () => {
  await opened(1);
  server.publish({ body: 0 });
  await advance(250);
  const late = newTab();
  late.client.start();
  server.publish({ body: 1 });
  await advance(1);
  server.publish({ body: 2 });
  await until(() => late.client.cursor === "p.3", "all of it");
  const missing = [0, 1, 2].slice(3 - bodies(late).length);
  assert.deepEqual(bodies(late), missing, "what its snapshot did not have, in order");
  assert.deepEqual(late.resets, ["start"]);
  assert.equal(server.streams.size, 1);
});

test("a reset is fetched once and reaches all tabs", async () => {
  await opened(4);
  const before = server.count("/v1/sync");
  server.log.push({ cursor: "p.1", type: "x", at: "", data: {} });
  for (const stream of server.streams) stream.named("reset", { reason: "too_old", cursor: "p.1" }, "p.1");
  await until(() => tabs.every((tab) => tab.resets.includes("too_old")), "the reset");
  assert.equal(server.count("/v1/sync"), before + 1);
  server.publish({ body: "after" });
  await until(() => tabs.every((tab) => bodies(tab).length === 1), "the event after it");
});

test("the cursor that is kept is where the next visit goes on", async () => {
  await opened(1);
  server.publish({ body: 0 });
  await advance(250);
  tabs[0].client.close();
  server.publish({ body: 1 });
  tabs = [];
  const again = newTab();
  again.client.start(again.client.cursor);
  await until(() => again.client.cursor === "p.2", "what came meanwhile");
  assert.deepEqual([bodies(again), again.resets], [[1], []]);
});
