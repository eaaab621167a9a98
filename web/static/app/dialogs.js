// What is asked of the server about one message when somebody wants to know: who has read it, who reacted, what it said before;
// and where it is to be forwarded.
import { reactors, receipts, send, versions } from "./actions.js";
import { shownConversations } from "./chats.js";
import { explain, notes } from "./core.js";
import { html, useState } from "./lib.js";
import { dateTime, plural, titleOf } from "./text.js";
import { Avatar, Dialog, listKeys, useAsync } from "./ui.js";

function Loaded({ work, names, children }) {
  const answer = useAsync(work, names);
  if (answer.error) return html`<p role="alert" class="bad">${explain(answer.error)}</p>`;
  if (answer.loading) return html`<p role="status">One moment …</p>`;
  return children(answer.value);
}

const Entry = ({ user, children }) => html`<li class="entry"><${Avatar} id=${user.id} name=${user.display_name} size="small" /><span class="grow">${user.display_name}</span>${children}</li>`;

const Receipts = ({ m }) => html`<${Loaded} work=${() => receipts(m)} names=${[m.seq]}>${(r) => html`
  <p>${`Read by ${r.read_count} of ${r.recipient_count}`}${r.delivered_count !== null ? `, delivered to ${r.delivered_count}` : ""}.</p>
  ${r.items && html`<ul class="plain">${r.items.map((i) => html`<${Entry} key=${i.user.id} user=${i.user}><small>${i.state}</small><//>`)}</ul>`}`}<//>`;

const Reactors = ({ m }) => html`<${Loaded} work=${() => reactors(m)} names=${[m.seq]}>${(items) => html`
  <ul class="plain">${items.map((r) => html`<${Entry} key=${r.user.id + r.emoji} user=${r.user}><span class="emoji">${r.emoji}</span><//>`)}</ul>`}<//>`;

const Versions = ({ m }) => html`<${Loaded} work=${() => versions(m)} names=${[m.seq]}>${(items) => html`
  <ol class="plain">${items.map((v) => html`<li key=${v.version} class="version"><small>${dateTime(v.at)}</small><p dir="auto">${v.body}</p></li>`)}</ol>`}<//>`;

function Forward({ state, m, onClose }) {
  const [q, setQ] = useState("");
  const rows = shownConversations(state, "all").filter((c) => !c.peer?.deleted && titleOf(state, c).toLowerCase().includes(q.toLowerCase()));
  return html`<input type="search" autofocus aria-label="Find a conversation" placeholder="To whom?" value=${q} onInput=${(e) => setQ(e.target.value)} data-testid="forward-search" />
    <ul class="rows" aria-label="Conversations" onKeyDown=${listKeys}>${rows.map((c) => html`<li key=${c.id}><button type="button" class="row" data-item data-testid="forward-to" data-name=${titleOf(state, c)} onClick=${() => {
      send({ conversation: c }, { forward: { conversation_id: m.conversation_id, seq: m.seq } });
      notes.add(`Forwarded to ${titleOf(state, c)}.`);
      onClose();
    }}><${Avatar} id=${c.peer?.id ?? c.id} name=${titleOf(state, c)} size="small" group=${c.kind === "group"} /><span class="grow name">${titleOf(state, c)}</span>
      ${c.group && html`<small>${plural(c.group.member_count, "member")}</small>`}</button></li>`)}</ul>`;
}

const kinds = { receipts: ["Who has it", Receipts], reactors: ["Reactions", Reactors], versions: ["What it said", Versions], forward: ["Forward", Forward] };

export function MessageDialog({ state, what, onClose }) {
  const [title, Inner] = kinds[what.kind];
  return html`<${Dialog} title=${title} testid=${`dialog-${what.kind}`} onClose=${onClose}><${Inner} state=${state} m=${what.m} onClose=${onClose} /><//>`;
}
