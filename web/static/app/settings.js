// Oneself: profile, who may do what, devices, the account.
import { block, changePassword, deleteMe, endOtherSessions, endSession, exportMe, sessions, updateMe } from "./actions.js";
import { attempt, client, explain, leave, notes } from "./core.js";
import { Problem, Submit, useForm, useSending } from "./forms.js";
import { html, useState } from "./lib.js";
import { canNotify, notifying, setNotify } from "./notify.js";
import { dateTime } from "./text.js";
import { Avatar, Dialog, Field, ask, useAsync } from "./ui.js";

function Profile({ me }) {
  const { busy, problem, submit } = useSending();
  const form = useForm({ display_name: me.display_name, status_text: me.status_text });
  const save = (e) => submit(e, async () => {
    const { display_name, status_text } = form.values;
    await updateMe({ display_name: display_name.trim(), status_text: status_text.trim() });
    form.forget(form.typed);
    notes.add("Saved.");
  });
  return html`<form class="block" onSubmit=${save}>
    <div class="who"><${Avatar} id=${me.id} name=${me.display_name} size="large" /><div><strong>${me.display_name}</strong><small>@${me.username}</small></div></div>
    <${Field} label="Display name"><input ...${form.at("display_name")} required maxlength="64" autocomplete="name" data-testid="display-name" /><//>
    <${Field} label="Status"><input ...${form.at("status_text")} maxlength="140" placeholder="How are you?" autocomplete="off" data-testid="status-text" /><//>
    <${Problem} text=${problem} />
    <${Submit} busy=${busy} testid="save-profile">Save<//></form>`;
}

const who = { everyone: "Everybody", friends: "Friends", nobody: "Nobody" };
const rules = [
  ["accept_messages_from", "Who may write to you", ["everyone", "friends", "nobody"], "accept-messages"],
  ["accept_friend_requests_from", "Who may ask to be friends", ["everyone", "nobody"], "accept-requests"],
  ["accept_group_invites_from", "Who may add you to groups", ["everyone", "friends", "nobody"], "accept-invites"],
  ["presence_visibility", "Who sees whether you are there", ["friends", "nobody"], "presence-visibility"],
];

// Rule is saved as soon as it is chosen. What was chosen is shown until the server has answered, and then what holds.
function Rule({ me, rule: [name, label, values, testid] }) {
  const [chosen, choose] = useState(null);
  const save = async ({ target }) => {
    const { value } = target;
    choose(value);
    await attempt(() => updateMe({ [name]: value }));
    choose((now) => (now === value ? null : now));
  };
  return html`<${Field} label=${label}><select data-testid=${testid} value=${chosen ?? me[name]} onChange=${save}>
    ${values.map((v) => html`<option value=${v}>${who[v]}</option>`)}</select><//>`;
}

const Privacy = ({ me }) => html`<section class="block"><h2>Privacy</h2>${rules.map((rule) => html`<${Rule} key=${rule[0]} me=${me} rule=${rule} />`)}</section>`;

function Devices({ changed }) {
  const [round, again] = useState(0);
  const list = useAsync(sessions, [changed, round]);
  const end = (work) => attempt(async () => {
    await work();
    again(round + 1);
  });
  return html`<section class="block"><h2>Where you are signed in</h2>
    ${list.error && html`<p class="bad" role="alert">${explain(list.error)}</p>`}
    ${list.loading && !list.value && html`<p role="status">One moment …</p>`}
    <ul class="plain">${(list.value ?? []).map((s) => html`<li key=${s.id} class="entry" data-testid="session" data-current=${s.current}>
      <span class="grow">${s.device_name || "A device without a name"}${s.current && html` <em>(this one)</em>`}<small>${[s.address, `used ${dateTime(s.last_seen_at)}`].filter(Boolean).join(" · ")}</small></span>
      ${!s.current && html`<button type="button" class="quiet" data-testid="end-session" aria-label=${`End ${s.device_name || "this session"}`} onClick=${() => end(() => endSession(s.id))}>End</button>`}</li>`)}</ul>
    ${(list.value ?? []).length > 1 && html`<button type="button" class="quiet" data-testid="end-others" onClick=${() =>
      ask({ title: "End all other sessions?", text: "All your other devices are signed out.", yes: "End them", danger: true, run: () => end(endOtherSessions) })}>End all others</button>`}</section>`;
}

function Password({ onClose }) {
  const { busy, problem, submit } = useSending();
  const change = (e) => {
    const { current_password, new_password } = Object.fromEntries(new FormData(e.currentTarget));
    return submit(e, async () => {
      await changePassword(current_password, new_password);
      notes.add("The password is changed. Your other devices are signed out.");
      onClose();
    });
  };
  return html`<${Dialog} title="Change password" onClose=${onClose}><form onSubmit=${change} data-testid="password-form">
    <${Field} label="Current password"><input name="current_password" type="password" required maxlength="1024" autocomplete="current-password" autofocus /><//>
    <${Field} label="New password" hint="At least 8 characters."><input name="new_password" type="password" required minlength="8" maxlength="128" autocomplete="new-password" /><//>
    <${Problem} text=${problem} />
    <div class="buttons"><button type="button" class="quiet" onClick=${onClose}>Cancel</button><${Submit} busy=${busy} testid="password-save">Change<//></div></form><//>`;
}

const save = () => attempt(async () => {
  const everything = new Blob([JSON.stringify(await exportMe(), null, 2)], { type: "application/json" });
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(everything), download: "longwire.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
});

const deleteAccount = () => ask({
  title: "Delete your account?", text: "This cannot be undone. Your messages stay where they are, without your name. Enter your password to go on.",
  field: "Password", type: "password", required: true, max: 1024, yes: "Delete for good", danger: true,
  run: async (password) => {
    await leave(async () => {
      await deleteMe(password);
      await client.logout().catch(() => {}); // the session is gone already
    });
    notes.add("Your account is deleted.");
  },
});

export function SettingsPane({ state }) {
  const [changing, setChanging] = useState(false);
  const [notified, setNotified] = useState(notifying());
  const tell = ({ target }) => attempt(async () => {
    setNotified(target.checked); // until the browser has been asked
    setNotified(await setNotify(target.checked));
  });
  const blocks = [...state.blocks.values()];
  return html`<header class="pane-head"><h1>Settings</h1></header>
    <div class="scroll padded">
      <${Profile} me=${state.me} />
      ${canNotify() && html`<section class="block"><h2>Notifications</h2><label class="choice"><input type="checkbox" data-testid="notify" checked=${notified}
        onChange=${tell} /> Tell me of messages while this page is out of sight</label></section>`}
      <${Privacy} me=${state.me} />
      ${blocks.length > 0 && html`<section class="block"><h2>Blocked</h2><ul class="plain">${blocks.map(({ user }) => html`<li key=${user.id} class="entry">
        <span class="grow">${user.display_name}<small>@${user.username}</small></span><button type="button" class="quiet" data-testid="unblock" onClick=${() => block(user, false)}>Unblock</button></li>`)}</ul></section>`}
      <${Devices} changed=${state.sessionsChanged} />
      <section class="block"><h2>Account</h2><div class="buttons left">
        <button type="button" class="quiet" data-testid="logout" onClick=${() => attempt(() => leave())}>Log out</button>
        <button type="button" class="quiet" data-testid="change-password" onClick=${() => setChanging(true)}>Change password</button>
        <button type="button" class="quiet" data-testid="export" onClick=${save}>Export what is kept of me</button></div>
        <div class="buttons left"><button type="button" class="quiet danger" data-testid="delete-account" onClick=${deleteAccount}>Delete account</button></div>
        <p><small><a href="/docs">The API behind this page</a></small></p></section>
    </div>
    ${changing && html`<${Password} onClose=${() => setChanging(false)} />`}`;
}
