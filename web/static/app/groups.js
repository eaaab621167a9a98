// Groups: those one is in, the public ones, invitations, and new ones.
import { createGroup, findGroups, join, joinByCode, myGroups, newKey, previewInvitation, withdraw } from "./actions.js";
import { WantToJoin, wantToJoin } from "./chats.js";
import { attempt, explain } from "./core.js";
import { Problem, Submit, useForm, useSending } from "./forms.js";
import { html, useEffect, useState } from "./lib.js";
import { useTyped } from "./people.js";
import { go, href } from "./route.js";
import { plural } from "./text.js";
import { Avatar, Dialog, Field, IconButton, ask, listKeys, useAsync } from "./ui.js";

export const policies = { open: "Everybody", approval: "Whom an admin lets in", invite: "By invitation only" };

function Join({ state, group }) {
  if (state.conversations.has(group.id) || group.my_role) return html`<button type="button" class="quiet" onClick=${() => go({ conversation: group.id })}>Open</button>`;
  if (state.waiting.has(group.id))
    return html`<small>asked</small> <button type="button" class="quiet" onClick=${() => withdraw(group.id)} aria-label=${`Take back the request to join ${group.name}`}>Take back</button>`;
  if (group.join_policy === "open") return html`<button type="button" data-testid="join" aria-label=${`Join ${group.name}`} onClick=${() => attempt(() => join(group))}>Join</button>`;
  if (group.join_policy === "approval")
    return html`<button type="button" data-testid="join" aria-label=${`Ask to join ${group.name}`} onClick=${() =>
      ask({ title: `Ask to join ${group.name}`, field: "A word to those who decide (you may leave it out)", max: 200, yes: "Ask", run: (note) => join(group, note) })}>Ask</button>`;
  return html`<small>by invitation</small>`;
}

const Group = ({ state, group, children }) => html`<li class="person" data-testid="group-result" data-name=${group.name}>
  <span class="row"><${Avatar} id=${group.id} name=${group.name} group=${true} />
    <span class="grow"><span class="name">${group.name}</span><small>${plural(group.member_count, "member")}${group.description ? ` · ${group.description}` : ""}</small></span></span>
  <span class="do">${children ?? html`<${Join} state=${state} group=${group} />`}</span></li>`;

function Directory({ state, q, mine }) {
  const found = useAsync(() => findGroups(q), [q]);
  if (found.error) return html`<p class="hint bad" role="alert">${explain(found.error)}</p>`;
  if (found.loading) return html`<p class="hint" role="status">Looking …</p>`;
  const others = found.value.items.filter((g) => !mine.has(g.id));
  return html`<section><h2>Public groups</h2><p class="unseen" role="status">${plural(others.length, "group")} found</p>
    ${others.length > 0
      ? html`<ul class="rows" aria-label="Public groups">${others.map((g) => html`<${Group} key=${g.id} state=${state} group=${g} />`)}</ul>`
      : html`<p class="hint">${q ? "No other public group is called so." : "There are no other public groups yet."}</p>`}</section>`;
}

// Invitation shows what one would join before one does.
function Invitation({ state, code, onClose }) {
  const preview = useAsync(() => previewInvitation(code), [code]);
  const [busy, setBusy] = useState(false);
  const enter = async () => {
    setBusy(true);
    await attempt(() => joinByCode(code));
    setBusy(false);
  };
  return html`<${Dialog} title="Invitation" testid="group-preview" onClose=${onClose}>
    ${preview.loading && html`<p role="status">One moment …</p>`}
    ${preview.error && html`<p role="alert" class="bad">${preview.error.status === 404 ? "There is no such invitation. It may have been revoked." : explain(preview.error)}</p>`}
    ${preview.value && html`<div class="about"><${Avatar} id=${preview.value.group.id} name=${preview.value.group.name} size="large" group=${true} />
      <h3>${preview.value.group.name}</h3><p>${preview.value.group.description}</p>
      <p><small>${plural(preview.value.group.member_count, "member")} · invited by ${preview.value.invited_by.display_name}</small></p></div>
      <div class="buttons"><button type="button" class="quiet" onClick=${onClose}>Not now</button>
        ${state.conversations.has(preview.value.group.id)
          ? html`<button type="button" onClick=${() => go({ conversation: preview.value.group.id })}>Open</button>`
          : html`<button type="button" autofocus disabled=${busy} data-testid="preview-join" onClick=${enter}>Join</button>`}</div>`}<//>`;
}

function NewGroup({ state, onClose }) {
  const { busy, problem, submit } = useSending();
  const form = useForm({ name: "", description: "", visibility: "private" });
  const { name, description, visibility } = form.values;
  const policy = form.typed.join_policy ?? (visibility === "public" ? "open" : "invite");
  const [key] = useState(newKey); // a second press makes no second group
  const friends = [...state.friends.values()];
  const create = (e) => {
    const members = new FormData(e.currentTarget).getAll("members");
    return submit(e, async () => {
      await createGroup({ name: name.trim(), description: description.trim(), visibility, join_policy: policy, members }, key);
      onClose();
    });
  };
  return html`<${Dialog} title="New group" testid="group-form" onClose=${onClose}>
    <form onSubmit=${create}>
      <${Field} label="Name"><input ...${form.at("name")} required maxlength="100" autofocus autocomplete="off" data-testid="group-name" /><//>
      <${Field} label="What it is about"><input ...${form.at("description")} maxlength="1000" autocomplete="off" data-testid="group-description" /><//>
      <div class="two">
        <${Field} label="Who finds it"><select ...${form.at("visibility")} data-testid="group-visibility">
          <option value="private">Its members only</option><option value="public">Everybody</option></select><//>
        <${Field} label="Who may join"><select ...${form.at("join_policy")} value=${policy} data-testid="group-policy">
          ${Object.entries(policies).map(([value, label]) => html`<option value=${value}>${label}</option>`)}</select><//>
      </div>
      ${friends.length > 0 && html`<fieldset><legend>Add friends at once</legend><div class="choices">${friends.map((f) => html`
        <label key=${f.user.id} class="choice"><input type="checkbox" name="members" value=${f.user.id} /> ${f.remark || f.user.display_name}</label>`)}</div></fieldset>`}
      <${Problem} text=${problem} />
      <div class="buttons"><button type="button" class="quiet" onClick=${onClose}>Cancel</button><${Submit} busy=${busy} testid="group-create">Create group<//></div>
    </form><//>`;
}

export function GroupsPane({ state, route }) {
  const [q, setQ] = useState("");
  const [making, setMaking] = useState(false);
  const settled = useTyped(q.trim());
  // Those of the conversations that are known are up to date; of the others, which nothing has moved for long, the list tells.
  const listed = useAsync(myGroups, []);
  const left = (g) => state.left.has(g.id);
  const groups = new Map([...(listed.value ?? []).filter((g) => !left(g)), ...[...state.conversations.values()].map((c) => c.group).filter(Boolean)].map((g) => [g.id, g]));
  const mine = [...groups.values()].filter((g) => g.name.toLowerCase().includes(settled.toLowerCase())).sort((a, b) => a.name.localeCompare(b.name));
  const byCode = (e) => {
    e.preventDefault();
    const code = e.target.elements.code.value.trim().split("/").pop();
    if (code) go({ code });
    e.target.reset();
  };
  const [code, setCode] = useState(route.code);
  useEffect(() => setCode(route.code), [route.code]);
  return html`<header class="pane-head"><h1>Groups</h1><${IconButton} icon="plus" label="New group" testid="new-group" onClick=${() => setMaking(true)} /></header>
    <div class="filters"><input type="search" aria-label="Find groups by name" placeholder="Find groups by name" maxlength="100" autocomplete="off" data-testid="group-search"
      value=${q} onInput=${(e) => setQ(e.target.value)} /></div>
    <div class="scroll" onKeyDown=${listKeys}>
      ${mine.length > 0 && html`<section><h2>Yours</h2><ul class="rows" aria-label="Your groups">${mine.map((g) => html`
        <li key=${g.id}><a class="row" data-item href=${href({ conversation: g.id })} aria-current=${route.conversation === g.id ? "true" : undefined}>
          <${Avatar} id=${g.id} name=${g.name} group=${true} /><span class="grow"><span class="name">${g.name}</span><small>${plural(g.member_count, "member")}</small></span>
          <${WantToJoin} count=${wantToJoin(state.conversations.get(g.id))} testid="waiting" /></a></li>`)}</ul></section>`}
      <${Directory} state=${state} q=${settled} mine=${groups} />
      <form class="hint" onSubmit=${byCode}><${Field} label="You have an invitation code or link?">
        <span class="inline"><input name="code" autocomplete="off" spellcheck="false" data-testid="code" /><button class="quiet" data-testid="code-join">Look</button></span><//></form>
    </div>
    ${making && html`<${NewGroup} state=${state} onClose=${() => setMaking(false)} />`}
    ${code && html`<${Invitation} key=${code} state=${state} code=${code} onClose=${() => {
      setCode(null);
      if (location.hash.startsWith("#/join/")) go({ pane: "groups" }, { replace: true });
    }} />`}`;
}
