// What the page knows, and how each event changes it: docs/protocol.md, "Applying events". Pure functions: a state is never
// changed, reduce() makes the next one. No DOM and no network here; what has to be fetched is named in state.missing.
import { addMessage, applyEvent } from "./events.js";
import { mergeHistory } from "./windows.js";

export function initial() {
  return {
    session: null, // { user, session_id }; null = signed out
    ready: false, // a snapshot is here
    me: null,
    limits: {},
    connection: { state: "connecting", transport: null, leader: false, retryAt: null },
    outbox: [],
    conversations: new Map(), // by id, each with counted_seq: up to where unread_count counts
    next: null, // where the list of conversations goes on
    windows: new Map(), // by conversation: the run of messages that is held
    users: new Map(), // profiles by id
    friends: new Map(), // by user id
    requests: new Map(), // pending friend requests by id
    requestsHere: false, // they have been fetched
    incoming: 0,
    blocks: new Map(), // by user id
    members: new Map(), // by group: a Map by user id; what was not asked for is not there
    joinRequests: new Map(), // by group: a Map by user id
    invitations: new Map(), // by group: a Map by invitation id
    bans: new Map(), // by group: a Map by user id
    waiting: new Map(), // one's own requests to join, by group
    presence: new Map(), // by user id
    typing: new Map(), // by conversation: a Map by user id
    pins: new Map(), // by conversation: a list of { message?, seq, pinned_by, pinned_at }
    left: new Set(), // conversations that were one's own a while ago
    missing: new Set(), // conversations that have to be fetched
    missingUsers: new Set(), // profiles that have to be fetched
    sessionsChanged: 0, // counts: the list of sessions is fetched by who shows it
  };
}

// put returns a copy of a Map with one entry changed; undefined takes it out.
export function put(map, key, value) {
  const copy = new Map(map);
  if (value === undefined) copy.delete(key);
  else copy.set(key, value);
  return copy;
}

// putIn does so in a Map of Maps, where the inner one is only kept when somebody has asked for it.
export function putIn(map, outer, key, value) {
  const inner = map.get(outer);
  return inner ? put(map, outer, put(inner, key, value)) : map;
}

export const profileOf = ({ id, username, display_name, avatar_url, status_text, deleted }) =>
  ({ id, username, display_name, avatar_url, status_text, deleted });

// withUsers remembers profiles.
export function withUsers(state, profiles) {
  let users = state.users;
  let missingUsers = state.missingUsers;
  for (const profile of profiles) {
    if (!profile) continue;
    if (users === state.users) users = new Map(users);
    users.set(profile.id, profileOf(profile));
    if (missingUsers.has(profile.id)) {
      if (missingUsers === state.missingUsers) missingUsers = new Set(missingUsers);
      missingUsers.delete(profile.id);
    }
  }
  return users === state.users ? state : { ...state, users, missingUsers };
}

// needUsers asks for the profiles of people who are shown and not known.
export function needUsers(state, ids) {
  const unknown = ids.filter((id) => id && !state.users.has(id) && !state.missingUsers.has(id));
  return unknown.length ? { ...state, missingUsers: new Set([...state.missingUsers, ...unknown]) } : state;
}

// withConversation takes over a conversation as the server tells it. What is known is never made older.
export function withConversation(state, c) {
  const old = state.conversations.get(c.id);
  const known = { ...c, counted_seq: c.last_seq };
  if (old && old.last_seq > c.last_seq) {
    Object.assign(known, { last_seq: old.last_seq, last_message: old.last_message, last_activity_at: old.last_activity_at });
    if (old.counted_seq > c.last_seq)
      Object.assign(known, { counted_seq: old.counted_seq, unread_count: old.unread_count, mentions_unread: old.mentions_unread });
  }
  if (old) {
    if (old.read_seq > c.read_seq)
      Object.assign(known, { read_seq: old.read_seq, unread_count: old.unread_count, mentions_unread: old.mentions_unread });
    known.peer_read_seq = Math.max(old.peer_read_seq ?? 0, c.peer_read_seq ?? 0);
    known.peer_delivered_seq = Math.max(old.peer_delivered_seq ?? 0, c.peer_delivered_seq ?? 0);
  }
  const missing = new Set(state.missing);
  missing.delete(c.id);
  const left = new Set(state.left);
  left.delete(c.id);
  return withUsers({ ...state, missing, left, conversations: put(state.conversations, c.id, known) }, [c.peer]);
}

const keyed = (items, key) => new Map(items.map((item) => [key(item), item]));

const actions = {
  // A snapshot takes the place of everything. What is in the outbox is the user's, and stays.
  reset(state, { sync }) {
    let next = {
      ...initial(), session: state.session, outbox: state.outbox, connection: state.connection, ready: true,
      me: sync.me, limits: sync.limits, incoming: sync.incoming_request_count, sessionsChanged: state.sessionsChanged + 1,
    };
    next = withUsers(next, [sync.me]);
    for (const c of [...sync.conversations, ...sync.pinned_conversations]) next = withConversation(next, c);
    return { ...next, next: sync.conversations.length >= (sync.limits.max_sync_conversations ?? 50) ? "first" : null };
  },
  event: (state, { event }) => applyEvent(state, event),
  sent: (state, { message }) => (state.ready ? addMessage(state, message, false) : state),
  session: (state, { session }) => (session ? { ...state, session, me: state.me ?? session.user } : { ...initial(), connection: state.connection }),
  connection: (state, { connection }) => ({ ...state, connection: { ...connection } }),
  outbox: (state, { items }) => ({ ...state, outbox: [...items] }),
  conversation: (state, { conversation }) => withConversation(state, conversation),
  conversations(state, { items, next }) {
    for (const c of items) state = withConversation(state, c);
    return next === undefined ? state : { ...state, next };
  },
  need(state, { ids }) {
    const unknown = ids.filter((id) => !state.conversations.has(id) && !state.missing.has(id));
    return unknown.length ? { ...state, missing: new Set([...state.missing, ...unknown]) } : state;
  },
  gone(state, { id }) { // a conversation that had to be fetched is not ours to know
    const missing = new Set(state.missing);
    missing.delete(id);
    return { ...state, missing, conversations: put(state.conversations, id), windows: put(state.windows, id) };
  },
  history(state, { id, mode, history }) {
    const next = { ...state, windows: put(state.windows, id, mergeHistory(state.windows.get(id), mode, history)) };
    return needUsers(next, history.items.flatMap((m) => [m.kind === "system" ? null : m.sender_id, m.forwarded_from?.sender_id]));
  },
  leave: (state, { id }) => ({ ...state, windows: put(state.windows, id) }),
  read(state, { read }) { // the answer of PUT …/read
    const c = state.conversations.get(read.conversation_id);
    if (!c || read.read_seq < c.read_seq) return state;
    const counts = read.last_seq < c.counted_seq ? {} : { unread_count: read.unread_count, mentions_unread: read.mentions_unread };
    return { ...state, conversations: put(state.conversations, c.id, { ...c, read_seq: read.read_seq, marked_unread: false, ...counts }) };
  },
  friends: (state, { items }) => withUsers({ ...state, friends: keyed(items, (f) => f.user.id) }, items.map((f) => f.user)),
  requests(state, { items }) {
    const me = state.me?.id;
    const requests = keyed(items.filter((r) => r.state === "pending"), (r) => r.id);
    return withUsers({ ...state, requests, requestsHere: true }, items.map((r) => (r.from.id === me ? r.to : r.from)));
  },
  blocks: (state, { items }) => withUsers({ ...state, blocks: keyed(items, (b) => b.user.id) }, items.map((b) => b.user)),
  waiting: (state, { items }) => ({ ...state, waiting: keyed(items, (r) => r.group_id) }),
  members(state, { id, items, first }) {
    const known = new Map(first ? [] : state.members.get(id));
    for (const m of items) known.set(m.user.id, m);
    return withUsers({ ...state, members: put(state.members, id, known) }, items.map((m) => m.user));
  },
  member: (state, { id, member }) => withUsers({ ...state, members: putIn(state.members, id, member.user.id, member) }, [member.user]),
  group(state, { group }) {
    const c = state.conversations.get(group.id);
    return c ? { ...state, conversations: put(state.conversations, c.id, { ...c, group: { ...c.group, ...group } }) } : state;
  },
  joinRequests: (state, { id, items }) =>
    withUsers({ ...state, joinRequests: put(state.joinRequests, id, keyed(items, (r) => r.user.id)) }, items.map((r) => r.user)),
  invitations: (state, { id, items }) => ({ ...state, invitations: put(state.invitations, id, keyed(items, (i) => i.id)) }),
  bans: (state, { id, items }) => withUsers({ ...state, bans: put(state.bans, id, keyed(items, (b) => b.user.id)) }, items.map((b) => b.user)),
  pins: (state, { id, items }) => ({ ...state, pins: put(state.pins, id, items.map((p) => ({ ...p, seq: p.message.seq }))) }),
  users: (state, { items }) => withUsers(state, items),
  noUser(state, { id }) {
    const missingUsers = new Set(state.missingUsers);
    missingUsers.delete(id);
    return { ...state, missingUsers, users: put(state.users, id, { id, username: "", display_name: "Somebody", status_text: "", unknown: true }) };
  },
  me: (state, { me }) => withUsers({ ...state, me }, [me]),
  presence(state, { items, at }) {
    const presence = new Map(state.presence);
    for (const p of items) if (!(presence.get(p.user_id)?.at > at)) presence.set(p.user_id, { ...p, at });
    return { ...state, presence };
  },
  quiet(state, { now }) { // forgets who has not gone on typing
    const typing = new Map();
    for (const [id, people] of state.typing) {
      const left = new Map([...people].filter(([, t]) => t.until > now));
      if (left.size) typing.set(id, left);
    }
    return { ...state, typing };
  },
};

export function reduce(state, action) {
  const handler = actions[action.type];
  if (!handler) throw new Error(`nobody knows the action ${action.type}`);
  return handler(state, action);
}
