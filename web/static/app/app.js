// The whole of the page. Everything one can act on has an accessible name, and what tests look for a data-testid that stays:
//
//   signing in    tab-register, tab-login, sign-form, username, password, sign-submit, sign-problem
//   frame         nav-chats, nav-people (nav-people-badge = open requests), nav-groups (nav-groups-badge = who wants to join), nav-search, nav-settings, connection (with
//                 data-state and data-transport), toast, toast-action, question, question-field, question-yes, question-no,
//                 dialog-close, announcer
//   chats         filter-all, filter-unread, filter-archived, conversation (data-id; data-name), unread, waiting, request (data-name) with
//                 accept and decline, find-people
//   people        people-search, person (data-username) with add-friend, accept, decline, take-back, message-person; own-name
//   groups        group-search, group-result (data-name) with join; new-group, group-name, group-visibility, group-policy,
//                 group-create, code, code-join, group-preview, preview-join
//   search        search, search-result (data-seq)
//   settings      display-name, status-text, save-profile, accept-messages, accept-requests, accept-invites, presence-visibility,
//                 session (data-current), end-session, end-others, change-password, password-form, password-save, export, delete-account, logout, notify
//   a chat        chat-title, chat-back, chat-waiting (who wants to join), chat-search, chat-menu (menu-pin, menu-mute, menu-archive, menu-unread, menu-clear,
//                 menu-info), typing, peer-state, pins, announcement, messages, message (data-seq, data-mine), body, state
//                 (data-state: sending, waiting, failed, sent, delivered, read), retry, discard, new-line, to-newest,
//                 befriend (in a chat with a stranger)
//   a message     react (react-👍 …), reaction (data-emoji, aria-pressed), reply, message-menu (menu-reply, menu-edit, menu-recall,
//                 menu-pin, menu-forward, menu-copy, menu-delete, menu-receipts, menu-versions, menu-reactors), quote, mention
//   writing       composer, send, cancel-composing, mention-list, mention-option
//   information   info, info-close, group-edit, announce, add-member, member (data-username, data-role), member-menu (promote, demote,
//                 make-owner, mute-1, mute-24, unmute, kick, ban), invite, invitation, revoke, let-in, turn-away, lift-ban, leave, edit-form, edit-save, find-member,
//                 dissolve, unfriend, block, unblock, remark
import { client, store } from "./core.js";
import { announce, useArrivals } from "./arrivals.js";
import { useKeptFocus } from "./focus.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./lib.js";
import { Icon } from "./icons.js";
import { go, openPane, parse } from "./route.js";
import { ChatsPane, drafts, wantToJoin } from "./chats.js";
import { PeoplePane } from "./people.js";
import { GroupsPane } from "./groups.js";
import { SearchPane, searchIn, searchRound } from "./search.js";
import { SettingsPane } from "./settings.js";
import { Chat } from "./chat.js";
import { SignIn } from "./signin.js";
import { isMuted } from "./text.js";
import { Announcer, Badge, Nothing, Questions, Toasts } from "./ui.js";

function useRoute() {
  const [route, set] = useState(() => parse(location.hash));
  useEffect(() => {
    const changed = () => set(parse(location.hash));
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}

function useStore() {
  const [state, set] = useState(store.state);
  useEffect(() => {
    set(store.state);
    return store.subscribe(set);
  }, []);
  return state;
}

const tabs = [["chats", "Chats", "chat"], ["people", "People", "people"], ["groups", "Groups", "group"], ["search", "Search", "search"], ["settings", "Settings", "settings"]];

function Nav({ state, pane }) {
  const unread = unreadChats(state);
  const waiting = [...state.conversations.values()].reduce((sum, c) => sum + wantToJoin(c), 0);
  return html`<nav class="rail" aria-label="Main">${tabs.map(([name, label, icon]) => html`
    <a href=${`#/${name}`} aria-current=${pane === name ? "page" : undefined} data-testid=${`nav-${name}`} onClick=${(e) => {
      if (e.ctrlKey || e.metaKey || e.shiftKey) return; // in a tab of its own
      e.preventDefault();
      openPane(name);
    }}>
      <${Icon} name=${icon} /><span>${label}</span>
      ${name === "people" && html`<${Badge} count=${state.incoming} label=${state.incoming === 1 ? "open request" : "open requests"} testid="nav-people-badge" />`}
      ${name === "chats" && html`<${Badge} count=${unread} label=${unread === 1 ? "unread chat" : "unread chats"} testid="nav-chats-badge" />`}
      ${name === "groups" && html`<${Badge} count=${waiting} label=${waiting === 1 ? "wants to join" : "want to join"} testid="nav-groups-badge" />`}
    </a>`)}</nav>`;
}

const unreadChats = (state) => [...state.conversations.values()]
  .filter((c) => !c.archived && !isMuted(c) && (c.unread_count > 0 || c.marked_unread)).length;

const transports = { sse: "stream", "long-poll": "long-poll", "short-poll": "polling" };

// Connection is one line that is always there, so that nothing jumps when it changes.
function Connection({ connection, outbox }) {
  const [now, setNow] = useState(Date.now());
  const waiting = connection.retryAt && connection.state !== "live";
  useEffect(() => {
    if (!waiting) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [waiting]);
  const seconds = waiting ? Math.max(0, Math.ceil((connection.retryAt - now) / 1000)) : 0;
  const held = outbox.filter((o) => o.state !== "failed").length;
  const text = {
    live: `Connected by ${transports[connection.transport] ?? "HTTP"}`,
    connecting: "Connecting …",
    waiting: seconds ? `No connection. Trying again in ${seconds} s` : "No connection. Trying again …",
    offline: held ? `Offline. ${held} waiting to be sent` : "Offline. What you send will wait",
    stopped: "Not connected",
    signed_out: "Signed out",
  }[connection.state] ?? connection.state;
  return html`<p class="connection" data-testid="connection" data-state=${connection.state} data-transport=${connection.transport}>
    <span class="lamp"></span><span aria-hidden=${seconds ? "true" : undefined}>${text}</span>
    <span class="unseen" role="status">${connection.state === "live" ? "Connected" : connection.state === "connecting" ? "" : "No connection"}</span></p>`;
}

function Main({ state, route }) {
  useArrivals();
  const unread = unreadChats(state);
  useEffect(() => {
    document.title = unread ? `(${unread}) Longwire` : "Longwire";
  }, [unread]);
  const known = route.user && [...state.conversations.values()].find((c) => c.peer?.id === route.user && c.last_seq > c.cleared_seq);
  const conversation = state.conversations.get(route.conversation) ?? known;
  const open = !!(route.conversation || route.user);
  const came = useRef(null);
  useEffect(() => { // who leaves a conversation is back at its place in the list
    if (!open && came.current && document.activeElement === document.body) {
      const row = document.querySelector(`[data-testid=conversation][data-id="${CSS.escape(came.current)}"]`) ?? document.querySelector(".pane input, .pane a, .pane button");
      row?.focus();
    }
    came.current = open ? conversation?.id ?? "none" : null;
  }, [open, conversation?.id]);
  const Pane = { chats: ChatsPane, people: PeoplePane, groups: GroupsPane, search: SearchPane, settings: SettingsPane }[route.pane];
  return html`<div class=${`frame ${open ? "open" : ""}`}>
    <a class="skip" href="#main" onClick=${(e) => {
      e.preventDefault();
      document.querySelector("[data-testid=composer], .pane input, .pane a, .pane button")?.focus();
    }}>Skip to what is open</a>
    <${Nav} state=${state} pane=${route.pane} />
    <section class="pane" aria-label=${tabs.find(([name]) => name === route.pane)[1]}>
      <${Pane} key=${`${route.pane} ${route.pane === "search" && searchRound()}`} state=${state} route=${route} />
      <${Connection} connection=${state.connection} outbox=${state.outbox} />
    </section>
    <main class="stage" id="main">
      ${open && (conversation || route.user)
        ? html`<${Chat} key=${conversation?.peer?.id ?? conversation?.id ?? route.user} state=${state} route=${route} conversation=${conversation} user=${conversation ? undefined : route.user} />`
        : open
          ? html`<${Missing} id=${route.conversation} state=${state} />`
          : html`<${Nothing} icon="chat" title=${`Hello, ${state.me.display_name}`}>
              <p>${state.conversations.size ? "Choose a conversation, or begin one." : "Find somebody by their name, and ask to be friends. When they accept, the chat opens here."}</p>
              <p><a class="button" href="#/people">Find people</a> <a class="button quiet" href="#/groups">Find groups</a></p><//>`}
    </main>
  </div>`;
}

// Missing is shown while a conversation from the address is fetched, and when it is not ours.
function Missing({ id, state }) {
  const left = state.left.has(id);
  const [asked, setAsked] = useState(left);
  useEffect(() => {
    let here = true;
    setAsked(left);
    if (left) return undefined;
    client.request("GET", `/v1/conversations/${encodeURIComponent(id)}`).then(
      (conversation) => store.dispatch({ type: "conversation", conversation }),
      () => here && setAsked(true),
    );
    return () => {
      here = false;
    };
  }, [id, left]);
  const gone = asked && !state.missing.has(id);
  return html`<${Nothing} icon=${gone ? "alert" : "clock"} title=${gone ? "This conversation is not here" : "One moment …"}>
    ${gone && html`<p>It is not yours to see, or it is over.</p><p><a class="button" href="#/chats">To the chats</a></p>`}<//>`;
}

// useForgetting lets go of what one user has written and looked at when it is another's turn.
function useForgetting(user) {
  const last = useRef(user);
  useLayoutEffect(() => {
    if (!user) return;
    if (last.current && last.current !== user) {
      drafts.clear();
      searchIn(null);
      if (/^#\/[cu]\//.test(location.hash)) go({ pane: "chats" }, { replace: true });
    }
    last.current = user;
  }, [user]);
}

export function App() {
  const state = useStore();
  const route = useRoute();
  useForgetting(state.session?.user.id);
  useKeptFocus();
  let shown;
  if (!state.session) shown = html`<${SignIn} />`;
  else if (!state.ready)
    shown = html`<main class="welcome starting"><p role="status" class="brand"><img src="/app/logo.svg" alt="" width="40" height="40" /> Longwire</p>
      <${Connection} connection=${state.connection} outbox=${state.outbox} /></main>`;
  else shown = html`<${Main} state=${state} route=${route} />`;
  return html`${shown}<${Questions} /><${Toasts} /><${Announcer} text=${announce} />`;
}
