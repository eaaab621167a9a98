// What the page does and says when something comes that concerns the user, wherever they look just now.
import { openPerson } from "./actions.js";
import { drafts } from "./chats.js";
import { api, id, notes, store, watch } from "./core.js";
import { useEffect } from "./lib.js";
import { notify } from "./notify.js";
import { go, parse } from "./route.js";
import { isMuted, personName, said } from "./text.js";
import { ask } from "./ui.js";

// announce says of an event what somebody who does not look would want to hear.
export function announce(event, before) {
  const { state } = store;
  const { data } = event;
  if (event.type === "friend_request.created" && data.from.id !== state.me?.id) return `${data.from.display_name} wants to be friends.`;
  if (event.type === "friend.added") return `${data.user.display_name} is a friend now.`;
  if (event.type === "join_request.created" && data.user.id !== state.me?.id)
    return `${data.user.display_name} wants to join ${state.conversations.get(data.group_id)?.group?.name ?? "a group"}.`;
  if (event.type !== "message.created" || data.sender_id === state.me?.id || data.kind === "system") return "";
  const known = before.conversations.get(data.conversation_id);
  if (known && (data.seq <= known.counted_seq || isMuted(known))) return "";
  const c = state.conversations.get(data.conversation_id);
  return `${personName(state, data.sender_id)}${c?.group ? ` in ${c.group.name}` : ""}: ${said(data)}`;
}

// accepted opens the chat, unless one is at something else.
function accepted({ data }, before) {
  if (data.state !== "accepted" || data.from.id !== before.me?.id || !before.requests.has(data.id)) return;
  const user = data.to;
  const route = parse(location.hash);
  if (!route.conversation && (!route.user || route.user === user.id) && !document.querySelector("dialog[open]")) openPerson(user);
  else notes.add(`${user.display_name} accepted.`, { action: "Open chat", run: () => openPerson(user) });
}

// nameOfGroup is that of a group one is not in: somebody has asked to join it, so it can be found.
async function nameOfGroup(group) {
  const known = store.state.conversations.get(group)?.group;
  return known?.name ?? (await api("GET", `/v1/groups/${id(group)}`).then((g) => g.name, () => "the group")); // it may be gone, or hidden
}

// answered tells what has become of one's own request to join.
async function answered({ data }, before) {
  if (data.user.id !== before.me?.id) return;
  if (data.state === "accepted") notes.add(`You were let into ${await nameOfGroup(data.group_id)}.`, { action: "Open it", run: () => go({ conversation: data.group_id }) });
  if (data.state === "declined") notes.add(`Your request to join ${await nameOfGroup(data.group_id)} was declined.`, { stay: true });
}

// lost tells that a group is gone, and gives back what was being written in it.
function lost(group, what) {
  const text = drafts.get(group)?.text;
  notes.add(what, text
    ? { action: "What you wrote", run: () => ask({ title: "What you wrote", field: "It was not sent. You may copy it from here.", long: true, value: text, yes: "Done", run: () => {} }) }
    : { stay: true });
}

function removed({ data }, before) {
  if (data.user_id !== before.me?.id || data.reason === "left") return;
  const name = before.conversations.get(data.group_id)?.group.name ?? "a group"; // far down in the list, which is not all here
  lost(data.group_id, `You were ${data.reason === "banned" ? "banned" : "removed"} from ${name}.`);
}

function dissolved({ data }, before) {
  const known = before.conversations.get(data.group_id)?.group;
  if (known && known.my_role !== "owner") lost(data.group_id, `${known.name} was dissolved.`); // only its owner does that, and knows
}

const tellers = {
  "friend_request.updated": accepted, "join_request.updated": answered, "member.left": removed, "group.dissolved": dissolved,
};

// useArrivals opens the chat when somebody accepts, and tells of what comes while one looks elsewhere.
export function useArrivals() {
  useEffect(() => watch((event, before) => {
    notify(event, before);
    if (Object.hasOwn(tellers, event.type)) tellers[event.type](event, before);
  }), []);
}
