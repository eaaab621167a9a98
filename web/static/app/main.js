import { App } from "./app.js";
import { start } from "./core.js";
import { html, render } from "./lib.js";

const root = document.getElementById("root");
root.replaceChildren();
start();
render(html`<${App} />`, root);
