// longwire.js against a real server, over ways that buffer, cut and lose: a test in e2e starts them and says where they are.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { afterEach, test as timeless } from "node:test";
import { createClient, memory } from "../../static/longwire.js";

const { LONGWIRE_URL: direct, LONGWIRE_BUFFERING: buffering, LONGWIRE_CUTTING: cutting, LONGWIRE_LOSING: losing, LONGWIRE_RESTART: restart } = process.env;
const password = "correct horse battery";
const patience = 60_000;
const opened = [];
const test = (name, work) => timeless(name, { timeout: 2 * patience }, work);

afterEach(() => {
  for (const client of opened.splice(0)) client.close();
});

function open(url, options) {
  const logs = [];
  const client = createClient({ url, log: (message, detail) => logs.push(`${message} ${detail ?? ""}`), ...options });
  const tab = Object.assign(client, { got: [], logs });
  client.on("event", (event) => tab.got.push(event));
  opened.push(client);
  return tab;
}

// until waits until something is so, looking at it whenever a client says something.
async function until(so, what, client) {
  const end = Date.now() + patience;
  while (!so()) {
    if (Date.now() > end) throw new Error(`it never came to be: ${what}\n${JSON.stringify(client?.connection)}\n${client?.logs.join("\n")}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const somebody = async (client) => {
  const user = await client.register({ username: `js${randomUUID().replaceAll("-", "").slice(0, 20)}`, password });
  await client.request("PATCH", "/v1/me", { body: { accept_messages_from: "everyone" } });
  return user;
};

// pair signs in a writer, directly, and a reader whose client is the one under test.
async function pair(readerUrl, options) {
  const [writer, reader] = [open(direct), open(readerUrl, options)];
  await somebody(writer);
  const user = await somebody(reader);
  reader.start();
  const say = (body) => writer.send({ user: user.id }, { body }).sent;
  return { writer, reader, user, say };
}

const bodies = (client) => client.got.filter((e) => e.type === "message.created").map((e) => e.data.body);
const live = (client, transport) => until(() => client.connection.state === "live" && (!transport || client.connection.transport === transport), `live by ${transport ?? "anything"}`, client);
const numbers = (count) => Array.from({ length: count }, (_, i) => String(i));

for (const transport of ["sse", "long-poll", "short-poll"])
  test(`events come by ${transport}, each once`, async () => {
    const { reader, say } = await pair(direct, { transports: [transport] });
    await live(reader, transport);
    for (const body of numbers(20)) await say(body);
    await until(() => bodies(reader).length >= 20, "all of them", reader);
    assert.deepEqual(bodies(reader), numbers(20));
    const { events } = await reader.request("GET", "/v1/inbox/poll", { query: { cursor: reader.cursor, wait: 0 } });
    assert.deepEqual(events, [], "the cursor is behind all that was given out");
  });

test("behind a proxy that holds streams back it goes on by long-poll", async () => {
  const began = Date.now();
  const { reader, say } = await pair(buffering);
  await live(reader, "long-poll");
  assert.ok(Date.now() - began < 20_000, `after ${Date.now() - began} ms`);
  for (const body of numbers(10)) await say(body);
  await until(() => bodies(reader).length >= 10, "all of them", reader);
  assert.deepEqual(bodies(reader), numbers(10));
});

test("behind a proxy that cuts every answer after a while nothing is lost or doubled, and it ends with what works", async () => {
  const { reader, say } = await pair(cutting, { timing: { short: [200, 400], waits: [25, 10] } });
  let said = 0;
  const seen = new Set();
  reader.on("connection", ({ transport }) => transport && seen.add(transport));
  await live(reader, "sse");
  // While streams bring something they are kept, however often they are cut.
  const talk = async () => {
    await say(String(said));
    said++;
  };
  for (let i = 0; i < 5; i++) await talk();
  await until(() => bodies(reader).length === said, "what was said on streams", reader);
  // In silence they are given up, and so are long-polls that get no end.
  await live(reader, "short-poll");
  for (let i = 0; i < 10; i++) await talk();
  await until(() => bodies(reader).length >= said, "what was said by short polls", reader);
  assert.deepEqual(bodies(reader), numbers(said));
  assert.deepEqual([...seen], ["sse", "long-poll", "short-poll"]);
});

test("over a line that loses requests and answers each message arrives once, in order", async () => {
  // They sign in on a good line: two of them would be too much for one that is cut all the time.
  const good = [open(direct), open(direct)];
  const [, user] = await Promise.all(good.map(somebody));
  const [writer, reader] = good.map((client) => open(losing, { storage: client.auth.storage }));
  reader.start();
  // As many as it takes until the line has lost some.
  const lost = () => writer.logs.filter((line) => /message .* waits/.test(line)).length;
  let said = 0;
  for (const end = Date.now() + patience; said < 60 || (lost() < 3 && Date.now() < end); ) {
    const some = Array.from({ length: 10 }, () => writer.send({ user: user.id }, { body: String(said++) }));
    await Promise.all(some.map(({ sent }) => sent));
  }
  assert.ok(lost() >= 3, "the line lost too little: this proves nothing");
  assert.deepEqual(writer.outbox, []);
  await until(() => bodies(reader).length >= said, "all of them", reader);
  assert.deepEqual(bodies(reader), numbers(said));
});

test("when the server is started anew it comes back, and what was said meanwhile is there", async () => {
  const { reader, writer, user } = await pair(direct);
  await live(reader, "sse");
  const restarted = fetch(restart, { method: "POST" });
  await until(() => reader.connection.state !== "live", "it notices", reader);
  for (const body of numbers(5)) writer.send({ user: user.id }, { body });
  assert.equal((await restarted).status, 204);
  await until(() => bodies(reader).length >= 5, "all of them", reader);
  assert.deepEqual(bodies(reader), numbers(5));
});

test("a stream outlives its token", async () => {
  const { reader, say } = await pair(direct);
  await live(reader, "sse");
  const tokens = new Set();
  const { storage, key } = reader.auth;
  await until(() => tokens.add(JSON.parse(storage.getItem(key)).access_token).size >= 2, "a renewal", reader);
  await say("0");
  await until(() => bodies(reader).length === 1, "the message", reader);
  assert.notEqual(reader.session, null);
});

test("a session that is ended on another device is over here", async () => {
  const { reader, user } = await pair(direct);
  await live(reader, "sse");
  const other = open(direct);
  await other.login({ username: user.username, password });
  const reasons = [];
  reader.on("session", (session, reason) => reasons.push(reason));
  await other.request("DELETE", "/v1/sessions");
  await until(() => reader.session === null, "signed out", reader);
  assert.deepEqual([reasons, reader.connection.state], [["session_ended"], "signed_out"]);
});

test("a bot goes on where it was", async () => {
  const storage = memory();
  const { reader, say } = await pair(direct, { storage });
  await live(reader);
  await say("0");
  await until(() => bodies(reader).length === 1, "the first", reader);
  reader.close();
  await say("1");
  const again = open(direct, { storage });
  again.on("reset", () => assert.fail("it began anew"));
  again.start(again.cursor);
  await until(() => bodies(again).length === 1, "the second", again);
  assert.deepEqual(bodies(again), ["1"]);
});

test("a sender sees that its message was delivered while the reader stays on one stream", async () => {
  const { reader, writer, say } = await pair(direct);
  await live(reader, "sse");
  const { conversation_id } = await say("0");
  let delivery;
  for (const end = Date.now() + patience; delivery !== "delivered" && Date.now() < end; ) delivery = (await writer.request("GET", `/v1/conversations/${conversation_id}`)).last_message.delivery;
  assert.equal(delivery, "delivered");
});

test("the example with fetch alone, as the documentation has it", async () => {
  const { receive } = await import(process.env.LONGWIRE_FETCH_EXAMPLE);
  const { writer } = await pair(direct);
  const reader = open(direct);
  const user = await somebody(reader);
  const got = [];
  const stop = new AbortController();
  let token; // the last there was: once signed out there is no other, and it is for the server to say what became of it
  const receiving = receive(cutting, (await reader.sync()).cursor, {
    token: async (refused) => {
      const asked = refused ? reader.auth.renewed(reader.auth.tokens?.access_token) : reader.auth.access();
      token = (await asked.catch(() => null))?.access_token ?? token;
      return token;
    },
    begin: async () => (await reader.sync()).cursor,
    handle: (event) => event.type === "message.created" && got.push(event.data.body),
    signal: stop.signal,
  });
  const ended = assert.rejects(receiving, /session has ended/);
  try {
    for (const body of numbers(10)) await writer.send({ user: user.id }, { body }).sent;
    await until(() => got.length >= 10, "all of them");
    assert.deepEqual(got, numbers(10));
    await reader.logout();
    await ended;
  } finally {
    stop.abort();
  }
});
