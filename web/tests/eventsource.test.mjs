// The stream read by EventSource, as in a page: cookies and tokens, errors in the stream, and what ends an EventSource for good.
import { look } from "./page.mjs";
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { FakeServer, advance, clock, login, tabOf, until } from "./fake.mjs";

let server;
let tab;
let opened; // EventSources, oldest first
class FakeEventSource {
  closed = false;
  handlers = {};
  constructor(url) {
    this.url = new URL(url);
    opened.push(this);
  }
  addEventListener(name, handler) {
    this.handlers[name] = handler;
  }
  close() {
    this.closed = true;
  }
  say(name, data, lastEventId = "") {
    this.handlers[name]?.({ data: data && JSON.stringify(data), lastEventId });
  }
  hello(session_id = "session-ada") {
    this.say("hello", { cursor: this.url.searchParams.get("cursor"), user_id: "u", session_id, heartbeat_seconds: 15, lifetime_seconds: 540 });
  }
}

beforeEach(async () => {
  clock.install();
  opened = [];
  server = new FakeServer();
  server.rules.push([/inbox.tokens/, () => new Response('{"token":"inbox-1","expires_in":3600}', { status: 201 })]);
});
afterEach(() => {
  tab.client.close();
  clock.restore();
});

async function begin(url = "http://longwire.test") {
  tab = tabOf(server, { url, EventSource: FakeEventSource });
  await login(tab);
  tab.client.start();
  await until(() => opened.length === 1, "a stream");
  return opened[0];
}

const next = async () => {
  const count = opened.length;
  await until(() => opened.length > count, "another stream", 40_000);
  return opened.at(-1);
};

test("a page of the same origin uses the cookie and asks for errors in the stream", async () => {
  const { url } = await begin();
  assert.equal(url.searchParams.get("errors"), "inband");
  assert.equal(url.searchParams.get("cursor"), "p.0");
  assert.equal(url.searchParams.get("presence"), "active");
  assert.equal(url.searchParams.has("access_token"), false);
  opened[0].hello();
  opened[0].say("message", { cursor: "p.1", type: "message.created", at: "", data: { body: "x" } }, "p.1");
  opened[0].say("message", { type: "typing", at: "", data: {} }, "p.1");
  assert.deepEqual(tab.events.map((e) => e.type), ["message.created", "typing"]);
  assert.equal(tab.client.cursor, "p.1");
});

test("a page of another origin uses a token for URLs, never the access token", async () => {
  const { url } = await begin("http://elsewhere.test");
  assert.equal(url.searchParams.get("access_token"), "inbox-1");
});

test("what ends an EventSource for good makes another, from the last event on", async () => {
  const first = await begin();
  first.hello();
  first.say("message", { cursor: "p.1", type: "x", at: "", data: {} }, "p.1");
  first.say("error"); // as for a proxy's 502
  const second = await next();
  assert.equal(first.closed, true);
  assert.equal(second.url.searchParams.get("cursor"), "p.1");
  first.say("message", { cursor: "p.2", type: "x", at: "", data: {} }, "p.2");
  assert.equal(tab.events.length, 1, "what the old one still says is not heard");
});

test("401 in the stream: a renewal, which brings a new cookie; then a token in the URL", async () => {
  const first = await begin();
  first.say("error", { status: 401, code: "unauthenticated", detail: "" });
  const second = await next();
  assert.equal(server.count("/v1/auth/refresh"), 1);
  assert.equal(second.url.searchParams.has("access_token"), false);
  second.say("error", { status: 401, code: "unauthenticated", detail: "" });
  const third = await next();
  assert.equal(third.url.searchParams.get("access_token"), "inbox-1");
});

test("a cookie of another session is noticed before it brings anything", async () => {
  const first = await begin();
  first.hello("session-bob");
  first.say("message", { cursor: "q.1", type: "x", at: "", data: {} }, "q.1");
  const second = await next();
  assert.equal(second.url.searchParams.get("access_token"), "inbox-1");
  assert.equal(second.url.searchParams.get("cursor"), "p.0");
  assert.deepEqual(tab.events, []);
});

test("bye: token_expiring renews, revoked signs out", async () => {
  const first = await begin();
  first.hello();
  first.say("bye", { reason: "token_expiring", retry_ms: 300 });
  const second = await next();
  assert.equal(server.count("/v1/auth/refresh"), 1);
  second.hello();
  second.say("bye", { reason: "revoked", retry_ms: 300 });
  await advance(500);
  assert.equal(tab.client.session, null);
  assert.equal(tab.client.connection.state, "signed_out");
});

test("presence follows the page, when it has settled", async () => {
  const first = await begin();
  first.hello();
  look("hidden");
  look("visible");
  look("hidden");
  await advance(2_000);
  assert.deepEqual(server.calls.filter((c) => c.path === "/v1/me/presence").map((c) => c.body), [{ state: "background" }]);
  look("visible"); // it has been quiet for less than five seconds: the stream stays
  await advance(2_000);
  assert.equal(first.closed, false);
  look("hidden");
  await advance(8_000);
  look("visible");
  await advance(250);
  assert.equal(first.closed, true);
  assert.equal(opened.length, 2);
});
