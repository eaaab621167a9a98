// A group: what it is, who is in it as what, and, for who may, everything that keeps it in order (docs/groups.md).
import {
  allMembers, announce, ban, dissolve, findPeople, invite, kick, leaveGroup, letIn, liftBan, loadManagement, loadMembers, moreMembers, mute, openPerson, revoke, setRole, updateGroup,
} from "./actions.js";
import { attempt, notes } from "./core.js";
import { Problem, Submit, useForm, useSending } from "./forms.js";
import { policies } from "./groups.js";
import { html, useEffect, useMemo, useState } from "./lib.js";
import { useTyped } from "./people.js";
import { InfoFrame } from "./personinfo.js";
import { href } from "./route.js";
import { copy, dateTime, plural } from "./text.js";
import { Avatar, Dialog, Field, IconButton, Menu, ask, useAsync } from "./ui.js";

const rank = { owner: 0, admin: 1, member: 2 };
const atOnce = 100; // members that are shown; as many more when somebody asks for them

function Edit({ g, onClose }) {
  const { busy, problem, submit } = useSending();
  const form = useForm({ ...g, history_for_newcomers: g.history_for_newcomers ? "yes" : "no" });
  const save = (e) => submit(e, async () => {
    const change = { ...form.typed }; // what others have changed meanwhile stays as they want it
    for (const name of ["name", "description"]) if (name in change) change[name] = change[name].trim();
    if ("history_for_newcomers" in change) change.history_for_newcomers = change.history_for_newcomers === "yes";
    if (Object.keys(change).length) await updateGroup(g.id, change);
    onClose();
  });
  const choice = (name, label, values, className) => html`<${Field} label=${label} className=${className}><select ...${form.at(name)}>${values.map(([v, text]) => html`<option value=${v}>${text}</option>`)}</select><//>`;
  return html`<${Dialog} title="Change the group" onClose=${onClose}><form onSubmit=${save} data-testid="edit-form">
    <${Field} label="Name"><input ...${form.at("name")} required maxlength="100" autofocus /><//>
    <${Field} label="What it is about"><textarea ...${form.at("description")} maxlength="1000" rows="3"></textarea><//>
    <div class="two">${choice("visibility", "Who finds it", [["private", "Its members only"], ["public", "Everybody"]])}
      ${choice("join_policy", "Who may join", Object.entries(policies))}
      ${choice("add_policy", "Who may add members", [["admins", "Admins"], ["members", "All members"]])}
      ${choice("send_policy", "Who may write", [["everyone", "All members"], ["admins", "Admins"]])}
      ${choice("history_for_newcomers", "What newcomers see", [["yes", "What was said before too"], ["no", "What is said from then on"]], "whole-line")}</div>
    <${Problem} text=${problem} />
    <div class="buttons"><button type="button" class="quiet" onClick=${onClose}>Cancel</button><${Submit} busy=${busy} testid="edit-save">Save<//></div></form><//>`;
}

function AddMember({ state, c, onClose }) {
  const [q, setQ] = useState("");
  const settled = useTyped(q.trim());
  const found = useAsync(() => (settled ? findPeople(settled) : { items: [...state.friends.values()].map((f) => f.user) }), [settled]);
  const members = state.members.get(c.id) ?? new Map();
  return html`<${Dialog} title="Add members" onClose=${onClose}>
    <input type="search" autofocus aria-label="Find people" placeholder="Find people by name" value=${q} onInput=${(e) => setQ(e.target.value)} data-testid="add-member-search" />
    <ul class="plain tall">${(found.value?.items ?? []).map((u) => html`<li key=${u.id} class="entry" data-testid="person" data-username=${u.username}><${Avatar} id=${u.id} name=${u.display_name} size="small" />
      <span class="grow">${u.display_name}<small>@${u.username}</small></span>
      ${members.has(u.id) ? html`<small>member</small>` : html`<button type="button" data-testid="add" aria-label=${`Add ${u.display_name}`} onClick=${() => setRole(c.id, u)}>Add</button>`}</li>`)}</ul><//>`;
}

// doableTo is what one may do to a member: nobody does anything to the owner, and nobody to their equals.
function doableTo(c, m) {
  const { my_role: role, id } = c.group;
  const name = m.user.display_name;
  if (m.role === "owner" || !(role === "owner" || (role === "admin" && m.role === "member"))) return [];
  const silent = m.muted_until && Date.parse(m.muted_until) > Date.now();
  return [
    role === "owner" && m.role === "member" && { label: "Make admin", testid: "promote", run: () => setRole(id, m.user, "admin") },
    role === "owner" && m.role === "admin" && { label: "Make plain member", testid: "demote", run: () => setRole(id, m.user, "member") },
    role === "owner" && { label: "Hand the group over …", testid: "make-owner", run: () =>
      ask({ title: `Make ${name} the owner?`, text: "You become an admin.", yes: "Hand over", danger: true, run: () => setRole(id, m.user, "owner") }) },
    !silent && { label: "Mute for an hour", testid: "mute-1", run: () => mute(id, m.user, 1) },
    !silent && { label: "Mute for a day", testid: "mute-24", run: () => mute(id, m.user, 24) },
    !silent && { label: "Mute for a week", testid: "mute-168", run: () => mute(id, m.user, 168) },
    silent && { label: "Unmute", testid: "unmute", run: () => mute(id, m.user, 0) },
    { label: "Remove …", testid: "kick", danger: true, run: () => ask({ title: `Remove ${name} from the group?`, yes: "Remove", danger: true, run: () => kick(id, m.user) }) },
    { label: "Ban …", testid: "ban", danger: true, run: () =>
      ask({ title: `Ban ${name}?`, text: "They are removed and cannot come back until you lift the ban.", field: "Why (for the admins)", max: 200, yes: "Ban", danger: true, run: (why) => ban(id, m.user, why) }) },
  ].filter(Boolean);
}

function Members({ state, c }) {
  const members = state.members.get(c.id);
  const [adding, setAdding] = useState(false);
  const [q, setQ] = useState("");
  const [looking, setLooking] = useState(false);
  const mayAdd = c.group.my_role !== "member" || c.group.add_policy === "members";
  useEffect(() => {
    if (!q || !moreMembers(c.id)) return;
    setLooking(true);
    attempt(() => allMembers(c.id)).then(() => setLooking(false));
  }, [!q, c.id]);
  const [most, setMost] = useState(atOnce);
  const found = useMemo(() => [...(members?.values() ?? [])].filter((m) => `${m.user.display_name} ${m.user.username}`.toLowerCase().includes(q.trim().toLowerCase()))
    .sort((a, b) => rank[a.role] - rank[b.role] || a.user.display_name.localeCompare(b.user.display_name)), [members, q]);
  const shown = found.slice(0, most);
  const more = () => attempt(async () => {
    if (found.length < most + atOnce) await loadMembers(c.id, true);
    setMost(most + atOnce);
  });
  return html`<section class="block"><h3>${plural(c.group.member_count, "member")} ${mayAdd && html`<${IconButton} icon="plus" label="Add members" testid="add-member" onClick=${() => setAdding(true)} />`}</h3>
    ${c.group.member_count > 12 && html`<input type="search" aria-label="Find a member" placeholder="Find a member" value=${q} onInput=${(e) => setQ(e.target.value)} data-testid="find-member" />
      <p role="status">${!q ? "" : looking ? "Looking …" : shown.length ? "" : moreMembers(c.id) ? `Nobody of the first ${members.size} is called so.` : "Nobody here is called so."}</p>`}
    <ul class="plain" aria-label="Members">${shown.map((m) => {
      const items = doableTo(c, m);
      const silent = m.muted_until && Date.parse(m.muted_until) > Date.now();
      return html`<li key=${m.user.id} class="person" data-testid="member" data-username=${m.user.username} data-role=${m.role}>
        <button type="button" class="row" disabled=${m.user.id === state.me.id} onClick=${() => openPerson(m.user)}><${Avatar} id=${m.user.id} name=${m.user.display_name} size="small" presence=${state.presence.get(m.user.id)?.state} />
          <span class="grow">${state.friends.get(m.user.id)?.remark || m.user.display_name}${m.user.id === state.me.id && " (you)"}<small>${[m.role !== "member" && m.role, silent && `muted until ${dateTime(m.muted_until)}`, `@${m.user.username}`].filter(Boolean).join(" · ")}</small></span></button>
        ${items.length > 0 && html`<${Menu} label=${`What to do about ${m.user.display_name}`} testid="member-menu" items=${items} />`}</li>`;
    })}</ul>
    ${members && !looking && (found.length > most || moreMembers(c.id)) && html`<button type="button" class="quiet" onClick=${more}>Show more</button>`}
    ${adding && html`<${AddMember} state=${state} c=${c} onClose=${() => setAdding(false)} />`}</section>`;
}

const linkOf = (code) => `${location.origin}/${href({ code })}`;

async function copyLink(code) {
  try {
    await copy(linkOf(code));
    notes.add("The link is copied. Whoever has it may join.");
  } catch {
    ask({ title: "The link", field: "Copy it from here", value: linkOf(code), yes: "Done", run: () => {} });
  }
}

// Management is for the owner and admins.
function Management({ state, c }) {
  const g = c.group;
  useEffect(() => {
    attempt(() => loadManagement(g.id));
  }, [g.id]);
  const requests = [...(state.joinRequests.get(g.id)?.values() ?? [])];
  const invitations = [...(state.invitations.get(g.id)?.values() ?? [])];
  const bans = [...(state.bans.get(g.id)?.values() ?? [])];
  const terms = (i) => [`${i.uses}${i.max_uses ? ` of ${i.max_uses}` : ""} used`, i.expires_at && `until ${dateTime(i.expires_at)}`].filter(Boolean).join(" · ");
  return html`${requests.length > 0 && html`<section class="block"><h3>Want to join</h3><ul class="plain">${requests.map((r) => html`
      <li key=${r.user.id} class="entry asking" data-testid="join-request" data-name=${r.user.username}><${Avatar} id=${r.user.id} name=${r.user.display_name} size="small" />
        <div class="grow">${r.user.display_name}<small>@${r.user.username}</small>${r.note && html`<small dir="auto">“${r.note}”</small>`}
          <div class="buttons"><button type="button" data-testid="let-in" aria-label=${`Let ${r.user.display_name} in`} onClick=${() => letIn(r, true)}>Let in</button>
            <button type="button" class="quiet" data-testid="turn-away" aria-label=${`Turn ${r.user.display_name} away`} onClick=${() => letIn(r, false)}>Decline</button></div></div></li>`)}</ul></section>`}
    <section class="block"><h3>Invitations</h3>
      <ul class="plain">${invitations.map((i) => html`<li key=${i.id} class="entry" data-testid="invitation" data-code=${i.code}><span class="grow"><code>${i.code.slice(0, 10)}…</code><small>${terms(i)}</small></span>
        <${IconButton} icon="link" label="Copy the link" testid="copy-link" onClick=${() => copyLink(i.code)} />
        <button type="button" class="quiet danger" data-testid="revoke" onClick=${() => revoke(i)}>Revoke</button></li>`)}</ul>
      <div class="buttons left"><${Menu} label="New invitation" text="New invitation" testid="invite" items=${[
        { label: "For a week", testid: "invite-week", run: () => invite(g.id, { expires_in: 7 * 86400 }) },
        { label: "For one person, a day", testid: "invite-one", run: () => invite(g.id, { expires_in: 86400, max_uses: 1 }) },
        { label: "Without an end", testid: "invite-forever", run: () => invite(g.id, {}) },
      ]} /></div></section>
    ${bans.length > 0 && html`<section class="block"><h3>Banned</h3><ul class="plain">${bans.map((b) => html`<li key=${b.user.id} class="entry" data-testid="ban" data-name=${b.user.username}>
      <span class="grow">${b.user.display_name}<small>${b.reason}</small></span><button type="button" class="quiet" data-testid="lift-ban" onClick=${() => liftBan(g.id, b.user)}>Lift</button></li>`)}</ul></section>`}`;
}

export function GroupInfo({ state, c }) {
  const g = c.group;
  const [editing, setEditing] = useState(false);
  const manages = g.my_role === "owner" || g.my_role === "admin";
  const alone = g.member_count === 1;
  return html`<${InfoFrame} title="About the group" back=${{ conversation: c.id }}>
    <div class="about"><${Avatar} id=${c.id} name=${g.name} size="large" group=${true} /><h3>${g.name}</h3>
      ${g.description && html`<p dir="auto">${g.description}</p>`}
      <p><small>${g.visibility === "public" ? "Public" : "Private"} · join: ${policies[g.join_policy].toLowerCase()}</small></p></div>
    ${manages && html`<div class="buttons left"><button type="button" class="quiet" data-testid="group-edit" onClick=${() => setEditing(true)}>Change</button>
      <button type="button" class="quiet" data-testid="announce" onClick=${() => ask({
        title: "Announcement", text: "It stays on top of the chat. Empty takes it away.", field: "Text", long: true, value: g.announcement?.text ?? "", max: state.limits.max_announcement_length, yes: "Announce",
        run: (text) => announce(g.id, text),
      })}>Announcement</button></div>`}
    ${manages && html`<${Management} state=${state} c=${c} />`}
    <${Members} state=${state} c=${c} />
    <div class="buttons left">
      ${(g.my_role !== "owner" || alone) && html`<button type="button" class="quiet danger" data-testid="leave" onClick=${() =>
        ask({ title: `Leave ${g.name}?`, text: alone ? "You are the last one: the group is dissolved." : "", yes: "Leave", danger: true, run: () => leaveGroup(g.id) })}>Leave group</button>`}
      ${g.my_role === "owner" && html`<button type="button" class="quiet danger" data-testid="dissolve" onClick=${() =>
        ask({ title: `Dissolve ${g.name}?`, text: "It ends for everybody, with all that was said.", yes: "Dissolve", danger: true, run: () => dissolve(g.id) })}>Dissolve group</button>`}
      ${g.my_role === "owner" && !alone && html`<p><small>To leave, hand the group over first: in the menu beside a member.</small></p>`}</div>
    ${editing && html`<${Edit} g=${g} onClose=${() => setEditing(false)} />`}<//>`;
}
