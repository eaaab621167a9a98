// Searching in what was said: everywhere, or in one conversation.
import { need, search } from "./actions.js";
import { attempt, explain } from "./core.js";
import { html, useEffect, useState } from "./lib.js";
import { focusFirst, useTyped } from "./people.js";
import { href } from "./route.js";
import { highlighted, personName, plural, titleOf, when } from "./text.js";
import { Avatar, listKeys } from "./ui.js";

export function SearchPane({ state, route }) {
  const [q, setQ] = useState(last.q);
  const [here, setHere] = useState(last.conversation);
  const settled = useTyped(q.trim());
  const [found, set] = useState({ items: [] });
  useEffect(() => {
    Object.assign(last, { q, conversation: here });
  }, [q, here]);
  useEffect(() => {
    let current = true;
    if (!/[\p{L}\p{N}\p{S}]/u.test(settled)) {
      set({ items: [], done: !!settled }); // nothing that could be found
      return undefined;
    }
    set({ items: [], loading: true });
    search({ q: settled, ...(here && { conversation_id: here }) }).then((r) => current && set({ ...r, done: true }), (error) => current && set({ items: [], error }));
    return () => {
      current = false;
    };
  }, [settled, here]);
  const more = () => attempt(async () => {
    const next = await search({ q: settled, ...(here && { conversation_id: here }), after: found.next });
    set({ items: [...found.items, ...next.items], next: next.next, done: true });
  });
  useEffect(() => need([...new Set(found.items.map((f) => f.conversation_id))]), [found]);
  const only = here && state.conversations.get(here);
  return html`<header class="pane-head"><h1>Search</h1></header>
    <div class="filters"><input type="search" ref=${focusFirst} aria-label="Search in messages" placeholder="Search in messages" maxlength="200" autocomplete="off"
      data-testid="search" value=${q} onInput=${(e) => setQ(e.target.value)} />
      ${only && html`<button type="button" class="chip" aria-pressed="true" onClick=${() => setHere(null)} title="Search everywhere">in ${titleOf(state, only)} ✕</button>`}</div>
    <div class="scroll" onKeyDown=${listKeys}>
      <p class="unseen" role="status">${found.done ? `${plural(found.items.length, "message")} found` : ""}</p>
      ${found.error && html`<p class="hint bad" role="alert">${explain(found.error)}</p>`}
      ${found.loading && html`<p class="hint">Looking …</p>`}
      ${!settled && html`<p class="hint">Words are found by how they begin, in all your conversations.</p>`}
      ${found.done && !found.items.length && !found.next && html`<p class="hint">Nothing was said with these words.</p>`}
      <ul class="rows" aria-label="Messages found">${found.items.map(({ conversation_id: id, message: m, highlights }) => {
        const c = state.conversations.get(id);
        const title = c ? titleOf(state, c) : "Conversation";
        return html`<li key=${`${id} ${m.seq}`}><a class="row" data-item href=${href({ conversation: id, seq: m.seq })} data-testid="search-result" data-seq=${m.seq}
          aria-current=${route.conversation === id && route.seq === m.seq ? "true" : undefined}>
          <${Avatar} id=${c?.peer?.id ?? id} name=${title} group=${c?.kind === "group"} />
          <span class="grow"><span class="line"><span class="name">${title}</span><time datetime=${m.created_at}>${when(m.created_at)}</time></span>
            <span class="found">${m.sender_id === state.me.id || c?.kind === "group" ? `${personName(state, m.sender_id)}: ` : ""}${highlighted(m.body, highlights)}</span></span></a></li>`;
      })}</ul>
      ${found.next && html`<p class="center"><button type="button" class="quiet" onClick=${more}>Look further back</button></p>`}
    </div>`;
}

// What was searched for stays while one looks at what was found.
const last = { q: "", conversation: null, round: 0 };
export const searchIn = (conversation) => Object.assign(last, { q: "", conversation, round: last.round + 1 });
export const searchRound = () => last.round; // another one begins anew
