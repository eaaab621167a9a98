// The page: signs in, shows conversations, and keeps up by EventSource. State
// is what GET /v1/sync gave, changed by events in the order of the inbox.

const $ = (id) => document.getElementById(id);
const saved = JSON.parse(sessionStorage.getItem("longwire") ?? "null");
const state = { tokens: saved, me: null, conversations: new Map(), open: null, people: new Map(), source: null };

// api calls the server; an expired access token is renewed once.
async function api(method, path, body, renewed = false) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (state.tokens) headers.Authorization = `Bearer ${state.tokens.access_token}`;
  if (method === "POST") headers["Idempotency-Key"] = body?.key ?? crypto.randomUUID();
  if (body?.key) delete body.key;
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (answer.status === 401 && state.tokens && !renewed && !path.startsWith("/v1/auth/")) {
    await renew();
    return api(method, path, body, true);
  }
  if (answer.status === 204) return null;
  const json = await answer.json();
  if (answer.ok) return json;
  const fields = (json.errors ?? []).map((e) => `${e.field} ${e.message}`).join("; ");
  throw Object.assign(new Error(fields || json.detail || json.title), { status: answer.status, code: json.code });
}

async function renew() {
  try {
    keep(await api("POST", "/v1/auth/refresh", { refresh_token: state.tokens.refresh_token }));
  } catch (error) {
    if (error.status === 401) signOut();
    throw error;
  }
}

function keep(signIn) {
  state.tokens = { access_token: signIn.access_token, refresh_token: signIn.refresh_token };
  sessionStorage.setItem("longwire", JSON.stringify(state.tokens));
}

function signOut() {
  state.source?.close();
  sessionStorage.removeItem("longwire");
  location.reload();
}

const showProblem = (error) => {
  $("problem").textContent = error?.message ?? "";
  $("problem").hidden = !error;
};

// act runs something a person asked for and shows what goes wrong.
const act = (work) => async (event) => {
  event?.preventDefault();
  showProblem(null);
  try {
    await work(event);
  } catch (error) {
    showProblem(error);
  }
};

function element(tag, text, attributes = {}) {
  const node = Object.assign(document.createElement(tag), attributes);
  node.textContent = text;
  return node;
}

async function start() {
  const sync = await api("GET", "/v1/sync");
  state.me = sync.me;
  state.conversations = new Map(sync.conversations.map((c) => [c.id, c]));
  $("welcome").hidden = true;
  $("chat").hidden = $("logout").hidden = false;
  drawConversations();
  await drawRequests();
  listen(sync.cursor);
}

// listen opens the one stream. EventSource reconnects by itself and says where
// it was; it gives up on an error, and is then made anew after a while.
function listen(cursor) {
  state.source?.close();
  const source = new EventSource(`/v1/inbox/stream?errors=inband&cursor=${encodeURIComponent(cursor)}`);
  state.source = source;
  let last = cursor;
  source.onopen = () => ($("state").textContent = `connected as ${state.me.display_name}`);
  source.onmessage = (message) => {
    last = message.lastEventId;
    apply(JSON.parse(message.data)).catch(showProblem);
  };
  source.addEventListener("reset", () => start().catch(showProblem));
  source.addEventListener("error", async () => {
    $("state").textContent = "reconnecting …";
    if (source.readyState === EventSource.CONNECTING && !source.refused) return;
    source.close();
    setTimeout(async () => {
      await renew().catch(() => {}); // also renews the cookie that the stream needs
      if (state.source === source) listen(last);
    }, 1000 + Math.random() * 2000);
  });
}

async function apply(event) {
  const { type, data } = event;
  if (type === "message.created") {
    await ensure(data.conversation_id);
    const c = state.conversations.get(data.conversation_id);
    if (data.seq > c.last_seq) {
      c.last_seq = data.seq;
      c.last_message = data;
      c.last_activity_at = data.created_at;
      if (data.sender_id !== state.me.id && data.kind !== "system") c.unread_count++;
    }
    if (state.open === c.id) showMessages([data]);
    drawConversations();
  } else if (type === "message.edited" || type === "message.recalled" || type === "message.deleted") {
    const shown = state.open === data.conversation_id && $("messages").querySelector(`[data-seq="${data.seq}"]`);
    if (shown) shown.remove();
    if (shown && type !== "message.deleted") showMessages([data]);
  } else if (type === "conversation.read" && data.user_id === state.me.id) {
    const c = state.conversations.get(data.conversation_id);
    if (c && data.unread_count !== undefined) c.unread_count = data.unread_count;
    drawConversations();
  } else if (type.startsWith("friend")) {
    await drawRequests();
  } else if (type === "session.revoked") {
    await api("GET", "/v1/me");
  } else if (type.startsWith("group.") || type.startsWith("member.")) {
    const id = data.group?.id ?? data.group_id ?? data.id;
    state.conversations.delete(id);
    await ensure(id).catch(() => {}); // gone, or not ours any more
    drawConversations();
  }
}

async function ensure(id) {
  if (!state.conversations.has(id)) state.conversations.set(id, await api("GET", `/v1/conversations/${id}`));
}

const nameOf = (c) => c.peer?.display_name ?? c.group?.name ?? "?";

function drawConversations() {
  const sorted = [...state.conversations.values()].sort((a, b) => b.last_activity_at.localeCompare(a.last_activity_at));
  $("conversations").replaceChildren(
    ...sorted.map((c) => {
      const item = document.createElement("li");
      const button = element("button", nameOf(c), { className: "open", onclick: act(() => open(c.id)) });
      button.setAttribute("aria-current", c.id === state.open);
      item.append(button);
      if (c.unread_count > 0) item.append(element("span", c.unread_count, { className: "badge", title: "unread" }));
      return item;
    }),
  );
}

async function drawRequests() {
  const { items } = await api("GET", "/v1/friend-requests?direction=incoming");
  $("requests").hidden = items.length === 0;
  $("requests").querySelector("ul").replaceChildren(
    ...items.map((r) => {
      const item = element("li", r.from.display_name);
      for (const answer of ["accept", "decline"])
        item.append(element("button", answer, { onclick: act(() => api("POST", `/v1/friend-requests/${r.id}/${answer}`)) }));
      return item;
    }),
  );
}

async function open(id) {
  state.open = id;
  state.peer = null;
  const c = state.conversations.get(id);
  enter(nameOf(c));
  showMessages((await api("GET", `/v1/conversations/${id}/messages?limit=100`)).items);
  drawConversations();
}

function enter(title) {
  $("title").textContent = title;
  $("messages").replaceChildren();
  for (const control of $("send").elements) control.disabled = false;
  $("send").elements.body.focus();
}

function showMessages(messages) {
  for (const m of messages) {
    if ($("messages").querySelector(`[data-seq="${m.seq}"]`)) continue;
    const said = m.recalled ? "This message was recalled." : m.body + (m.edited_at ? " (edited)" : "");
    const item = element("li", said, { className: m.kind === "system" || m.recalled ? "system" : m.sender_id === state.me.id ? "mine" : "" });
    item.dataset.seq = m.seq;
    item.append(element("time", new Date(m.created_at).toLocaleTimeString(), { dateTime: m.created_at }));
    const after = [...$("messages").children].find((other) => Number(other.dataset.seq) > m.seq);
    $("messages").insertBefore(item, after ?? null);
  }
  $("messages").scrollTop = $("messages").scrollHeight;
  const c = state.conversations.get(state.open);
  if (c && c.last_seq > c.read_seq && document.visibilityState === "visible") {
    c.read_seq = c.last_seq;
    api("PUT", `/v1/conversations/${c.id}/read`, { seq: c.last_seq }).catch(showProblem);
  }
}

$("sign").onsubmit = act(async (event) => {
  const form = new FormData(event.target);
  const signIn = await api("POST", `/v1/auth/${event.submitter?.value ?? "login"}`, {
    username: form.get("username"),
    password: form.get("password"),
  });
  keep(signIn);
  await start();
});

$("logout").onclick = act(async () => {
  await api("POST", "/v1/auth/logout").catch(() => {});
  signOut();
});

$("find").onsubmit = act(async (event) => {
  const q = new FormData(event.target).get("q").trim();
  const people = q ? (await api("GET", `/v1/users?q=${encodeURIComponent(q)}&limit=10`)).items : [];
  $("found").replaceChildren(
    ...people
      .filter((p) => p.id !== state.me.id)
      .map((p) => {
        const item = document.createElement("li");
        item.append(element("button", `${p.display_name} (${p.username})`, { className: "open", onclick: act(() => write(p)) }));
        item.append(element("button", "befriend", { onclick: act(() => api("POST", "/v1/friend-requests", { user_id: p.id })) }));
        return item;
      }),
  );
});

// write opens the conversation with a person, which may not exist yet.
async function write(person) {
  const known = [...state.conversations.values()].find((c) => c.peer?.id === person.id);
  if (known) return open(known.id);
  state.open = null;
  state.peer = person;
  enter(person.display_name);
}

$("send").onsubmit = act(async (event) => {
  const input = event.target.elements.body;
  const c = state.conversations.get(state.open);
  const path = c?.kind === "group" ? `/v1/groups/${c.id}/messages` : `/v1/users/${c?.peer.id ?? state.peer.id}/messages`;
  const message = await api("POST", path, { body: input.value });
  input.value = "";
  if (!state.open) {
    await ensure(message.conversation_id);
    await open(message.conversation_id);
  } else showMessages([message]);
});

if (state.tokens)
  act(async () => {
    await renew();
    await start();
  })();
