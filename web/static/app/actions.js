// What a person can do: calls of the API, with their answers taken into the state at once. The inbox tells the same again, to all
// devices; taking it in twice does no harm.
import { all, api, attempt, client, id, notes, presence, report, store } from "./core.js";
import { go } from "./route.js";

const conversation = (c) => `/v1/conversations/${id(c)}`;
const message = (m) => `${conversation(m.conversation_id)}/messages/${m.seq}`;
const group = (g) => `/v1/groups/${id(g)}`;
const event = (type, data) => store.dispatch({ type: "event", event: { type, data, at: new Date().toISOString() } });

// newKey makes an idempotency key. (randomUUID is there on https and localhost only.)
export const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");

// --- conversations

export const pageSize = 50;

// moreConversations goes on in the list by last activity.
export async function moreConversations() {
  const after = store.state.next;
  const part = await api("GET", "/v1/conversations", { query: { limit: pageSize, ...(after !== "first" && { after }) } });
  store.dispatch({ type: "conversations", items: part.items, next: part.next });
}

// conversationsThatAre fetches the archived ones, or those with something unread, wherever they stand in the list.
export async function conversationsThatAre(filter) {
  store.dispatch({ type: "conversations", items: await all("/v1/conversations", filter, 500) });
}

const talkWith = (user) => [...store.state.conversations.values()].find((c) => c.peer?.id === user);

// lookFor fetches a person, and looks whether there was a conversation with them: it may be archived, or far down in the list.
export async function lookFor(user) {
  if (!store.state.users.has(user)) store.dispatch({ type: "users", items: [await api("GET", `/v1/users/${id(user)}`)] });
  if (talkWith(user)) return;
  await conversationsThatAre({ archived: true });
  for (let parts = 0; parts < 20 && store.state.next && !talkWith(user); parts++) await moreConversations();
}

export const setConversation = (c, change) => attempt(async () => {
  const now = await api("PATCH", conversation(c), { body: change });
  if (now) store.dispatch({ type: "conversation", conversation: now });
});

export const clearConversation = (c) => attempt(async () => {
  await api("DELETE", conversation(c));
  store.dispatch({ type: "leave", id: c });
  go({ pane: "chats" });
});

// need asks for conversations that are to be shown and are not known.
export const need = (ids) => store.dispatch({ type: "need", ids });

// --- history

const loading = new Map();

// load fetches a part of the history once at a time for each end.
function load(c, mode, query) {
  const key = `${c} ${mode}`;
  if (loading.has(key)) return loading.get(key);
  const work = api("GET", `${conversation(c)}/messages`, { query: { limit: pageSize, ...query } })
    .then((history) => store.dispatch({ type: "history", id: c, mode, history }))
    .finally(() => loading.delete(key));
  loading.set(key, work);
  return work;
}

export const loadNewest = (c) => load(c, "set", {});
export const loadAround = (c, seq) => load(c, "set", { around_seq: seq });
export const loadBefore = (c, seq) => load(c, "before", { before_seq: seq });
export const loadAfter = (c, seq) => load(c, "after", { after_seq: seq });

const reading = new Map();

// markRead moves the read position on. Of calls that come quickly one after the other the first and the last are made.
export async function markRead(c, seq) {
  const known = reading.get(c);
  if (known) {
    known.seq = Math.max(known.seq, seq);
    return;
  }
  const mine = { seq };
  reading.set(c, mine);
  try {
    store.dispatch({ type: "read", read: await api("PUT", `${conversation(c)}/read`, { body: { seq } }) });
  } catch (error) {
    if (error.status && error.status !== 404) report(error); // 404: one is not in it any more
  } finally {
    reading.delete(c);
  }
  if (mine.seq > seq) await markRead(c, mine.seq);
}

// --- messages

// send gives a message to the outbox. `chat` is { conversation } or { user }.
export function send(chat, body) {
  const to = chat.conversation?.kind === "group" ? { group: chat.conversation.id } : { user: chat.conversation?.peer.id ?? chat.user };
  const { sent } = client.send(to, body);
  sent.then((m) => store.dispatch({ type: "sent", message: m })).catch((error) => error.code === "outbox_full" && report(error)); // one that was refused stands in the outbox, with the reason
}

export const edit = async (m, body, mentions) => event("message.edited", await api("PATCH", message(m), { body: { body, mentions } }));
export const recall = (m) => attempt(async () => event("message.recalled", await api("POST", `${message(m)}/recall`)));
export const deleteForMe = (m) => attempt(async () => {
  await api("DELETE", message(m));
  event("message.deleted", { conversation_id: m.conversation_id, seq: m.seq });
});
export const react = (m, emoji) => attempt(async () => {
  const mine = m.reactions?.find((r) => r.emoji === emoji)?.mine;
  await api(mine ? "DELETE" : "PUT", `${message(m)}/reactions/${id(emoji)}`);
});
export const pin = (m, on) => attempt(() => api(on ? "PUT" : "DELETE", `${message(m)}/pin`));
export const versions = (m) => all(`${message(m)}/edits`);
export const reactors = (m) => all(`${message(m)}/reactions`);
export const receipts = (m) => api("GET", `${message(m)}/receipts`);
export const oneMessage = (c, seq) => api("GET", `${conversation(c)}/messages/${seq}`);
export async function loadPins(c) {
  store.dispatch({ type: "pins", id: c, items: await all(`${conversation(c)}/pins`) });
}

const typed = new Map();

// typing tells the others, not more often than it is passed on.
export function typing(c, state) {
  const every = 1000 * (store.state.limits.typing_interval_seconds ?? 3);
  const last = typed.get(c) ?? 0;
  if (state === "typing" ? Date.now() - last < every : !last) return;
  if (state === "typing") typed.set(c, Date.now());
  else typed.delete(c);
  api("POST", `${conversation(c)}/typing`, { body: { state } }).catch(() => {}); // is told again while it is so
}

// delivery asks how far one's own messages have come, which no event tells.
export const delivery = async (c) => store.dispatch({ type: "conversation", conversation: await api("GET", conversation(c)) });

export const search = (query) => api("GET", "/v1/search/messages", { query: { limit: 20, ...query } });

// --- people

export const findPeople = (q) => api("GET", "/v1/users", { query: { q, limit: 20 } });

export const openPerson = (user) => {
  store.dispatch({ type: "users", items: [user] });
  const known = talkWith(user.id);
  go(known ? { conversation: known.id } : { user: user.id });
};

export const befriend = (user, note) => attempt(async () => {
  const key = newKey();
  const r = await api("POST", "/v1/friend-requests", { body: { user_id: user.id, ...(note && { note }) }, idempotencyKey: key });
  event("friend_request.updated", r);
  if (r.state === "accepted") openPerson(user); // they had asked too
  else notes.add(`${user.display_name} was asked. The chat opens when they accept.`);
});

export const answer = (r, how) => attempt(async () => {
  event("friend_request.updated", await api("POST", `/v1/friend-requests/${id(r.id)}/${how}`));
  if (how === "accept") openPerson(r.from);
});

export const takeBack = (r) => attempt(async () => {
  await api("DELETE", `/v1/friend-requests/${id(r.id)}`);
  event("friend_request.updated", { ...r, state: "cancelled" });
});

export const unfriend = (user) => attempt(async () => {
  await api("DELETE", `/v1/friends/${id(user.id)}`);
  event("friend.removed", { user_id: user.id });
});

export const remark = async (user, text) => event("friend.updated", await api("PATCH", `/v1/friends/${id(user.id)}`, { body: { remark: text } }));

export const block = (user, on) => attempt(async () => {
  await api(on ? "PUT" : "DELETE", `/v1/blocks/${id(user.id)}`);
  event("block.changed", { user, blocked: on, since: new Date().toISOString() });
});

export { presence };

// --- groups

export const myGroups = () => all("/v1/me/groups");
export const findGroups = (q) => api("GET", "/v1/groups", { query: { ...(q && { q }), limit: 20 } });

async function entered(g) {
  await api("GET", conversation(g.id)).then((c) => store.dispatch({ type: "conversation", conversation: c }));
  go({ conversation: g.id });
}

export async function createGroup(body, key) {
  await entered(await api("POST", "/v1/groups", { body, idempotencyKey: key }));
}

export async function join(g, note) {
  const answered = await api("POST", `${group(g.id)}/join`, { body: note ? { note } : {} });
  if (answered.member_count !== undefined) return entered(answered);
  event("join_request.created", answered);
  notes.add(`You asked to join ${g.name}. It opens when somebody lets you in.`);
  return undefined;
}

export const withdraw = (g) => attempt(async () => {
  const me = store.state.me;
  await api("DELETE", `${group(g)}/join-requests/${id(me.id)}`);
  event("join_request.updated", { group_id: g, user: me, state: "cancelled" });
});

export const previewInvitation = (code) => api("GET", `/v1/invitations/${id(code)}`);
export const joinByCode = async (code) => entered(await api("POST", `/v1/invitations/${id(code)}/join`));

const changed = (now) => now && store.dispatch({ type: "group", group: now });
export const updateGroup = async (g, change) => changed(await api("PATCH", group(g), { body: change }));
export const announce = async (g, text) => {
  changed(text ? await api("PUT", `${group(g)}/announcement`, { body: { text } }) : await api("DELETE", `${group(g)}/announcement`));
  if (!text) changed({ id: g, announcement: null });
};
const gone = (g) => {
  event("group.dissolved", { group_id: g });
  go({ pane: "chats" });
};
export const leaveGroup = (g) => attempt(async () => {
  await api("POST", `${group(g)}/leave`);
  gone(g);
});
export const dissolve = (g) => attempt(async () => {
  await api("DELETE", group(g));
  gone(g);
});

// loadMembers fetches the first hundred; more by `more`.
const memberNext = new Map();
export async function loadMembers(g, more = false) {
  const after = more ? memberNext.get(g) : undefined;
  if (more && !after) return;
  const part = await api("GET", `${group(g)}/members`, { query: { limit: 100, ...(after && { after }) } });
  memberNext.set(g, part.next);
  store.dispatch({ type: "members", id: g, items: part.items, first: !more });
}
export const moreMembers = (g) => !!memberNext.get(g);

// allMembers fetches those that are not here yet, for who looks for one by name: the server tells them in their order only.
const fetchingMembers = new Map();
export function allMembers(g) {
  if (fetchingMembers.has(g)) return fetchingMembers.get(g);
  const work = (async () => {
    for (let parts = 0; parts < 50 && moreMembers(g); parts++) await loadMembers(g, true);
  })().finally(() => fetchingMembers.delete(g));
  fetchingMembers.set(g, work);
  return work;
}

export async function loadManagement(g) {
  const [requests, invitations, bans] = await Promise.all([
    all(`${group(g)}/join-requests`), all(`${group(g)}/invitations`), all(`${group(g)}/bans`),
  ]);
  store.dispatch({ type: "joinRequests", id: g, items: requests });
  store.dispatch({ type: "invitations", id: g, items: invitations });
  store.dispatch({ type: "bans", id: g, items: bans });
}

const member = (g, user) => `${group(g)}/members/${id(user)}`;
export const setRole = (g, user, role) => attempt(async () => {
  const m = await api("PUT", member(g, user.id), { body: role ? { role } : {} });
  store.dispatch({ type: "member", id: g, member: m });
});
export const mute = (g, user, hours) => attempt(async () => {
  if (hours) await api("PUT", `${member(g, user.id)}/mute`, { body: { until: new Date(Date.now() + hours * 3600000).toISOString() } });
  else await api("DELETE", `${member(g, user.id)}/mute`);
});
export const kick = (g, user) => attempt(() => api("DELETE", member(g, user.id)));
export const ban = (g, user, reason) => api("PUT", `${group(g)}/bans/${id(user.id)}`, { body: reason ? { reason } : {} });
export const liftBan = (g, user) => attempt(() => api("DELETE", `${group(g)}/bans/${id(user.id)}`));
export const letIn = (r, yes) => attempt(() =>
  api(yes ? "POST" : "DELETE", `${group(r.group_id)}/join-requests/${id(r.user.id)}${yes ? "/accept" : ""}`));
export const invite = (g, limits) => attempt(async () => event("invitation.created", await api("POST", `${group(g)}/invitations`, { body: limits })));
export const revoke = (i) => attempt(async () => {
  await api("DELETE", `${group(i.group_id)}/invitations/${id(i.id)}`);
  event("invitation.revoked", { id: i.id, group_id: i.group_id });
});

// --- oneself

export const updateMe = async (change) => store.dispatch({ type: "me", me: await api("PATCH", "/v1/me", { body: change }) });
export const sessions = () => all("/v1/sessions");
export const endSession = (s) => api("DELETE", `/v1/sessions/${id(s)}`);
export const endOtherSessions = () => api("DELETE", "/v1/sessions");
export const changePassword = (current, next) => api("PUT", "/v1/me/password", { body: { current_password: current, new_password: next } });
export const deleteMe = (password) => api("DELETE", "/v1/me", { body: { password } });
export const exportMe = () => api("GET", "/v1/me/export", { timeout: 300000 });
