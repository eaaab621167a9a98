// The first screen: what this is, and one step to get in.
import { client, explain, faultOf } from "./core.js";
import { html, useRef, useState } from "./lib.js";
import { go } from "./route.js";
import { Field } from "./ui.js";

// known remembers, in this browser, that somebody has had an account here: then logging in is offered first.
const known = {
  get() {
    try {
      return localStorage.getItem("longwire-page-known") === "yes";
    } catch {
      return false;
    }
  },
  set() {
    try {
      localStorage.setItem("longwire-page-known", "yes");
    } catch { /* a browser that keeps nothing asks anew */ }
  },
};

export function SignIn() {
  const [mode, setMode] = useState(known.get() ? "login" : "register");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const form = useRef(null);
  const register = mode === "register";

  const submit = async (e) => {
    e.preventDefault();
    const fields = Object.fromEntries(new FormData(form.current));
    setBusy(true);
    setProblem(null);
    try {
      const invited = location.hash.startsWith("#/join/");
      await client[mode]({ username: fields.username.trim(), password: fields.password });
      known.set();
      if (register && !invited) go({ pane: "people" });
      else if (!invited && !location.hash.startsWith("#/c/")) go({ pane: "chats" });
    } catch (error) {
      setProblem(error);
      setBusy(false);
      form.current?.elements[error.code === "invalid_credentials" ? "password" : "username"].focus();
    }
  };
  const of = (field) => (problem?.errors ?? []).filter((e) => e.field === field).map(faultOf)[0];
  const general = problem && !of("username") && !of("password") ? explain(problem) : "";
  const tab = (name, label) => html`<button type="button" role="tab" aria-selected=${mode === name} tabindex=${mode === name ? 0 : -1} data-testid=${`tab-${name}`}
    onClick=${() => {
      setMode(name);
      setProblem(null);
    }}>${label}</button>`;
  const arrows = (e) => {
    if (e.key !== "ArrowLeft" && e.key !== "ArrowRight") return;
    setMode(register ? "login" : "register");
    e.currentTarget.querySelector("[aria-selected=false]").focus();
  };

  return html`<main class="welcome">
    <section class="pitch">
      <p class="brand"><img src="/app/logo.svg" alt="" width="40" height="40" /> Longwire</p>
      <h1>Talk to people, over plain HTTP.</h1>
      <p>Private chats and groups, on this server. Make a name, find the others by theirs, and write.</p>
      <ul>
        <li>What you send is kept until it has arrived, also while you are offline.</li>
        <li>Open it on as many devices as you like: all show the same.</li>
        <li>Plain HTTP: it gets through where other messengers are blocked.</li>
      </ul>
    </section>
    <section class="card">
      <div class="tabs" role="tablist" aria-label="New here or not" onKeyDown=${arrows}>${tab("register", "New here")}${tab("login", "Log in")}</div>
      <form ref=${form} onSubmit=${submit} data-testid="sign-form">
        <${Field} label="Username" hint=${register ? "Others find you by it. Letters, digits, dot, dash, underscore." : ""} error=${of("username")}>
          <input name="username" required minlength=${register ? 3 : 1} maxlength="32" autocomplete="username" autocapitalize="none" spellcheck="false" data-testid="username" autofocus /><//>
        <${Field} label="Password" hint=${register ? "At least 8 characters." : ""} error=${of("password")}>
          <input name="password" type="password" required minlength=${register ? 8 : 1} maxlength="128" autocomplete=${register ? "new-password" : "current-password"} data-testid="password" /><//>
        <p class="bad" role="alert" data-testid="sign-problem">${general}</p>
        <button class="wide" disabled=${busy} data-testid="sign-submit">${busy ? "One moment …" : register ? "Create account" : "Log in"}</button>
      </form>
      <p class="aside">For programs: <a href="/docs">the API</a></p>
    </section>
  </main>`;
}
