// Applying the events of the inbox, in their order. Each carries what is so now, so that one that comes twice, or is older than
// what was fetched, does no harm. Types that are not here are ignored: they are how the API grows.
import { needUsers, profileOf, put, putIn, withConversation, withUsers } from "./state.js";
import { append, indexOf, replaceIn } from "./windows.js";

const miss = (state, id) => (state.missing.has(id) ? state : { ...state, missing: new Set([...state.missing, id]) });

const change = (state, id, f) => {
  const c = state.conversations.get(id);
  return c ? { ...state, conversations: put(state.conversations, id, f(c)) } : state;
};

// merged is a message as it is now; how far it has come is told in history only.
const merged = (old, now) => ({ ...now, delivery: now.delivery ?? old.delivery });

function inWindow(state, m) {
  const window = state.windows.get(m.conversation_id);
  if (!window) return state;
  const next = indexOf(window.items, m.seq) >= 0 ? replaceIn(window, m.seq, (old) => merged(old, m)) : append(window, m);
  return next === window ? state : { ...state, windows: put(state.windows, m.conversation_id, next) };
}

// addMessage takes in a new message. One that was answered to this tab (`counted` false) says nothing about those before it, which
// may be on their way still: only the inbox counts.
export function addMessage(state, m, counted = true) {
  const c = state.conversations.get(m.conversation_id);
  if (!c) return miss(state, m.conversation_id);
  const next = { ...c };
  if (counted && m.seq > c.counted_seq) {
    next.counted_seq = m.seq;
    if (m.sender_id !== state.me.id && m.kind !== "system") {
      const most = state.limits.max_unread_count ?? Infinity;
      next.unread_count = Math.min(c.unread_count + 1, most);
      if (m.mentions?.includes(state.me.id)) next.mentions_unread = Math.min(c.mentions_unread + 1, most);
    }
    if (c.archived && !(c.muted_until && m.created_at < c.muted_until)) next.archived = false;
  }
  if (m.seq >= c.last_seq) Object.assign(next, { last_seq: m.seq, last_message: m, last_activity_at: m.created_at });
  let changed = { ...state, conversations: put(state.conversations, c.id, next) };
  const typing = state.typing.get(c.id);
  if (typing?.has(m.sender_id)) changed.typing = put(state.typing, c.id, put(typing, m.sender_id));
  changed = inWindow(changed, m);
  return m.kind === "system" ? changed : needUsers(changed, [m.sender_id]);
}

// showMessage shows a message that is there already as it is now.
function showMessage(state, m) {
  if (!state.conversations.has(m.conversation_id)) return miss(state, m.conversation_id);
  const window = state.windows.get(m.conversation_id);
  const held = window && indexOf(window.items, m.seq) >= 0;
  if (held) state = { ...state, windows: put(state.windows, m.conversation_id, replaceIn(window, m.seq, (old) => merged(old, m))) };
  const pins = state.pins.get(m.conversation_id);
  if (pins?.some((p) => p.seq === m.seq)) {
    const left = m.recalled ? pins.filter((p) => p.seq !== m.seq) : pins.map((p) => (p.seq === m.seq ? { ...p, message: m } : p));
    state = { ...state, pins: put(state.pins, m.conversation_id, left) };
  }
  return change(state, m.conversation_id, (c) => (c.last_message?.seq === m.seq ? { ...c, last_message: merged(c.last_message, m) } : c));
}

function withGroup(state, group) {
  if (!state.conversations.has(group.id)) return miss(state, group.id);
  // An event's group has neither one's own role nor the number of those who wait.
  return change(state, group.id, (c) => ({ ...c, group: { ...c.group, ...group } }));
}

function forget(state, id) {
  const missing = new Set(state.missing);
  missing.delete(id);
  return {
    ...state, missing, left: new Set([...state.left, id]), conversations: put(state.conversations, id), windows: put(state.windows, id), members: put(state.members, id), typing: put(state.typing, id),
    joinRequests: put(state.joinRequests, id), invitations: put(state.invitations, id), bans: put(state.bans, id), pins: put(state.pins, id),
  };
}

function friendRequest(state, r) {
  const { incoming_request_count: count, ...request } = r;
  const requests = put(state.requests, r.id, r.state === "pending" ? request : undefined);
  const other = r.from.id === state.me.id ? r.to : r.from;
  return withUsers({ ...state, requests, incoming: count ?? state.incoming }, [other]);
}

function joinRequest(state, r) {
  const { pending_count: count, ...request } = r;
  if (r.user.id === state.me.id) return { ...state, waiting: put(state.waiting, r.group_id, r.state === "pending" ? request : undefined) };
  state = withUsers({ ...state, joinRequests: putIn(state.joinRequests, r.group_id, r.user.id, r.state === "pending" ? request : undefined) }, [r.user]);
  if (count === undefined) return state;
  return change(state, r.group_id, (c) => ({ ...c, group: { ...c.group, join_request_count: count } }));
}

function profile(state, data) {
  if (data.id === state.me.id) {
    const me = { ...state.me, ...data };
    return withUsers({ ...state, me, session: state.session && { ...state.session, user: me } }, [data]);
  }
  const user = profileOf(data);
  state = withUsers(state, [user]);
  const friend = state.friends.get(user.id);
  if (friend) state = { ...state, friends: put(state.friends, user.id, { ...friend, user }) };
  for (const c of state.conversations.values()) if (c.peer?.id === user.id) state = change(state, c.id, (old) => ({ ...old, peer: user }));
  return state;
}

function read(state, data) {
  return change(state, data.conversation_id, (c) => {
    if (data.user_id !== state.me.id) return { ...c, peer_read_seq: Math.max(c.peer_read_seq ?? 0, data.read_seq) };
    if (data.read_seq > c.read_seq) {
      // Messages that are known already came before the reading: the count is about all of them.
      return { ...c, read_seq: data.read_seq, unread_count: data.unread_count, mentions_unread: data.mentions_unread, counted_seq: Math.max(c.counted_seq, data.read_seq) };
    }
    return data.read_seq === c.read_seq ? { ...c, mentions_unread: data.mentions_unread ?? c.mentions_unread } : c;
  });
}

function settings(state, data) {
  const { conversation_id: id, cleared_seq: cleared, unread_count: unread, mentions_unread: mentions, ...set } = data;
  if (!state.conversations.has(id)) return miss(state, id);
  state = change(state, id, (c) => {
    const next = { ...c, ...set };
    if (cleared > c.cleared_seq) Object.assign(next, { cleared_seq: cleared, unread_count: unread, mentions_unread: mentions });
    if (next.last_message && next.last_message.seq <= next.cleared_seq) next.last_message = null;
    return next;
  });
  const window = state.windows.get(id);
  if (!window || !window.items.some((m) => m.seq <= cleared)) return state;
  return { ...state, windows: put(state.windows, id, { ...window, items: window.items.filter((m) => m.seq > cleared), before: false }) };
}

function reaction(state, data) {
  const window = state.windows.get(data.conversation_id);
  if (!window) return state;
  const next = replaceIn(window, data.seq, (m) => ({
    ...m,
    reactions: data.reactions.map((r) => ({
      ...r, mine: data.user_id === state.me.id && data.emoji === r.emoji ? data.reacted : !!m.reactions?.find((old) => old.emoji === r.emoji)?.mine,
    })),
  }));
  return next === window ? state : { ...state, windows: put(state.windows, data.conversation_id, next) };
}

function pinned(state, data) {
  const old = state.pins.get(data.conversation_id);
  if (!old) return state; // nobody looks at them: they are fetched when somebody does
  const held = state.windows.get(data.conversation_id)?.items ?? [];
  const pins = data.pins.map((p) => ({ ...p, message: old.find((o) => o.seq === p.seq)?.message ?? held[indexOf(held, p.seq)] }));
  return { ...state, pins: put(state.pins, data.conversation_id, pins) };
}

function deleted(state, { conversation_id: id, seq }) {
  const window = state.windows.get(id);
  const next = replaceIn(window, seq, (m) => ({ ...m, deleted: true, body: "", payload: undefined, reactions: undefined, mentions: [] }));
  if (next !== window) state = { ...state, windows: put(state.windows, id, next) };
  return state.conversations.get(id)?.last_seq === seq ? miss(state, id) : state; // what is shown of it now only the server knows
}

function joined(state, { group, user, role, muted_until: muted }, at) {
  if (user.id === state.me.id) return { ...miss(state, group.id), waiting: put(state.waiting, group.id) };
  state = withUsers(withGroup(state, group), [user]);
  const since = state.members.get(group.id)?.get(user.id)?.joined_at ?? at;
  return { ...state, members: putIn(state.members, group.id, user.id, { user, role, joined_at: since, muted_until: muted }) };
}

function left(state, data) {
  if (data.user_id === state.me.id) return forget(state, data.group_id);
  state = { ...state, members: putIn(state.members, data.group_id, data.user_id), typing: putIn(state.typing, data.group_id, data.user_id) };
  return change(state, data.group_id, (c) => ({ ...c, group: { ...c.group, member_count: data.member_count } }));
}

function memberUpdated(state, { group_id: id, user_id: user, role, muted_until: muted, join_request_count: count }) {
  const member = state.members.get(id)?.get(user);
  if (member) state = { ...state, members: putIn(state.members, id, user, { ...member, role, muted_until: muted }) };
  if (user !== state.me.id) return state;
  return change(state, id, (c) => ({ ...c, group: { ...c.group, my_role: role, join_request_count: count ?? c.group.join_request_count } }));
}

function typing(state, data, at) {
  const people = state.typing.get(data.conversation_id) ?? new Map();
  if (data.user_id === state.me.id || people.get(data.user_id)?.at > at) return state;
  const until = Date.now() + 1000 * (state.limits.typing_expires_seconds ?? 6);
  const now = put(people, data.user_id, data.state === "typing" ? { at, until } : undefined);
  return needUsers({ ...state, typing: put(state.typing, data.conversation_id, now.size ? now : undefined) }, [data.user_id]);
}

const handlers = {
  "message.created": (s, m) => addMessage(s, m),
  "message.edited": showMessage,
  "message.recalled": showMessage,
  "message.deleted": deleted,
  "reaction.changed": reaction,
  "pin.changed": pinned,
  "conversation.added": withConversation,
  "conversation.read": read,
  "conversation.updated": settings,
  "friend_request.created": friendRequest,
  "friend_request.updated": friendRequest,
  "friend.added": (s, f) => withUsers({ ...s, friends: put(s.friends, f.user.id, f) }, [f.user]),
  "friend.updated": (s, f) => withUsers({ ...s, friends: put(s.friends, f.user.id, f) }, [f.user]),
  "friend.removed": (s, { user_id: id }) => ({ ...s, friends: put(s.friends, id), presence: put(s.presence, id) }),
  "block.changed": (s, b) => withUsers({ ...s, blocks: put(s.blocks, b.user.id, b.blocked ? b : undefined) }, [b.user]),
  "user.updated": profile,
  "group.created": withGroup,
  "group.updated": withGroup,
  "group.dissolved": (s, { group_id: id }) => forget(s, id),
  "member.joined": joined,
  "member.left": left,
  "member.updated": memberUpdated,
  "join_request.created": joinRequest,
  "join_request.updated": joinRequest,
  "invitation.created": (s, i) => ({ ...s, invitations: putIn(s.invitations, i.group_id, i.id, i) }),
  "invitation.updated": (s, i) => ({ ...s, invitations: putIn(s.invitations, i.group_id, i.id, i) }),
  "invitation.revoked": (s, { id, group_id: group }) => ({ ...s, invitations: putIn(s.invitations, group, id) }),
  "ban.added": (s, b) => withUsers({ ...s, bans: putIn(s.bans, b.group_id, b.user.id, b) }, [b.user]),
  "ban.removed": (s, { user_id: id, group_id: group }) => ({ ...s, bans: putIn(s.bans, group, id) }),
  "session.created": (s) => ({ ...s, sessionsChanged: s.sessionsChanged + 1 }),
  "session.revoked": (s) => ({ ...s, sessionsChanged: s.sessionsChanged + 1 }),
  typing,
  presence: (s, p, at) => (s.presence.get(p.user_id)?.at > at ? s : { ...s, presence: put(s.presence, p.user_id, { ...p, at }) }),
};

export function applyEvent(state, { type, data, at }) {
  if (!state.ready || !Object.hasOwn(handlers, type)) return state;
  return handlers[type](state, data, at);
}
