// The one client, the one store, and what ties them: events go into the state, and what the state lacks is fetched.
import { LongwireError, createClient } from "../longwire.js";
import { go } from "./route.js";
import { initial, reduce } from "./state.js";

export const client = createClient({ deviceName: deviceName() });

// deviceName is what the list of sessions calls this browser.
function deviceName() {
  const agent = navigator.userAgent;
  const browser = ["Edg/", "OPR/", "Firefox/", "Chrome/", "Safari/"].find((name) => agent.includes(name)) ?? "";
  const called = { "Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari" }[browser] ?? "Browser";
  const system = ["Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux"].find((name) => agent.includes(name));
  return system ? `${called} on ${system}` : called;
}

let state = initial();
const listeners = new Set();
let announced = false;

export const store = {
  get state() {
    return state;
  },
  dispatch(action) {
    const next = reduce(state, action);
    if (next === state) return;
    state = next;
    if (announced) return;
    announced = true; // many events make one drawing
    queueMicrotask(() => {
      announced = false;
      for (const listener of listeners) listener(state);
      fetchMissing();
    });
  },
  subscribe(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

// Toasts: short notes at the edge. They are no part of what the server knows.
let toasts = [];
let toastId = 0;
const toastListeners = new Set();
const showToasts = (next) => {
  toasts = next;
  for (const listener of toastListeners) listener(toasts);
};

export const notes = {
  subscribe(listener) {
    toastListeners.add(listener);
    return () => toastListeners.delete(listener);
  },
  // add shows a text, with a button when there is an action. Those, the bad ones and what is to `stay` are there for longer.
  add(text, { action, run, bad = false, stay = bad || !!action } = {}) {
    const id = ++toastId;
    showToasts([...toasts.filter((t) => t.text !== text), { id, text, action, run, bad }].slice(-4));
    setTimeout(() => notes.close(id), stay ? 12000 : 5000);
  },
  close: (id) => showToasts(toasts.filter((t) => t.id !== id)),
};

// labels are what the page calls the fields of requests.
const labels = {
  name: "The name", description: "What it is about", visibility: "Who finds it", join_policy: "Who may join", add_policy: "Who may add members", send_policy: "Who may write",
  history_for_newcomers: "What newcomers see", display_name: "The display name", status_text: "The status", username: "The username", password: "The password",
  current_password: "The current password", new_password: "The new password", body: "The message", text: "The text", note: "What you say with it", reason: "The reason", remark: "The name",
  q: "What you look for",
};

// faultOf says in a sentence what is wrong with a field.
export function faultOf({ field, message }) {
  const called = labels[field] ?? field.replaceAll("_", " ").replace(/^./u, (c) => c.toUpperCase());
  return `${called}${/^(must|is|has) /u.test(message) ? "" : ":"} ${message}.`;
}

// explain says in a sentence what went wrong, for people.
export function explain(error) {
  if (error?.name === "AbortError") return "";
  if (!(error instanceof LongwireError)) return error?.message || "Something went wrong.";
  if (error.errors?.length) return error.errors.map(faultOf).join(" ");
  const known = {
    recipient_not_accepting: "This person does not take that from you. Become friends first.",
    invalid_credentials: "Username or password is wrong.",
    username_taken: "Somebody has this username already.",
    muted: "You may not write here just now.",
    banned: "You are banned from this group.",
    rate_limited: `Too much at once. Try again ${error.retryAfter ? `in ${error.retryAfter} s` : "in a moment"}.`,
    wrong_password: "This password is wrong.",
  }[error.code];
  return known ?? error.detail ?? "The server cannot be reached.";
}

export function report(error) {
  const text = explain(error);
  if (text && error?.code !== "session_ended") notes.add(text, { bad: true });
}

// attempt runs what a person asked for and shows what goes wrong; it resolves to undefined then.
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    report(error);
    return undefined;
  }
}

export const api = (method, path, options) => client.request(method, path, options);
export const id = encodeURIComponent;

// all fetches every part of a list, up to a bound.
export async function all(path, query = {}, most = 1000) {
  const items = [];
  let after;
  let parts = 0;
  do {
    const part = await api("GET", path, { query: { limit: 100, ...query, ...(after && { after }) } });
    items.push(...part.items);
    after = part.next;
  } while (after && items.length < most && ++parts < 50); // a part may have nothing and go on all the same
  return items;
}

// What is being fetched just now, so that nothing is asked for twice at once.
const fetching = new Set();

function fetchOnce(key, work, failed) {
  if (fetching.has(key)) return;
  fetching.add(key);
  work().catch((error) => {
    if (error?.status === 404 || error?.status === 403) failed();
    else setTimeout(fetchMissing, 3000); // the client has tried for long already
  }).finally(() => fetching.delete(key));
}

function fetchMissing() {
  for (const c of state.missing)
    fetchOnce(`c ${c}`, async () => store.dispatch({ type: "conversation", conversation: await api("GET", `/v1/conversations/${id(c)}`) }),
      () => store.dispatch({ type: "gone", id: c }));
  for (const u of state.missingUsers)
    fetchOnce(`u ${u}`, async () => store.dispatch({ type: "users", items: [await api("GET", `/v1/users/${id(u)}`)] }),
      () => store.dispatch({ type: "noUser", id: u }));
}

// people fetches what a snapshot does not have: friends, requests, blocks, who is there.
async function people() {
  const [friends, incoming, outgoing, blocks, waiting] = await Promise.all([
    all("/v1/friends"), all("/v1/friend-requests", { direction: "incoming" }), all("/v1/friend-requests", { direction: "outgoing" }),
    all("/v1/blocks"), all("/v1/me/join-requests"),
  ]);
  store.dispatch({ type: "friends", items: friends });
  store.dispatch({ type: "requests", items: [...incoming, ...outgoing] });
  store.dispatch({ type: "blocks", items: blocks });
  store.dispatch({ type: "waiting", items: waiting });
  await presence();
}

// presence asks who is there: events of it are dropped when there is much else, so it is asked after each reconnect.
export async function presence() {
  const ids = [...state.friends.keys()];
  const most = Math.min(state.limits.max_presence_users ?? 100, 100);
  for (let i = 0; i < ids.length; i += most) {
    const at = new Date().toISOString();
    const { items } = await api("GET", "/v1/presence", { query: { user_ids: ids.slice(i, i + most).join(",") } });
    store.dispatch({ type: "presence", items, at });
  }
}

// watchers are told each event after it was applied, with the state from before.
const watchers = new Set();
export function watch(f) {
  watchers.add(f);
  return () => watchers.delete(f);
}

// leave signs out, or does more that ends the session; who does it is not told that it has ended.
let leaving = false;
export async function leave(work = () => client.logout()) {
  leaving = true;
  try {
    await work();
  } finally {
    leaving = false;
  }
}

export function start() {
  store.dispatch({ type: "session", session: client.session });
  store.dispatch({ type: "connection", connection: client.connection });
  store.dispatch({ type: "outbox", items: client.outbox });
  let live = client.connection.state;
  client.on("event", (event) => {
    const before = state;
    store.dispatch({ type: "event", event });
    for (const f of watchers) f(event, before);
    if (event.type === "friend.added") presence().catch(() => {}); // a new friend's is told when it changes only
  });
  client.on("reset", ({ sync }) => {
    store.dispatch({ type: "reset", sync });
    people().catch(report);
  });
  client.on("connection", (connection) => {
    if (connection.state === "live" && live !== "live" && state.ready) presence().catch(() => {}); // the next reconnect asks again
    live = connection.state;
    store.dispatch({ type: "connection", connection });
  });
  client.on("outbox", (items) => store.dispatch({ type: "outbox", items }));
  client.on("session", (session, reason) => {
    const was = state.session;
    store.dispatch({ type: "session", session });
    if (!session && was && (leaving || reason === "signed_out")) go({ pane: "chats" }, { replace: true }); // who comes next is to begin at the beginning
    if (session && !was) {
      showToasts([]);
      client.start();
    }
    if (!session && was && !leaving && reason !== "signed_out") notes.add("You were signed out: this session has ended.", { bad: true });
  });
  setInterval(() => state.typing.size && store.dispatch({ type: "quiet", now: Date.now() }), 1000);
  if (client.session) client.start();
}
