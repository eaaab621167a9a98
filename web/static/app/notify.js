// Notifications of the system, where the user has allowed them, for what comes while the page is out of sight.
import { store } from "./core.js";
import { go } from "./route.js";
import { isMuted, personName, said } from "./text.js";

const key = "longwire-page-notify";

export const canNotify = () => "Notification" in window;
export const notifying = () => {
  try {
    return canNotify() && Notification.permission === "granted" && localStorage.getItem(key) === "yes";
  } catch {
    return false;
  }
};

// setNotify asks the browser when it has to; it resolves to what holds then.
export async function setNotify(on) {
  if (on && (await Notification.requestPermission()) !== "granted") return false;
  localStorage.setItem(key, on ? "yes" : "no");
  return on;
}

export function notify(event, before) {
  if (document.visibilityState === "visible" || event.type !== "message.created" || !notifying()) return;
  const m = event.data;
  const { state } = store;
  const known = before.conversations.get(m.conversation_id);
  if (m.sender_id === state.me.id || m.kind === "system" || (known && (m.seq <= known.counted_seq || isMuted(known)))) return;
  const c = state.conversations.get(m.conversation_id);
  // One for each conversation: the tag makes a later one take its place, also when another tab shows it.
  const shown = new Notification(`${personName(state, m.sender_id)}${c?.group ? ` in ${c.group.name}` : ""}`, { body: said(m), tag: m.conversation_id });
  shown.onclick = () => {
    window.focus();
    go({ conversation: m.conversation_id });
  };
}
