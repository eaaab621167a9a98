// People: finding them, asking them, and those one has.
import { answer, befriend, findPeople, openPerson, presence, takeBack } from "./actions.js";
import { html, useEffect, useState } from "./lib.js";
import { IncomingRequests } from "./chats.js";
import { go } from "./route.js";
import { copy, lastSeen, plural } from "./text.js";
import { explain, notes } from "./core.js";
import { Avatar, listKeys, useAsync } from "./ui.js";

// useTyped is a text a moment after the last key, so that not every letter is asked for.
export function useTyped(text, wait = 250) {
  const [settled, set] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => set(text), wait);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}

// Relation is what one can do with a person now: at most two clicks to a friend, from either side.
export function Relation({ state, user }) {
  if (user.id === state.me.id) return html`<small>you</small>`;
  const request = [...state.requests.values()].find((r) => r.from.id === user.id || r.to.id === user.id);
  const name = user.display_name;
  if (state.blocks.has(user.id)) return html`<small>blocked</small>`;
  if (state.friends.has(user.id)) return html`<button type="button" data-testid="message-person" aria-label=${`Write to ${name}`} onClick=${() => openPerson(user)}>Write</button>`;
  if (request?.from.id === user.id)
    return html`<button type="button" data-testid="accept" aria-label=${`Accept ${name}`} onClick=${() => answer(request, "accept")}>Accept</button>`;
  if (request)
    return html`<small>asked</small> <button type="button" class="quiet" data-testid="take-back" aria-label=${`Take back the request to ${name}`} onClick=${() => takeBack(request)}>Take back</button>`;
  return html`<button type="button" data-testid="add-friend" aria-label=${`Add ${name} as a friend`} onClick=${() => befriend(user)}>Add friend</button>`;
}

export const Person = ({ state, user, line, children }) => html`<li class="person" data-testid="person" data-username=${user.username}>
  <button type="button" class="row" data-item onClick=${() => (user.id === state.me.id ? go({ pane: "settings" }) : openPerson(user))}>
    <${Avatar} id=${user.id} name=${user.display_name} presence=${state.presence.get(user.id)?.state} />
    <span class="grow"><span class="name">${state.friends.get(user.id)?.remark || user.display_name}</span>
      <small>@${user.username}${line ? ` · ${line}` : ""}</small></span></button>
  <span class="do">${children ?? html`<${Relation} state=${state} user=${user} />`}</span></li>`;

function Results({ state, q }) {
  const found = useAsync(() => findPeople(q), [q]);
  if (found.error) return html`<p class="hint bad" role="alert">${explain(found.error)}</p>`;
  if (found.loading) return html`<p class="hint" role="status">Looking …</p>`;
  const people = found.value.items.filter((p) => p.id !== state.me.id);
  return html`<section><h2>Found</h2><p class="unseen" role="status">${plural(people.length, "person", "people")} found</p>
    ${people.length > 0
      ? html`<ul class="rows" aria-label="People found">${people.map((p) => html`<${Person} key=${p.id} state=${state} user=${p} line=${p.status_text} />`)}</ul>`
      : html`<p class="hint">Nobody here is called so. Names are found by how they begin.</p>`}</section>`;
}

export function PeoplePane({ state }) {
  const [q, setQ] = useState("");
  const settled = useTyped(q.trim());
  useEffect(() => {
    presence().catch(() => {}); // shown without, until the next time
  }, []);
  const outgoing = [...state.requests.values()].filter((r) => r.from.id === state.me.id);
  const rank = { online: 0, away: 1 };
  const friends = [...state.friends.values()].sort((a, b) =>
    (rank[state.presence.get(a.user.id)?.state] ?? 2) - (rank[state.presence.get(b.user.id)?.state] ?? 2) ||
    (a.remark || a.user.display_name).localeCompare(b.remark || b.user.display_name));
  const share = async () => {
    try {
      await copy(state.me.username);
      notes.add("Your name is copied.");
    } catch {
      notes.add(`Your name is ${state.me.username}.`);
    }
  };
  return html`<header class="pane-head"><h1>People</h1></header>
    <div class="filters"><input type="search" autofocus ref=${focusFirst} aria-label="Find people by name" placeholder="Find people by name" maxlength="64" autocomplete="off" spellcheck="false"
      data-testid="people-search" value=${q} onInput=${(e) => setQ(e.target.value)} /></div>
    <div class="scroll" onKeyDown=${listKeys}>
      <${IncomingRequests} state=${state} />
      ${settled && html`<${Results} state=${state} q=${settled} />`}
      ${!settled && !friends.length && !outgoing.length && html`<div class="hint"><p>Type the beginning of somebody’s name, and press <b>Add friend</b>. When they accept, the chat opens.</p></div>`}
      ${outgoing.length > 0 && html`<section><h2>You have asked</h2><ul class="rows" aria-label="You have asked">${outgoing.map((r) => html`
        <${Person} key=${r.id} state=${state} user=${r.to} line="waits for an answer"><button type="button" class="quiet" data-testid="take-back" aria-label=${`Take back the request to ${r.to.display_name}`} onClick=${() => takeBack(r)}>Take back</button><//>`)}</ul></section>`}
      ${friends.length > 0 && html`<section><h2>Friends</h2><ul class="rows" aria-label="Friends">${friends.map((f) => html`
        <${Person} key=${f.user.id} state=${state} user=${f.user} line=${lastSeen(state.presence.get(f.user.id)) || f.user.status_text} />`)}</ul></section>`}
      <div class="hint own"><p>Others find you as <button type="button" class="quiet" data-testid="own-name" title="Copy" onClick=${share}>@${state.me.username}</button></p></div>
    </div>`;
}

// focusFirst gives the focus to a field that has just appeared, where a keyboard on the screen does not come up with it.
export function focusFirst(field) {
  if (!field || field.dataset.seen) return;
  field.dataset.seen = "yes";
  if (!matchMedia("(pointer: coarse)").matches) field.focus({ preventScroll: true });
}
