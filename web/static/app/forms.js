// Forms. The page is drawn anew whenever anything happens anywhere, so what somebody types or chooses is state: it stays until they
// send it, and it stays when it is refused.
import { explain, report } from "./core.js";
import { html, useState } from "./lib.js";

// useForm holds what was typed over what is so now, which may change meanwhile: a field that nobody has touched follows it.
// `at` gives the attributes of a field, `values` all that would be sent.
export function useForm(now) {
  const [typed, set] = useState({});
  const values = { ...now, ...typed };
  const at = (name) => ({
    name, value: values[name], onInput: ({ target }) => {
      const { value } = target;
      set((old) => ({ ...old, [name]: value }));
    },
  });
  // forget lets go of what was sent, and not of what was typed since.
  const forget = (sent) => set((old) => Object.fromEntries(Object.entries(old).filter(([name, value]) => value !== sent[name])));
  return { typed, values, at, forget };
}

// faulty is the field of a form that an error is about.
function faulty(form, error) {
  if (error.code === "wrong_password") return form.querySelector("[type=password]");
  return (error.errors ?? []).map(({ field }) => form.elements.namedItem(field)).find((field) => field?.focus);
}

// useSending sends a form, once at a time. While it does the form is busy, and what goes wrong is its problem.
export function useSending() {
  const [{ busy, problem }, set] = useState({ busy: false, problem: "" });
  const submit = async (e, work) => {
    e.preventDefault();
    if (busy) return;
    const form = e.currentTarget;
    let from = document.activeElement;
    set({ busy: true, problem: "" });
    try {
      await work();
      set({ busy: false, problem: "" });
    } catch (error) {
      set({ busy: false, problem: explain(error) });
      if (!form.isConnected) report(error); // it was closed meanwhile
      // Unless they went on to something else meanwhile.
      if (document.activeElement === document.body || form.contains(document.activeElement)) {
        from = faulty(form, error) ?? from;
        from.focus();
      }
    }
    requestAnimationFrame(() => { // a button loses the focus while it is disabled
      if (document.activeElement === document.body && from.isConnected) from.focus();
    });
  };
  return { busy, problem, submit };
}

export const Problem = ({ text }) => html`<p class="bad" role="alert">${text}</p>`;

export const Submit = ({ busy, className = "", testid, children, ...rest }) =>
  html`<button class=${className} disabled=${busy} data-testid=${testid} ...${rest}>${busy ? "One moment …" : children}</button>`;
