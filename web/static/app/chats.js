// The list of conversations, with whoever waits for an answer on top.
import { answer, conversationsThatAre, moreConversations } from "./actions.js";
import { attempt } from "./core.js";
import { html, memo, useEffect, useState } from "./lib.js";
import { Icon } from "./icons.js";
import { href } from "./route.js";
import { isMuted, personName, plural, preview, titleOf, when } from "./text.js";
import { Avatar, Badge, listKeys } from "./ui.js";

// shownConversations are those of a filter, pinned ones on top, then the latest activity first.
export function shownConversations(state, filter) {
  const rows = [...state.conversations.values()].filter((c) => c.kind === "group" || c.last_seq > c.cleared_seq);
  const chosen = rows.filter((c) => {
    if (filter === "archived") return c.archived;
    if (filter === "unread") return !c.archived && (c.unread_count > 0 || c.marked_unread);
    return !c.archived;
  });
  const order = (c) => (c.pinned ? `2${c.pinned_at}` : `1${c.last_activity_at}`);
  return chosen.sort((a, b) => (order(a) < order(b) ? 1 : -1));
}

// wantToJoin is how many wait for the user to let them into a group.
export const wantToJoin = (c) => (c?.group && c.group.my_role !== "member" && c.group.join_request_count) || 0;

export const WantToJoin = ({ count, testid }) => count > 0 && html`<span class="badge asks" data-testid=${testid} title=${`${count} ${count === 1 ? "wants" : "want"} to join`}>
  <${Icon} name="people" className="small" /><span aria-hidden="true">${count > 999 ? "999+" : count}</span><span class="unseen">${count} ${count === 1 ? "wants" : "want"} to join</span></span>`;

// IncomingRequests keeps the place of those that are on their way, so that nothing jumps when they come.
export function IncomingRequests({ state, most = Infinity }) {
  const incoming = [...state.requests.values()].filter((r) => r.to.id === state.me.id).sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
  const ghosts = state.requestsHere ? 0 : Math.min(state.incoming, most, 3) - incoming.length;
  if (!incoming.length && ghosts <= 0) return null;
  return html`<ul class="requests" aria-label="Friend requests">${incoming.slice(0, most).map((r) => html`
    <li key=${r.id} data-testid="request" data-name=${r.from.username}>
      <${Avatar} id=${r.from.id} name=${r.from.display_name} />
      <div class="grow"><strong>${r.from.display_name}</strong> wants to be friends<small>@${r.from.username}${r.note && html`<br />“${r.note}”`}</small>
        <div class="buttons"><button data-testid="accept" aria-label=${`Accept ${r.from.display_name}`} onClick=${() => answer(r, "accept")}>Accept</button>
        <button class="quiet" data-testid="decline" aria-label=${`Decline ${r.from.display_name}`} onClick=${() => answer(r, "decline")}>Decline</button></div></div>
    </li>`)}
    ${Array.from({ length: Math.max(0, ghosts) }, (_, i) => html`<li key=${`ghost ${i}`} class="ghost"></li>`)}
    ${state.incoming > most && html`<li key="more" class="more"><a href="#/people">${plural(state.incoming - most, "more request")}</a></li>`}</ul>`;
}

const Row = memo(function Row({ c, title, line, current, presence, typing, draft }) {
  const muted = isMuted(c);
  const unread = c.unread_count || (c.marked_unread ? 1 : 0);
  return html`<li><a href=${href({ conversation: c.id })} class="row" data-item aria-current=${current ? "true" : undefined} data-testid="conversation" data-id=${c.id} data-name=${title}>
    <${Avatar} id=${c.peer?.id ?? c.id} name=${title} presence=${presence} group=${c.kind === "group"} />
    <span class="grow">
      <span class="line"><span class="name">${title}</span>${presence === "online" && html`<span class="unseen">, online</span>`}
        ${muted && html`<${Icon} name="muted" label="muted" className="small" />`}${c.pinned && html`<${Icon} name="pin" label="pinned" className="small" />`}
        <time datetime=${c.last_activity_at}>${c.last_seq ? when(c.last_activity_at) : ""}</time></span>
      <span class="line"><span class="last">${typing ? html`<em>${typing}</em>` : draft ? html`<b>Draft:</b> ${draft}` : line}</span>
        <${WantToJoin} count=${wantToJoin(c)} testid="waiting" />
        ${c.mentions_unread > 0 && html`<span class="badge at" title="You are mentioned">@<span class="unseen">mentioned</span></span>`}
        ${c.unread_count > 0
          ? html`<${Badge} count=${unread} label="unread" quiet=${muted} testid="unread" />`
          : c.marked_unread && html`<span class="badge dot-only" data-testid="unread"><span class="unseen">marked unread</span></span>`}</span>
    </span></a></li>`;
});

const filters = [["all", "All"], ["unread", "Unread"], ["archived", "Archived"]];

export const drafts = new Map(); // what was written and not sent, by user or group

export function ChatsPane({ state, route }) {
  const [filter, setFilter] = useState("all");
  useEffect(() => {
    if (filter !== "all") attempt(() => conversationsThatAre({ [filter]: true }));
  }, [filter]);
  const rows = shownConversations(state, filter);
  const more = filter === "all" && state.next;
  const typingIn = (c) => {
    const who = [...(state.typing.get(c.id)?.keys() ?? [])];
    if (!who.length) return "";
    return c.kind === "group" ? `${personName(state, who[0])} is writing …` : "writing …";
  };
  return html`<header class="pane-head"><h1>Chats</h1><a class="icon-button" href="#/people" aria-label="New chat" title="New chat"><${Icon} name="plus" /></a></header>
    <div class="filters" role="group" aria-label="Which conversations">${filters.map(([name, label]) => html`
      <button type="button" class="chip" aria-pressed=${filter === name} data-testid=${`filter-${name}`} onClick=${() => setFilter(name)}>${label}</button>`)}</div>
    <div class="scroll" onKeyDown=${listKeys}>
      <${IncomingRequests} state=${state} most=${2} />
      ${rows.length > 0
        ? html`<ul class="rows" aria-label="Conversations" data-testid="conversations">${rows.map((c) => html`
            <${Row} key=${c.id} c=${c} title=${titleOf(state, c)} line=${preview(state, c.last_message, c.kind === "group" || c.last_message?.sender_id === state.me.id)}
              current=${route.conversation === c.id} presence=${c.peer && state.presence.get(c.peer.id)?.state} typing=${typingIn(c)}
              draft=${route.conversation !== c.id ? drafts.get(c.peer?.id ?? c.id)?.text : ""} />`)}</ul>`
        : html`<div class="hint">${filter === "all"
            ? html`<p>No conversations yet.</p><p><a class="button" href="#/people" data-testid="find-people">Find people</a></p>`
            : html`<p>${filter === "unread" ? "Everything is read." : "Nothing is archived."}</p>`}</div>`}
      ${more && html`<p class="center"><button type="button" class="quiet" data-testid="more-conversations" onClick=${() => attempt(() => moreConversations())}>Show more</button></p>`}
    </div>`;
}
