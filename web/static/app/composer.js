// Writing: a field that grows, mentions, replies and edits.
import { edit, send, typing } from "./actions.js";
import { drafts } from "./chats.js";
import { report } from "./core.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./lib.js";
import { Icon } from "./icons.js";
import { mentioned, wordBefore } from "./mentions.js";
import { personName, said } from "./text.js";
import { Avatar, IconButton } from "./ui.js";

function Mentions({ options, chosen, onChoose }) {
  if (!options.length) return null;
  return html`<ul class="mentions" id="mention-list" role="listbox" aria-label="Members" data-testid="mention-list">${options.map((u, i) => html`
    <li key=${u.id} id=${`mention-${i}`} role="option" aria-selected=${i === chosen} data-testid="mention-option" onMouseDown=${(e) => {
      e.preventDefault();
      onChoose(u);
    }}><${Avatar} id=${u.id} name=${u.display_name} size="small" /><span>${u.display_name} <small>@${u.username}</small></span></li>`)}</ul>`;
}

export function Composer({ state, chat, place, people, composing, setComposing, refusal, onSent, editLast, onMention }) {
  const field = useRef(null);
  const [text, setText] = useState(drafts.get(place)?.text ?? "");
  const [at, setAt] = useState(null); // what is being mentioned
  const [chosen, setChosen] = useState(0);
  const most = state.limits.max_message_length ?? 8000;
  const length = [...text].length;
  const options = at ? people.filter((u) => u.id !== state.me.id && (u.username.toLowerCase().startsWith(at.word) || u.display_name.toLowerCase().startsWith(at.word))).slice(0, 6) : [];

  const write = (value) => {
    setText(value);
    if (composing?.edit) return;
    if (value) drafts.set(place, { text: value });
    else drafts.delete(place);
  };
  useEffect(() => {
    if (composing?.edit) setText(composing.text ?? composing.edit.body);
    if (composing) field.current?.focus();
  }, [composing]);
  useEffect(() => {
    if (!matchMedia("(pointer: coarse)").matches && !document.querySelector("dialog[open]")) field.current?.focus({ preventScroll: true });
  }, [place]);
  const fit = () => { // grows with what is written, up to a third of the window
    const f = field.current;
    if (!f) return;
    f.style.height = "auto";
    f.style.height = `${Math.min(f.scrollHeight + 2, innerHeight / 3)}px`;
  };
  useLayoutEffect(fit, [text, refusal]);
  useEffect(() => { // lines break elsewhere when there is more or less room
    const f = field.current;
    if (!f) return undefined;
    let width = f.clientWidth;
    const observer = new ResizeObserver(() => {
      if (f.clientWidth === width) return; // it was the height
      width = f.clientWidth;
      requestAnimationFrame(fit);
    });
    observer.observe(f);
    return () => observer.disconnect();
  }, [refusal]);

  const stop = () => {
    if (composing?.edit) setText(drafts.get(place)?.text ?? "");
    setComposing(null);
  };
  const submit = (e) => {
    e?.preventDefault();
    const body = text.trim();
    if (!body || length > most) return;
    const mentions = mentioned(body, people);
    if (composing?.edit) {
      const m = composing.edit;
      stop();
      if (body !== m.body)
        edit(m, body, mentions).catch((error) => {
          report(error);
          setComposing((now) => now ?? { edit: m, text: body }); // to be tried again
        });
      return;
    }
    send(chat, { body, ...(mentions.length && { mentions }), ...(composing?.reply && { reply_to: composing.reply.seq }) });
    write("");
    setComposing(null);
    onSent();
    field.current?.focus();
  };
  const mention = (u) => {
    const f = field.current;
    const value = `${f.value.slice(0, at.from)}${u.username} ${f.value.slice(f.selectionStart)}`;
    const caret = at.from + u.username.length + 1;
    write(value);
    setAt(null);
    requestAnimationFrame(() => f.setSelectionRange(caret, caret));
  };
  const keys = (e) => {
    if (e.isComposing) return; // Enter chooses a word of an input method
    if (options.length && ["ArrowDown", "ArrowUp", "Enter", "Tab", "Escape"].includes(e.key)) {
      e.preventDefault();
      e.stopPropagation();
      if (e.key === "Escape") setAt(null);
      else if (e.key === "Enter" || e.key === "Tab") mention(options[Math.min(chosen, options.length - 1)]);
      else setChosen((chosen + (e.key === "ArrowDown" ? 1 : options.length - 1)) % options.length);
    } else if (e.key === "Enter" && !e.shiftKey) submit(e);
    else if (e.key === "Escape" && composing) {
      e.stopPropagation();
      stop();
    } else if (e.key === "ArrowUp" && !text && editLast()) e.preventDefault();
  };
  const input = (e) => {
    write(e.target.value);
    const word = people.length ? wordBefore(e.target) : null;
    if (word && !at) onMention(); // of a large group only the first members are here
    setAt(word);
    setChosen(0);
    if (chat.conversation && !composing?.edit) typing(chat.conversation.id, e.target.value.trim() ? "typing" : "stopped");
  };

  if (refusal) return html`<div class="refusal" data-testid="refusal">${refusal}</div>`;
  const about = composing?.edit ?? composing?.reply;
  return html`<form class="composer" onSubmit=${submit}>
    ${about && html`<div class="composing"><${Icon} name="reply" /><div class="grow"><strong>${composing.edit ? "Changing your message" : `Replying to ${personName(state, about.sender_id)}`}</strong><span>${said(about)}</span></div>
      <${IconButton} icon="close" label="Cancel" testid="cancel-composing" onClick=${stop} /></div>`}
    <${Mentions} options=${options} chosen=${chosen} onChoose=${mention} />
    <div class="line">
      <textarea ref=${field} rows="1" data-testid="composer" aria-label="Message" placeholder="Write a message" value=${text} enterkeyhint="send"
        role=${people.length ? "combobox" : undefined} aria-expanded=${people.length ? options.length > 0 : undefined} aria-controls=${options.length ? "mention-list" : undefined} aria-autocomplete=${people.length ? "list" : undefined}
        aria-activedescendant=${options.length ? `mention-${chosen}` : undefined} aria-invalid=${length > most ? "true" : undefined}
        onInput=${input} onKeyDown=${keys} onBlur=${() => {
          setAt(null);
          if (chat.conversation) typing(chat.conversation.id, "stopped");
        }}></textarea>
      <button class="send" aria-label=${composing?.edit ? "Save" : "Send"} title=${composing?.edit ? "Save" : "Send"} data-testid="send" disabled=${!text.trim() || length > most}><${Icon} name=${composing?.edit ? "check" : "send"} /></button>
    </div>
    ${length > most - 200 && html`<small class=${length > most ? "bad" : ""} role="status">${most - length} characters left</small>`}
  </form>`;
}
