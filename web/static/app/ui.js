// What the views are built of: avatars, menus, dialogs, notes.
import { notes, watch } from "./core.js";
import { Problem, Submit, useSending } from "./forms.js";
import { Icon } from "./icons.js";
import { html, memo, useEffect, useId, useLayoutEffect, useRef, useState } from "./lib.js";
import { hue, initials } from "./text.js";

// Avatar shows initials. A picture's address is its owner's choice: fetching it would tell the owner's server who looks when, and
// from where, so the page does not.
export const Avatar = memo(function Avatar({ id, name, size = "", presence, group = false }) {
  const state = presence === "online" || presence === "away" ? presence : "";
  return html`<span class=${`avatar hue-${hue(id || name)} ${size} ${group ? "group" : ""}`} aria-hidden="true">
    ${initials(name)}${state && html`<span class=${`dot ${state}`}></span>`}</span>`;
});

export const Badge = ({ count, label, quiet = false, testid }) =>
  count > 0 && html`<span class=${`badge ${quiet ? "quiet" : ""}`} data-testid=${testid}><span aria-hidden="true">${count > 999 ? "999+" : count}</span><span class="unseen">${count} ${label}</span></span>`;

// IconButton is a button that shows a picture and says its name.
export const IconButton = ({ icon, label, testid, className = "", ...rest }) => html`
  <button type="button" class=${`icon-button ${className}`} aria-label=${label} title=${label} data-testid=${testid} ...${rest}><${Icon} name=${icon} /></button>`;

// place puts a popover at its button, where there is room.
function place(popover, button) {
  const b = button.getBoundingClientRect();
  const p = popover.getBoundingClientRect();
  const top = b.bottom + p.height + 8 < innerHeight ? b.bottom + 4 : Math.max(8, b.top - p.height - 4);
  popover.style.top = `${Math.min(top, Math.max(8, innerHeight - p.height - 8))}px`;
  popover.style.left = `${Math.max(8, Math.min(b.right - p.width, innerWidth - p.width - 8))}px`;
}

// Menu is a button with a list of things to do. Arrows move, Esc closes, and what had the focus gets it back. Items are
// { label, run, testid, danger }; `children` (given close) takes their place.
export function Menu({ label, icon = "more", items = [], children, testid, className = "", menuClass = "", text, tabindex }) {
  const [open, setOpen] = useState(false);
  const button = useRef(null);
  const popover = useRef(null);
  const pressed = useRef(false); // the menu was open when the button was pressed, which has closed it
  useLayoutEffect(() => {
    if (!open) return undefined;
    const shown = popover.current;
    shown.showPopover();
    place(shown, button.current);
    shown.querySelector("[role^=menuitem], input")?.focus();
    const toggled = (e) => {
      if (e.newState === "closed") setOpen(false);
    };
    shown.addEventListener("toggle", toggled);
    return () => shown.removeEventListener("toggle", toggled);
  }, [open]);
  const close = () => popover.current?.hidePopover();
  const keys = (e) => {
    const all = [...popover.current.querySelectorAll("[role^=menuitem]")];
    const at = all.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[e.key];
    if (e.key === "Tab") close();
    if (to === undefined || !all.length) return;
    e.preventDefault();
    e.stopPropagation();
    all[(to + all.length) % all.length].focus();
  };
  return html`<button type="button" ref=${button} class=${`${text ? "quiet" : "icon-button"} ${className}`} aria-label=${text ? undefined : label} title=${text ? undefined : label} aria-haspopup="menu" aria-expanded=${open} tabindex=${tabindex}
      data-testid=${testid} onPointerDown=${() => {
        pressed.current = open;
      }} onClick=${() => {
        if (!pressed.current) setOpen(true);
        pressed.current = false;
      }}>${text ?? html`<${Icon} name=${icon} />`}</button>
    ${open && html`<div ref=${popover} popover="auto" role="menu" aria-label=${label} class=${`menu ${menuClass}`} onKeyDown=${keys}>
      ${children ? children(close) : items.filter(Boolean).map((item) => html`
        <button type="button" role="menuitem" tabindex="-1" class=${item.danger ? "danger" : ""} data-testid=${item.testid} onClick=${() => {
          close();
          item.run();
        }}>${item.label}</button>`)}</div>`}`;
}

// Dialog is modal: the browser keeps the focus in it and gives it back, and Esc closes.
export function Dialog({ title, onClose, children, testid }) {
  const dialog = useRef(null);
  const name = useId();
  useEffect(() => {
    const from = document.activeElement;
    dialog.current.showModal();
    dialog.current.querySelector("[autofocus]")?.focus();
    return () => from?.isConnected && from.focus();
  }, []);
  return html`<dialog ref=${dialog} aria-labelledby=${name} data-testid=${testid} onClose=${onClose}
    onClick=${(e) => e.target === dialog.current && dialog.current.close()}>
    <div class="dialog-body">
      <header><h2 id=${name}>${title}</h2><${IconButton} icon="close" label="Close" testid="dialog-close" onClick=${() => dialog.current.close()} /></header>
      ${children}
    </div></dialog>`;
}

// ask shows a question that has to be answered before something that cannot be undone is done. One with a field stays until `run`
// has done with the answer, and says what it has thrown: nobody has to write the answer again.
let setQuestion = () => {};
export const ask = (question) => setQuestion(question);

export function Questions() {
  const [question, set] = useState(null);
  setQuestion = set;
  return question && html`<${Question} key=${question.title} question=${question} onClose=${() => set((now) => (now === question ? null : now))} />`;
}

function Question({ question, onClose }) {
  const [text, setText] = useState(question.value ?? "");
  const { busy, problem, submit } = useSending();
  const secret = question.type === "password"; // its spaces belong to it
  const done = (e) => {
    if (question.field)
      return submit(e, async () => {
        await question.run(secret ? text : text.trim());
        onClose();
      });
    e.preventDefault();
    onClose();
    return question.run();
  };
  const field = { autofocus: true, "data-testid": "question-field", required: !!question.required, maxlength: question.max, value: text, onInput: (e) => setText(e.target.value) };
  return html`<${Dialog} title=${question.title} testid="question" onClose=${onClose}>
    <form onSubmit=${done}>
      ${question.text && html`<p>${question.text}</p>`}
      ${question.field && html`<label>${question.field}
        ${question.long ? html`<textarea rows="4" ...${field}></textarea>` : html`<input type=${question.type ?? "text"} autocomplete=${secret ? "current-password" : "off"} ...${field} />`}</label>
        <${Problem} text=${problem} />`}
      <div class="buttons">
        <button type="button" class="quiet" data-testid="question-no" onClick=${onClose}>Cancel</button>
        <${Submit} busy=${busy} className=${question.danger ? "danger" : ""} testid="question-yes" autofocus=${!question.field}>${question.yes}<//>
      </div>
    </form><//>`;
}

export function Toasts() {
  const [toasts, set] = useState([]);
  useEffect(() => notes.subscribe(set), []);
  return html`<div class="toasts" role="status" aria-live="polite">${toasts.map((t) => html`
    <div key=${t.id} class=${`toast ${t.bad ? "bad" : ""}`} data-testid="toast" role=${t.bad ? "alert" : undefined}>
      ${t.bad && html`<${Icon} name="alert" />`}<span>${t.text}</span>
      ${t.action && html`<button type="button" class="quiet" data-testid="toast-action" onClick=${() => {
        notes.close(t.id);
        t.run();
      }}>${t.action}</button>`}
      <${IconButton} icon="close" label="Close this note" onClick=${() => notes.close(t.id)} /></div>`)}</div>`;
}

// Announcer says to screen readers what comes in, and nothing of what is only scrolled to.
export function Announcer({ text }) {
  const [said, say] = useState({ line: "", count: 0 }); // counted, so that the same twice is said twice
  useEffect(() => watch((event, before) => {
    const line = text(event, before);
    if (line) say((last) => ({ line, count: last.count + 1 }));
  }), [text]);
  return html`<div class="unseen" role="log" aria-live="polite" data-testid="announcer"><p key=${said.count}>${said.line}</p></div>`;
}

// listKeys moves the focus through the items of a list with the arrow keys.
export function listKeys(e) {
  if (!["ArrowDown", "ArrowUp", "Home", "End"].includes(e.key) || e.target.matches("input, textarea, select")) return;
  const all = [...e.currentTarget.querySelectorAll("[data-item]")];
  if (!all.length) return;
  const at = all.findIndex((item) => item.contains(document.activeElement));
  const to = { ArrowDown: Math.min(at + 1, all.length - 1), ArrowUp: Math.max(at - 1, 0), Home: 0, End: all.length - 1 }[e.key];
  e.preventDefault();
  all[to].focus();
}

// useAsync keeps what a call answers, for as long as its names stay the same.
export function useAsync(work, names) {
  const [result, set] = useState({ loading: true });
  useEffect(() => {
    let here = true;
    set(({ value }) => ({ value, loading: true })); // what was there stays until there is something else
    Promise.resolve().then(work).then((value) => here && set({ value }), (error) => here && set({ error }));
    return () => {
      here = false;
    };
  }, names);
  return result;
}

export const Field = ({ label, hint, error, className = "", children }) => html`
  <label class=${`field ${className}`}><span>${label}</span>${children}${hint && !error && html`<small>${hint}</small>`}${error && html`<small class="bad" role="alert">${error}</small>`}</label>`;

export const Nothing = ({ icon, title, children }) => html`<div class="nothing"><${Icon} name=${icon} /><h2>${title}</h2>${children}</div>`;
