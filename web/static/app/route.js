// Where one is, in the address: so that going back and reloading work, and an invitation is a link. The part after # goes to no
// server.
//   #/chats #/people #/groups #/search #/settings   the list on the left
//   #/c/ID  #/c/ID/m/SEQ  #/c/ID/info               a conversation, one of its messages, what there is to know of it
//   #/u/ID                                          a person one has not talked with yet
//   #/join/CODE                                     an invitation to a group
const panes = ["chats", "people", "groups", "search", "settings"];

// The list stays as it was when a conversation is opened beside it.
let pane = "chats";

export function parse(hash) {
  const [kind, id, what, seq] = hash.replace(/^#\/?/, "").split("/").map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return "";
    }
  });
  if (panes.includes(kind)) {
    pane = kind;
    return { pane };
  }
  if (kind === "c" && id) return { pane, conversation: id, info: what === "info", seq: what === "m" ? Number(seq) || null : null };
  if (kind === "u" && id) return { pane, user: id, info: what === "info" };
  if (kind === "join" && id) return { pane: "groups", code: id };
  return { pane };
}

export function href({ conversation, user, code, seq, info, pane: list = "chats" }) {
  if (conversation) return `#/c/${encodeURIComponent(conversation)}${seq ? `/m/${seq}` : info ? "/info" : ""}`;
  if (user) return `#/u/${encodeURIComponent(user)}${info ? "/info" : ""}`;
  if (code) return `#/join/${encodeURIComponent(code)}`;
  return `#/${list}`;
}

export function go(to, { replace = false } = {}) {
  if (to.pane) pane = to.pane;
  const target = href(to);
  if (location.hash === target) window.dispatchEvent(new HashChangeEvent("hashchange"));
  else if (replace) {
    history.replaceState(null, "", target);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  } else location.hash = target;
}

// openPane shows another list. Where there is room for both, the conversation that is open stays open.
export function openPane(name) {
  const beside = matchMedia("(min-width: 761px)").matches && /^#\/[cu]\//.test(location.hash);
  if (!beside) return go({ pane: name });
  pane = name;
  return window.dispatchEvent(new HashChangeEvent("hashchange"));
}
