// A conversation: who it is with, what is pinned, the messages, and where one writes.
import { allMembers, befriend, clearConversation, delivery, loadMembers, loadPins, lookFor, setConversation } from "./actions.js";
import { WantToJoin, wantToJoin } from "./chats.js";
import { attempt } from "./core.js";
import { Composer } from "./composer.js";
import { MessageDialog } from "./dialogs.js";
import { GroupInfo } from "./groupinfo.js";
import { html, useEffect, useMemo, useRef, useState } from "./lib.js";
import { Icon } from "./icons.js";
import { stateOf, can } from "./message.js";
import { Messages } from "./messages.js";
import { Relation } from "./people.js";
import { PersonInfo } from "./personinfo.js";
import { go, href, openPane } from "./route.js";
import { searchIn } from "./search.js";
import { dateTime, isMuted, lastSeen, personName, plural, said, titleOf } from "./text.js";
import { Avatar, IconButton, Menu, ask } from "./ui.js";

const forEver = "9999-01-01";

function typingText(state, c) {
  const who = [...(state.typing.get(c?.id)?.keys() ?? [])].map((id) => personName(state, id));
  if (!who.length) return "";
  if (c.kind === "private") return "writing …";
  return who.length === 1 ? `${who[0]} is writing …` : who.length === 2 ? `${who[0]} and ${who[1]} are writing …` : "Several are writing …";
}

function menuOf(c, state) {
  if (!c) return [];
  const muted = isMuted(c);
  return [
    { label: "Information", testid: "menu-info", run: () => go({ conversation: c.id, info: true }) },
    { label: c.pinned ? "Unpin" : "Pin to the top", testid: "menu-pin", run: () => setConversation(c.id, { pinned: !c.pinned }) },
    { label: muted ? "Unmute" : "Mute", testid: "menu-mute", run: () => setConversation(c.id, { muted: !muted }) },
    { label: c.archived ? "Take out of the archive" : "Archive", testid: "menu-archive", run: () => setConversation(c.id, { archived: !c.archived }) },
    { label: "Mark as unread", testid: "menu-unread", run: async () => {
      await setConversation(c.id, { marked_unread: true });
      go({ pane: "chats" });
    } },
    { label: "Clear for me …", testid: "menu-clear", danger: true, run: () => ask({
      title: "Clear this conversation?", text: "What it has so far is hidden from you for good, on all your devices. The others keep it.", yes: "Clear", danger: true, run: () => clearConversation(c.id),
    }) },
  ];
}

function Head({ state, c, peer, title, info }) {
  const presence = peer && state.presence.get(peer.id);
  const typing = typingText(state, c);
  const here = peer && state.friends.has(peer.id) ? lastSeen(presence) : "";
  const cut = { offline: "No connection", waiting: "No connection", connecting: "Connecting …" }[state.connection.state]; // the list, which says more, may be out of sight
  const about = c?.kind === "group" ? plural(c.group.member_count, "member") : here || (peer?.deleted ? "" : peer?.status_text || (peer ? `@${peer.username}` : ""));
  const where = c ? { conversation: c.id } : { user: peer.id };
  return html`<header class="chat-head">
    <a class="icon-button only-narrow" href="#/chats" aria-label="Back to the list" title="Back" data-testid="chat-back" onClick=${(e) => {
      e.preventDefault();
      go({ pane: "chats" });
    }}><${Icon} name="back" /></a>
    <a class="chat-title" href=${href({ ...where, info: !info })} title=${info ? "Close the information" : "Information"}>
      <${Avatar} id=${peer?.id ?? c?.id} name=${title} presence=${presence?.state} group=${c?.kind === "group"} />
      <span class="grow"><h1 data-testid="chat-title">${title}</h1>
        <small>${typing && !cut ? html`<em data-testid="typing">${typing}</em>` : html`<span data-testid="peer-state">${cut ?? about}</span>`}</small></span></a>
    ${wantToJoin(c) > 0 && !info && html`<a class="waiting" href=${href({ ...where, info: true })}><${WantToJoin} count=${wantToJoin(c)} testid="chat-waiting" /></a>`}
    ${c && isMuted(c) && html`<${Icon} name="muted" label=${c.muted_until > forEver ? "muted" : `muted until ${dateTime(c.muted_until)}`} className="small" />`}
    ${c && html`<${IconButton} icon="search" label="Search in this conversation" testid="chat-search" onClick=${() => {
      searchIn(c.id);
      openPane("search");
    }} /><${Menu} label="What to do with this conversation" testid="chat-menu" items=${menuOf(c, state)} />`}
  </header>`;
}

// Pinned is a strip above the messages, one at a time.
function Pinned({ state, c }) {
  const pins = state.pins.get(c.id);
  const [shown, setShown] = useState(0);
  useEffect(() => {
    if (!pins) loadPins(c.id).catch(() => {}); // shown without, until the conversation is opened again
  }, [c.id, !pins]);
  const pin = pins?.[shown % Math.max(1, pins.length)];
  if (!pin) return null;
  return html`<div class="strip" data-testid="pins"><${Icon} name="pin" className="small" />
    <a class="grow" href=${href({ conversation: c.id, seq: pin.seq })} onClick=${() => setShown(shown + 1)}><strong>${pins.length > 1 ? `Pinned, ${(shown % pins.length) + 1} of ${pins.length}` : "Pinned"}</strong>
      <span>${pin.message ? said(pin.message) : "A message"}</span></a></div>`;
}

// refusalOf says why one cannot write here, before one tries.
function refusalOf(state, c, peer) {
  if (peer?.deleted) return "This account was deleted.";
  if (peer && state.blocks.has(peer.id)) return "You have blocked this person.";
  if (c?.kind !== "group") return "";
  const own = state.members.get(c.id)?.get(state.me.id);
  if (c.group.send_policy === "admins" && c.group.my_role === "member") return "Only the admins write here.";
  if (own?.muted_until && Date.parse(own.muted_until) > Date.now()) return `You are muted here until ${dateTime(own.muted_until)}.`;
  return "";
}

// useDelivery asks how far the last own message has come, while it is on the screen and not there yet.
function useDelivery(state, c) {
  const items = c?.kind === "private" ? state.windows.get(c.id)?.items ?? [] : [];
  const last = items.findLast?.((m) => m.sender_id === state.me.id && m.kind !== "system" && !m.recalled);
  const open = last && stateOf(last, c) === "sent" && state.connection.state === "live";
  useEffect(() => {
    if (!open) return undefined;
    let wait = 2000;
    let timer;
    const ask = async () => {
      if (document.visibilityState === "visible") await delivery(c.id).catch(() => {}); // is asked again
      wait = Math.min(wait * 1.5, 30000);
      timer = setTimeout(ask, wait);
    };
    timer = setTimeout(ask, wait);
    return () => clearTimeout(timer);
  }, [open, last?.seq]);
}

// Stranger tells, in a chat with somebody who is no friend, how to become one.
function Stranger({ state, peer, empty }) {
  if (!peer || peer.deleted || peer.unknown || state.friends.has(peer.id) || state.blocks.has(peer.id) || peer.id === state.me.id) return null;
  const request = [...state.requests.values()].find((r) => r.from.id === peer.id || r.to.id === peer.id);
  const text = !request ? `You and ${peer.display_name} are not friends. Most people take messages from friends only.`
    : request.from.id === peer.id ? `${peer.display_name} wants to be friends.` : `You have asked ${peer.display_name} to be friends. You can write when they accept.`;
  return html`<div class=${`strip stranger ${empty ? "large" : ""}`} data-testid="stranger"><span class="grow">${text}</span><span class="do"><${Relation} state=${state} user=${peer} /></span></div>`;
}

const Announcement = ({ state, a }) => html`<div class="strip" data-testid="announcement"><${Icon} name="info" className="small" />
  <div class="grow"><strong>Announcement</strong><span class="whole" dir="auto">${a.text}</span><small>${personName(state, a.by)}, ${dateTime(a.at)}</small></div></div>`;

export function Chat({ state, route, conversation: c, user }) {
  const peer = c?.peer ?? (user && state.users.get(user)) ?? (user ? { id: user, username: "", display_name: "…", status_text: "" } : undefined);
  const [composing, setComposing] = useState(null); // { reply } or { edit }, with the text when it was refused
  const [dialog, show] = useState(null); // { kind, m }
  const toEnd = useRef(() => {});
  const place = peer?.id ?? c.id; // stays the same when the first message makes a conversation of it
  const group = c?.kind === "group" ? c.group : null;
  useDelivery(state, c);
  useEffect(() => {
    if (c?.kind === "group" && !state.members.has(c.id)) attempt(() => loadMembers(c.id));
  }, [c?.id, c && state.members.has(c.id)]);
  useEffect(() => {
    if (user) attempt(() => lookFor(user));
  }, [user]);
  useEffect(() => { // what was a chat to be has become one: its address is the conversation's from now on
    if (c && route.user) go({ conversation: c.id, info: route.info }, { replace: true });
  }, [c?.id, route.user]);
  useEffect(() => {
    const esc = (e) => {
      if (e.key !== "Escape" || e.defaultPrevented || document.querySelector("dialog[open], :popover-open")) return;
      if (route.info) go(c ? { conversation: c.id } : { user });
      else go({ pane: route.pane });
    };
    addEventListener("keydown", esc);
    return () => removeEventListener("keydown", esc);
  }, [route, c?.id]);

  const on = useMemo(() => ({ reply: (m) => setComposing({ reply: m }), edit: (m) => setComposing({ edit: m }), show }), []);
  const waiting = state.outbox.filter((o) => (group ? o.to.group === c.id : o.to.user === peer?.id));
  const members = state.members.get(c?.id);
  const people = useMemo(() => (members ? [...members.values()].map((m) => m.user) : []), [members]);
  const title = c ? titleOf(state, c) : state.friends.get(user)?.remark || peer.display_name;
  const editLast = () => {
    const own = state.windows.get(c?.id)?.items.findLast((m) => can(state, c, m).edit);
    if (own) setComposing({ edit: own });
    return !!own;
  };
  const empty = !c && !waiting.length;
  return html`<div class=${`chat ${route.info ? "with-info" : ""}`}>
    <div class="talk">
      <${Head} state=${state} c=${c} peer=${peer} title=${title} info=${route.info} />
      ${group?.announcement && html`<${Announcement} state=${state} a=${group.announcement} />`}
      ${c && html`<${Pinned} state=${state} c=${c} />`}
      ${peer && html`<${Stranger} state=${state} peer=${peer} empty=${empty} />`}
      <${Messages} key=${place} state=${state} c=${c} seq=${route.seq} waiting=${waiting} on=${on} toEnd=${toEnd}
        befriend=${peer && !state.friends.has(peer.id) && ![...state.requests.values()].some((r) => r.to.id === peer.id) && html`<button type="button" data-testid="befriend" onClick=${() => befriend(peer)}>Ask to be friends</button>`} />
      <${Composer} key=${`composer ${place}`} state=${state} chat=${c ? { conversation: c } : { user }} place=${place} people=${group ? people : []} composing=${composing} setComposing=${setComposing} onMention=${() => attempt(() => allMembers(c.id))}
        refusal=${refusalOf(state, c, peer)} onSent=${() => toEnd.current()} editLast=${editLast} />
    </div>
    ${route.info && (group ? html`<${GroupInfo} state=${state} c=${c} />` : html`<${PersonInfo} state=${state} c=${c} peer=${peer} />`)}
    ${dialog && html`<${MessageDialog} state=${state} c=${c} what=${dialog} onClose=${() => show(null)} />`}
  </div>`;
}
