// What the page makes of events, whatever their order and however often they come: docs/protocol.md, "Applying events".
import assert from "node:assert/strict";
import { test } from "node:test";
import { initial, reduce } from "../static/app/state.js";
import { highlighted, initials, onlyEmoji, rich } from "../static/app/text.js";
import { append, maxWindow, mergeHistory } from "../static/app/windows.js";
import { mentioned } from "../static/app/mentions.js";

const me = { id: "me", username: "ada", display_name: "Ada", status_text: "" };
const bob = { id: "bob", username: "bob", display_name: "Bob", avatar_url: null, status_text: "" };
const at = (n) => `2026-09-01T10:00:${String(n).padStart(2, "0")}.000Z`;

const message = (seq, more = {}) => ({
  conversation_id: "c", seq, sender_id: "bob", kind: "text", body: `message ${seq}`, reply_to: null, mentions: [], created_at: at(seq), edited_at: null, recalled: false, ...more,
});

const conversation = (more = {}) => ({
  id: "c", kind: "private", peer: bob, last_message: message(3), last_seq: 3, read_seq: 3, peer_read_seq: 0, peer_delivered_seq: 0, unread_count: 0, mentions_unread: 0,
  last_activity_at: at(3), pinned: false, pinned_at: null, muted_until: null, archived: false, marked_unread: false, cleared_seq: 0, ...more,
});

const begun = (...conversations) => reduce({ ...initial(), session: { user: me } }, {
  type: "reset",
  sync: { cursor: "x", me, conversations, pinned_conversations: [], incoming_request_count: 0, limits: { max_unread_count: 1000, typing_expires_seconds: 6 } },
});
const apply = (state, type, data, when = at(9)) => reduce(state, { type: "event", event: { type, data, at: when } });
const shown = (state, id = "c") => state.conversations.get(id);
const withHistory = (state, items, before = false, after = false) =>
  reduce(state, { type: "history", id: "c", mode: "set", history: { items, has_more_before: before, has_more_after: after } });

test("others' messages are counted once, one's own and the system's never", () => {
  let state = begun(conversation());
  state = apply(state, "message.created", message(4));
  state = apply(state, "message.created", message(4));
  state = apply(state, "message.created", message(5, { sender_id: "me" }));
  state = apply(state, "message.created", message(6, { kind: "system" }));
  state = apply(state, "message.created", message(7, { mentions: ["me"] }));
  assert.equal(shown(state).unread_count, 2);
  assert.equal(shown(state).mentions_unread, 1);
  assert.equal(shown(state).last_seq, 7);
});

test("the answer to one's own sending does not hide what others sent before it", () => {
  let state = begun(conversation());
  state = reduce(state, { type: "sent", message: message(5, { sender_id: "me" }) });
  state = apply(state, "message.created", message(4));
  assert.equal(shown(state).unread_count, 1);
  assert.equal(shown(state).last_message.seq, 5);
});

test("reading sets the counts, and an older reading changes nothing", () => {
  let state = begun(conversation({ last_seq: 9, read_seq: 2, unread_count: 7 }));
  state = apply(state, "conversation.read", { conversation_id: "c", user_id: "me", read_seq: 8, unread_count: 1, mentions_unread: 0 });
  state = apply(state, "conversation.read", { conversation_id: "c", user_id: "me", read_seq: 5, unread_count: 4, mentions_unread: 0 });
  assert.equal(shown(state).read_seq, 8);
  assert.equal(shown(state).unread_count, 1);
  state = apply(state, "conversation.read", { conversation_id: "c", user_id: "bob", read_seq: 6 });
  state = apply(state, "conversation.read", { conversation_id: "c", user_id: "bob", read_seq: 4 });
  assert.equal(shown(state).peer_read_seq, 6);
});

test("a fetched conversation that is older than the events does not take them back", () => {
  let state = apply(begun(conversation()), "message.created", message(4));
  state = reduce(state, { type: "conversation", conversation: conversation() });
  assert.equal(shown(state).last_seq, 4);
  assert.equal(shown(state).unread_count, 1);
});

test("an unknown conversation is asked for, and one that comes by itself is not", () => {
  let state = apply(begun(), "message.created", message(1));
  assert.deepEqual([...state.missing], ["c"]);
  state = apply(state, "conversation.added", conversation({ last_seq: 1, last_message: message(1), unread_count: 1 }));
  assert.equal(state.missing.size, 0);
  state = apply(state, "message.created", message(1));
  assert.equal(shown(state).unread_count, 1);
});

test("a message in an archived conversation brings it back, unless it is muted", () => {
  assert.equal(shown(apply(begun(conversation({ archived: true })), "message.created", message(4))).archived, false);
  assert.equal(shown(apply(begun(conversation({ archived: true, muted_until: at(50) })), "message.created", message(4))).archived, true);
});

test("a window grows at its end, takes a message once, and knows when there is a hole", () => {
  let state = withHistory(begun(conversation()), [message(2), message(3)], true);
  state = apply(state, "message.created", message(4));
  state = apply(state, "message.created", message(4));
  assert.deepEqual(state.windows.get("c").items.map((m) => m.seq), [2, 3, 4]);
  state = apply(state, "message.created", message(7));
  assert.deepEqual(state.windows.get("c").items.map((m) => m.seq), [2, 3, 4]);
  assert.equal(state.windows.get("c").after, true);
});

test("a window is bounded at both ends", () => {
  const run = (from, n) => Array.from({ length: n }, (_, i) => message(from + i));
  let window = { items: run(1000, maxWindow), before: true, after: false };
  window = mergeHistory(window, "before", { items: run(950, 50), has_more_before: true, has_more_after: true });
  assert.equal(window.items.length, maxWindow);
  assert.equal(window.items[0].seq, 950);
  assert.equal(window.after, true);
  window = mergeHistory(window, "after", { items: run(950 + maxWindow, 50), has_more_before: true, has_more_after: false });
  assert.equal(window.items.at(-1).seq, 999 + maxWindow);
  assert.equal(window.after, false);
  window = append(window, message(1000 + maxWindow));
  assert.equal(window.items.length, maxWindow);
  window.items.forEach((m, i) => assert.equal(m.seq, window.items[0].seq + i, "no hole"));
});

test("an edit keeps how far the message has come, a recall takes its pin", () => {
  let state = withHistory(begun(conversation()), [message(2, { sender_id: "me", delivery: "delivered" }), message(3)]);
  state = reduce(state, { type: "pins", id: "c", items: [{ message: message(3), pinned_by: "me", pinned_at: at(4) }] });
  state = apply(state, "message.edited", message(2, { sender_id: "me", body: "other", edited_at: at(5) }));
  assert.equal(state.windows.get("c").items[0].body, "other");
  assert.equal(state.windows.get("c").items[0].delivery, "delivered");
  state = apply(state, "message.recalled", message(3, { body: "", recalled: true }));
  assert.equal(state.pins.get("c").length, 0);
  assert.equal(shown(state).last_message.recalled, true);
});

test("reactions are absolute, and one's own are told from others'", () => {
  let state = withHistory(begun(conversation()), [message(3)]);
  state = apply(state, "reaction.changed", { conversation_id: "c", seq: 3, user_id: "me", emoji: "👍", reacted: true, reactions: [{ emoji: "👍", count: 1 }] });
  state = apply(state, "reaction.changed", { conversation_id: "c", seq: 3, user_id: "bob", emoji: "👍", reacted: true, reactions: [{ emoji: "👍", count: 2 }] });
  assert.deepEqual(state.windows.get("c").items[0].reactions, [{ emoji: "👍", count: 2, mine: true }]);
  state = apply(state, "reaction.changed", { conversation_id: "c", seq: 3, user_id: "me", emoji: "👍", reacted: false, reactions: [{ emoji: "👍", count: 1 }] });
  assert.equal(state.windows.get("c").items[0].reactions[0].mine, false);
});

test("clearing hides what was there and nothing later", () => {
  let state = withHistory(begun(conversation()), [message(2), message(3)]);
  state = apply(state, "message.created", message(4));
  state = apply(state, "conversation.updated", {
    conversation_id: "c", pinned: false, pinned_at: null, muted_until: null, archived: false, marked_unread: false, cleared_seq: 3, unread_count: 0, mentions_unread: 0,
  });
  assert.deepEqual(state.windows.get("c").items.map((m) => m.seq), [4]);
  assert.equal(shown(state).last_message.seq, 4);
});

test("typing ends with the message, and an older word of it does not come back", () => {
  let state = apply(begun(conversation()), "typing", { conversation_id: "c", user_id: "bob", state: "typing" }, at(5));
  assert.equal(state.typing.get("c").size, 1);
  state = apply(state, "typing", { conversation_id: "c", user_id: "bob", state: "stopped" }, at(4));
  assert.equal(state.typing.get("c").size, 1);
  state = apply(state, "message.created", message(4));
  assert.equal(state.typing.get("c").size, 0);
});

test("who is removed writes no more", () => {
  const group = conversation({ id: "g", kind: "group", peer: undefined, group: { id: "g", name: "Chess", my_role: "member", member_count: 3 } });
  let state = apply(begun(group), "typing", { conversation_id: "g", user_id: "bob", state: "typing" });
  state = apply(state, "member.left", { group_id: "g", user_id: "bob", reason: "removed", by: "cleo", member_count: 2 });
  assert.equal(state.typing.get("g").size, 0);
});

test("leaving and dissolving remove a group, and requests count absolutely", () => {
  const group = conversation({ id: "g", kind: "group", peer: undefined, group: { id: "g", name: "Chess", my_role: "member", member_count: 2 } });
  assert.equal(apply(begun(group), "member.left", { group_id: "g", user_id: "me", reason: "removed", by: "bob", member_count: 1 }).conversations.size, 0);
  assert.equal(apply(begun(group), "group.dissolved", { group_id: "g" }).conversations.size, 0);
  const renamed = apply(begun(group), "group.updated", { id: "g", name: "Go", member_count: 2 });
  assert.equal(shown(renamed, "g").group.name, "Go");
  assert.equal(shown(renamed, "g").group.my_role, "member", "what an event does not say stays");
  const request = { id: "r", from: bob, to: me, note: "", state: "pending", incoming_request_count: 3 };
  let state = apply(begun(), "friend_request.created", request);
  assert.equal(state.incoming, 3);
  state = apply(state, "friend_request.updated", { ...request, state: "accepted", incoming_request_count: 2 });
  assert.equal(state.incoming, 2);
  assert.equal(state.requests.size, 0);
});

test("an event that nobody knows changes nothing, also by the name of what every object has", () => {
  const state = begun(conversation());
  assert.equal(apply(state, "constructor", {}), state);
  assert.equal(apply(state, "something.new", {}), state);
});

test("only http addresses become links, and markup stays text", () => {
  const state = { ...begun(), users: new Map([["bob", bob]]) };
  const pieces = rich(state, message(1, { body: "<b>x</b> javascript:alert(1) https://a.example/b?c=d. @bob", mentions: ["bob"] }));
  const links = pieces.filter((p) => p?.type === "a");
  assert.deepEqual(links.map((l) => l.props.href), ["https://a.example/b?c=d"]);
  assert.equal(pieces[0], "<b>x</b> javascript:alert(1) ");
  assert.equal(pieces.find((p) => p?.type === "span").props.children, "@bob");
});

test("what is found is marked by code points", () => {
  const pieces = highlighted("😀😀 boards", [{ start: 3, end: 9 }]);
  assert.equal(pieces.find((p) => p?.type === "mark").props.children, "boards");
});

test("names and mentions", () => {
  assert.equal(initials("Ada Lovelace"), "AL");
  assert.equal(initials("漢字"), "漢字");
  assert.equal(initials(""), "?");
  assert.ok(onlyEmoji("👍🏽") && onlyEmoji("😀😀") && !onlyEmoji("5") && !onlyEmoji("hi 😀"));
  assert.deepEqual(mentioned("hello @bob. and @nobody", [bob, me]), ["bob"]);
  assert.deepEqual(mentioned("mail bob@ada.example", [me]), []);
});
