// One message: its bubble, what stands under it, and what can be done with it.
import { deleteForMe, oneMessage, pin, react, recall } from "./actions.js";
import { client, explain, notes } from "./core.js";
import { html, memo, useEffect, useState } from "./lib.js";
import { Icon } from "./icons.js";
import { go } from "./route.js";
import { copy, dateTime, exact, hue, onlyEmoji, personName, rich, said, time } from "./text.js";
import { Avatar, IconButton, Menu, ask } from "./ui.js";

const quick = ["👍", "❤️", "😂", "😮", "😢", "🎉"];
const more = [..."😀😁😅😊😍😘😎🤔🙄😴😭😡🥳🤝👏🙏💪👀👌👎✅❌❓❗🔥✨⭐💯🎁🎈☕🍕🍻🚀🏆🐱🐶🌞🌈🌧️".matchAll(/\p{Extended_Pictographic}\u{FE0F}?/gu)].map((m) => m[0]);

const Emojis = ({ list, m, close }) => list.map((e) => html`<button type="button" role="menuitemcheckbox" tabindex="-1" class="emoji" aria-label=${e} data-testid=${`react-${e}`}
  aria-checked=${!!m.reactions?.some((r) => r.emoji === e && r.mine)} onClick=${() => {
    close();
    react(m, e);
  }}>${e}</button>`);

// stateOf says how far one's own message has come, as far as it is known: never more.
export function stateOf(m, c) {
  if (c.kind !== "private") return "sent";
  if (m.delivery === "read" || m.seq <= (c.peer_read_seq ?? 0)) return "read";
  return m.delivery === "delivered" || m.seq <= (c.peer_delivered_seq ?? 0) ? "delivered" : "sent";
}

const stateIcons = { sent: ["check", "sent"], delivered: ["checks", "delivered"], read: ["checks", "read"], sending: ["clock", "sending"], waiting: ["clock", "waits to be sent"], failed: ["alert", "not sent"] };

export const State = ({ value }) => html`<span class=${`state ${value}`} data-testid="state" data-state=${value} title=${stateIcons[value][1]}>
  <${Icon} name=${stateIcons[value][0]} label=${stateIcons[value][1]} className="small" /></span>`;

// Quote is what a message replies to. What is not held is fetched when it is to be shown.
function Quote({ state, conversation, seq, held }) {
  const [fetched, set] = useState(null);
  useEffect(() => {
    if (held) return undefined;
    let here = true;
    oneMessage(conversation, seq).then((m) => here && set(m), () => here && set({ gone: true }));
    return () => {
      here = false;
    };
  }, [conversation, seq, !held]);
  const m = held ?? fetched;
  if (m?.gone) return html`<span class="quote"><small>A message that is not there any more</small></span>`;
  return html`<button type="button" class="quote" data-testid="quote" tabindex="-1" onClick=${() => go({ conversation, seq })}>
    <strong>${m ? personName(state, m.sender_id) : " "}</strong><span>${m ? said(m) : "…"}</span></button>`;
}

export function can(state, c, m) {
  const mine = m.sender_id === state.me.id;
  const manager = c.group?.my_role === "owner" || c.group?.my_role === "admin";
  const plain = !m.recalled && !m.deleted && m.kind !== "system";
  const young = Date.now() - Date.parse(m.created_at) < 1000 * (state.limits.recall_window_seconds ?? 0);
  return {
    mine, plain,
    edit: plain && mine && m.kind === "text" && !m.forwarded_from,
    recall: m.kind !== "system" && !m.recalled && ((mine && young) || manager),
    pin: plain && (c.kind === "private" || manager),
  };
}

// actionsFor lists what can be done with a message, for its menu.
function actionsFor({ state, c, m, isPinned, on }) {
  const may = can(state, c, m);
  if (m.kind === "system") return [];
  return [
    may.plain && { label: "Reply", testid: "menu-reply", run: () => on.reply(m) },
    may.edit && { label: "Edit", testid: "menu-edit", run: () => on.edit(m) },
    may.plain && { label: "Copy text", testid: "menu-copy", run: () => copy(m.body).then(() => notes.add("Copied."), () => notes.add("This browser does not let the page copy.", { bad: true })) },
    may.plain && { label: "Forward …", testid: "menu-forward", run: () => on.show({ kind: "forward", m }) },
    may.pin && { label: isPinned ? "Unpin" : "Pin", testid: "menu-pin", run: () => pin(m, !isPinned) },
    may.mine && may.plain && { label: c.kind === "group" ? "Who has read it …" : "Delivery …", testid: "menu-receipts", run: () => on.show({ kind: "receipts", m }) },
    m.reactions?.length > 0 && { label: "Who reacted …", testid: "menu-reactors", run: () => on.show({ kind: "reactors", m }) },
    m.edited_at && may.plain && { label: "Earlier versions …", testid: "menu-versions", run: () => on.show({ kind: "versions", m }) },
    may.recall && {
      label: "Recall for everybody …", testid: "menu-recall", danger: true,
      run: () => ask({ title: "Recall this message?", text: "Nobody can read it any more, wherever it was shown.", yes: "Recall", danger: true, run: () => recall(m) }),
    },
    !m.deleted && {
      label: "Delete for me …", testid: "menu-delete", danger: true,
      run: () => ask({ title: "Delete this message for yourself?", text: "The others keep it.", yes: "Delete", danger: true, run: () => deleteForMe(m) }),
    },
  ].filter(Boolean);
}

function Tools(props) {
  const { m, state, c, on } = props;
  const may = can(state, c, m);
  const items = actionsFor(props);
  return html`<div class="tools">
    ${may.plain && html`<${Menu} tabindex="-1" label="React" icon="smile" testid="react" menuClass="emojis" className="hover-only">${(close) => html`<${Emojis} list=${[...quick, ...more]} m=${m} close=${close} />`}<//>
      <${IconButton} icon="reply" label="Reply" testid="reply" className="hover-only" tabindex="-1" onClick=${() => on.reply(m)} />`}
    ${items.length > 0 && html`<${Menu} tabindex="-1" label="What to do with this message" testid="message-menu">${(close) => html`
      ${may.plain && html`<div class="quick">${html`<${Emojis} list=${quick} m=${m} close=${close} />`}</div>`}
      ${items.map((item) => html`<button type="button" role="menuitem" tabindex="-1" class=${item.danger ? "danger" : ""} data-testid=${item.testid} onClick=${() => {
        close();
        item.run();
      }}>${item.label}</button>`)}`}<//>`}
  </div>`;
}

const Body = ({ state, m }) => {
  if (m.recalled) return html`<p class="body gone">${m.recalled_by && m.recalled_by !== m.sender_id ? `${personName(state, m.recalled_by)} recalled this message.` : "This message was recalled."}</p>`;
  if (m.deleted) return html`<p class="body gone">You deleted this message.</p>`;
  if (!m.body) return html`<p class="body gone">Something this page cannot show.</p>`;
  return html`<p class=${`body ${onlyEmoji(m.body) ? "big" : ""}`} dir="auto" data-testid="body">${rich(state, m)}</p>`;
};

// Message is drawn again only when something of it changes: `names` stands for the profiles that it shows.
export const Message = memo(function Message({ m, c, state, first, focusable, flash, isPinned, on, held }) {
  if (m.kind === "system") return html`<li class=${`system ${flash ? "flash" : ""}`} data-testid="message" data-seq=${m.seq} data-item tabindex=${focusable ? 0 : -1}><span>${m.body}</span> <time datetime=${m.created_at} title=${exact(m.created_at)}>${time(m.created_at)}</time></li>`;
  const mine = m.sender_id === state.me.id;
  const name = personName(state, m.sender_id);
  const group = c.kind === "group";
  return html`<li class=${`message ${mine ? "mine" : ""} ${first ? "first" : ""} ${flash ? "flash" : ""}`} data-testid="message" data-seq=${m.seq} data-mine=${mine} data-item tabindex=${focusable ? 0 : -1}>
    ${group && !mine && html`<span class="side">${first && html`<${Avatar} id=${m.sender_id} name=${name} size="small" />`}</span>`}
    <div class="column">
      <div class="bubble">
        ${group && !mine && first ? html`<span class=${`sender ink-${hue(m.sender_id)}`}>${name}</span>` : html`<span class="unseen">${name}:</span>`}
        ${m.forwarded_from && !m.recalled && html`<span class="forwarded">Forwarded from ${personName(state, m.forwarded_from.sender_id)}, ${dateTime(m.forwarded_from.created_at)}</span>`}
        ${m.reply_to && !m.recalled && !m.deleted && html`<${Quote} state=${state} conversation=${m.conversation_id} seq=${m.reply_to} held=${held} />`}
        <${Body} state=${state} m=${m} />
        <span class="meta">${isPinned && html`<${Icon} name="pin" label="pinned" className="small" />`}${m.edited_at && !m.recalled && html`<span>edited</span>`}
          <time datetime=${m.created_at} title=${exact(m.created_at)}>${time(m.created_at)}</time>${mine && !m.recalled && html`<${State} value=${stateOf(m, c)} />`}</span>
      </div>
      ${m.reactions?.length > 0 && html`<div class="reactions">${m.reactions.map((r) => html`<button type="button" key=${r.emoji} class="reaction" tabindex="-1" aria-pressed=${r.mine} data-testid="reaction" data-emoji=${r.emoji}
        aria-label=${`${r.emoji} ${r.count}`} onClick=${() => react(m, r.emoji)}>${r.emoji} <span>${r.count}</span></button>`)}</div>`}
    </div>
    <${Tools} m=${m} c=${c} state=${state} isPinned=${isPinned} on=${on} />
  </li>`;
});


// Waiting is a message of one's own that the server does not have yet.
export const Waiting = ({ item, befriend }) => html`<li class="message mine first" data-testid="message" data-mine="true" data-key=${item.key}>
  <div class="column"><div class=${`bubble ${item.state}`}>
    <p class="body" dir="auto" data-testid="body">${item.message.body ?? "Forwarded message"}</p>
    <span class="meta"><time>${time(item.at)}</time><${State} value=${item.state} /></span></div>
    ${item.state === "failed" && html`<div class="failure" role="alert"><span>Not sent. ${explain(item.error)}</span>
      ${befriend}
      <button type="button" class="quiet" data-testid="retry" onClick=${() => client.retry(item.key)}>Try again</button>
      <button type="button" class="quiet danger" data-testid="discard" onClick=${() => client.discard(item.key)}>Discard</button></div>`}
    ${item.state === "waiting" && html`<div class="failure calm"><span>Waits for the connection.</span>
      <button type="button" class="quiet" data-testid="discard" onClick=${() => client.discard(item.key)}>Discard</button></div>`}
  </div></li>`;

