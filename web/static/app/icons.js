// Small pictures, drawn for this page: one path or two in a square of 24.
import { html } from "./lib.js";

const paths = {
  chat: "M4 5h16v11H9l-5 4z",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c.5-4 3-6 6.5-6s6 2 6.5 6M16 4.5a3.2 3.2 0 0 1 0 6.2M18 14.3c2 .8 3.2 2.7 3.5 5.7",
  group: "M12 11.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM6.5 19c.4-3.5 2.4-5 5.5-5s5.1 1.5 5.5 5M5 12a2.3 2.3 0 1 1 .5-4.5M2 18c.1-2 .8-3.3 2-4M19 12a2.3 2.3 0 1 0-.5-4.5M22 18c-.1-2-.8-3.3-2-4",
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5 21 21",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM9 19.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  send: "M4 12 3 4l18 8-18 8zM4 12h8",
  back: "M15 5l-7 7 7 7",
  more: "M5.5 12h.01M12 12h.01M18.5 12h.01",
  reply: "M10 6 4 11.5 10 17v-3.5c5 0 8 1 10 5 0-6-3-9.5-10-9.5z",
  smile: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM8.5 14.5c1.8 2.4 5.2 2.4 7 0M9 9.5h.01M15 9.5h.01",
  pin: "M9 4h6l-.7 5.5 3.2 3V14h-11v-1.5l3.2-3zM12 14v6.5",
  muted: "M6 16V11a6 6 0 0 1 9.5-4.9M18 10.5V16M4 16h16M10 19.5h4M4 4l16 16",
  archive: "M4 5h16v4H4zM5.5 9v10h13V9M10 13h4",
  close: "M6 6l12 12M18 6 6 18",
  plus: "M12 5v14M5 12h14",
  info: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5.5M12 7.7h.01",
  check: "M5 12.5 10 17 19.5 7",
  checks: "M2.5 12.5 7 17 15.5 7.5M11.5 16.2 12.3 17 21.5 7.5",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5.5l3.5 2",
  alert: "M12 3.5 21.5 20h-19zM12 10v4.5M12 17.2h.01",
  down: "M6 9.5 12 15.5 18 9.5",
  mail: "M3.5 6h17v12h-17zM4 7l8 6 8-6",
  link: "M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1",
};

export const Icon = ({ name, label, className = "" }) => html`
  <svg class=${`icon ${className}`} viewBox="0 0 24 24" aria-hidden=${label ? undefined : "true"} role=${label ? "img" : undefined} aria-label=${label}>
    <path d=${paths[name]} />
  </svg>`;
