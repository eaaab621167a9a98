// What there is to know of a person, and what one can do about them.
import { block, remark, unfriend } from "./actions.js";
import { html, useEffect, useRef } from "./lib.js";
import { Relation } from "./people.js";
import { go, href } from "./route.js";
import { lastSeen } from "./text.js";
import { Avatar, IconButton, ask } from "./ui.js";

// InfoFrame is the panel beside a chat; on narrow screens it takes the chat's place. What it is about has the focus after it.
export function InfoFrame({ title, back, children }) {
  const panel = useRef(null);
  useEffect(() => {
    panel.current?.querySelector("[data-testid=info-close]").focus({ preventScroll: true });
    return () => queueMicrotask(() => { // once the rest is drawn
      if (document.activeElement === document.body) document.querySelector(".chat-title")?.focus({ preventScroll: true });
    });
  }, []);
  return html`<aside class="info" ref=${panel} aria-label=${title} data-testid="info">
    <header class="pane-head"><h2>${title}</h2><${IconButton} icon="close" label="Close the information" testid="info-close" onClick=${() => go(back)} /></header>
    <div class="scroll padded">${children}</div></aside>`;
}

export function PersonInfo({ state, c, peer }) {
  const friend = state.friends.get(peer.id);
  const blocked = state.blocks.has(peer.id);
  const shared = [...state.conversations.values()].filter((g) => g.kind === "group" && state.members.get(g.id)?.has(peer.id));
  return html`<${InfoFrame} title="About" back=${c ? { conversation: c.id } : { user: peer.id }}>
    <div class="about"><${Avatar} id=${peer.id} name=${friend?.remark || peer.display_name} size="large" presence=${state.presence.get(peer.id)?.state} />
      <h3>${friend?.remark || peer.display_name}</h3>
      <p>${!peer.deleted && `@${peer.username}`}${friend?.remark ? ` · calls themselves ${peer.display_name}` : ""}</p>
      ${peer.status_text && html`<p dir="auto">“${peer.status_text}”</p>`}
      ${friend && html`<p><small>${lastSeen(state.presence.get(peer.id))}</small></p>`}</div>
    ${!peer.deleted && html`<div class="buttons left">
      ${!friend && !blocked && html`<${Relation} state=${state} user=${peer} />`}
      ${friend && html`<button type="button" class="quiet" data-testid="remark" onClick=${() =>
        ask({ title: `What do you call ${peer.display_name}?`, text: "Only you see it.", field: "Name", value: friend.remark, max: 64, yes: "Save", run: (text) => remark(peer, text) })}>${friend.remark ? "Change your name for them" : "Give a name of your own"}</button>
        <button type="button" class="quiet danger" data-testid="unfriend" onClick=${() =>
          ask({ title: `End the friendship with ${peer.display_name}?`, yes: "End it", danger: true, run: () => unfriend(peer) })}>Remove friend</button>`}
      ${blocked
        ? html`<button type="button" class="quiet" data-testid="unblock" onClick=${() => block(peer, false)}>Unblock</button>`
        : html`<button type="button" class="quiet danger" data-testid="block" onClick=${() =>
            ask({ title: `Block ${peer.display_name}?`, text: "Neither of you can write to the other. A friendship ends. They are not told.", yes: "Block", danger: true, run: () => block(peer, true) })}>Block</button>`}</div>`}
    ${shared.length > 0 && html`<section class="block"><h3>Groups you share</h3><ul class="rows">${shared.map((g) => html`<li key=${g.id}><a class="row" href=${href({ conversation: g.id })}>
      <${Avatar} id=${g.id} name=${g.group.name} size="small" group=${true} /><span class="grow name">${g.group.name}</span></a></li>`)}</ul></section>`}
  <//>`;
}
