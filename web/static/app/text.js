// Words, names and times, as people read them. What users wrote is only ever handed on as text, never as markup.
import { html } from "./lib.js";

export const nameOf = (c) => c?.peer?.display_name ?? c?.group?.name ?? "Conversation";

// personName is what the user calls a friend, else what they call themselves.
export const personName = (state, id) => {
  if (id === state.me?.id) return "You";
  return state.friends.get(id)?.remark || state.users.get(id)?.display_name || "…";
};

export const titleOf = (state, c) => (c.peer && state.friends.get(c.peer.id)?.remark) || nameOf(c);

export function initials(name) {
  const words = (name || "?").trim().split(/\s+/u);
  const letters = words.length > 1 ? [words[0], words.at(-1)].map((w) => [...w][0]) : [...words[0]].slice(0, 2);
  return letters.join("").toUpperCase();
}

// hue picks one of eight colours for a name, always the same.
export function hue(text) {
  let sum = 0;
  for (const c of text || "") sum = (sum * 31 + c.codePointAt(0)) >>> 0;
  return sum % 8;
}

const formats = {};
const format = (name, options) => (formats[name] ??= new Intl.DateTimeFormat(undefined, options));
const clock = (date) => format("clock", { hour: "2-digit", minute: "2-digit" }).format(date);

export const time = (at) => clock(new Date(at));
export const exact = (at) => format("exact", { dateStyle: "full", timeStyle: "medium" }).format(new Date(at));
export const dayKey = (at) => new Date(at).toDateString();

const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
const daysAgo = (date) => Math.round((midnight(new Date()) - midnight(date)) / 86400000);

export function day(at) {
  const date = new Date(at);
  const ago = daysAgo(date);
  if (ago === 0) return "Today";
  if (ago === 1) return "Yesterday";
  if (ago > 0 && ago < 7) return format("weekday", { weekday: "long" }).format(date);
  return format("date", { dateStyle: "long" }).format(date);
}

// when is short, for lists: the time today, else the day.
export function when(at) {
  const date = new Date(at);
  const ago = daysAgo(date);
  if (ago <= 0) return clock(date);
  if (ago === 1) return "Yesterday";
  return ago < 7 ? format("short", { weekday: "short" }).format(date) : format("day", { day: "numeric", month: "short" }).format(date);
}

export const dateTime = (at) => format("both", { dateStyle: "medium", timeStyle: "short" }).format(new Date(at));

export function lastSeen(presence) {
  if (!presence) return "";
  if (presence.state === "online") return "online";
  if (presence.state === "away") return "away";
  if (presence.state !== "offline" || !presence.last_seen_at) return "";
  const minutes = Math.floor((Date.now() - Date.parse(presence.last_seen_at)) / 60000);
  if (minutes < 1) return "last seen just now";
  if (minutes < 60) return `last seen ${minutes} min ago`;
  return `last seen ${daysAgo(new Date(presence.last_seen_at)) === 0 ? `at ${time(presence.last_seen_at)}` : dateTime(presence.last_seen_at)}`;
}

export const isMuted = (c) => !!c.muted_until && Date.parse(c.muted_until) > Date.now();

export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

const link = /\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}]/giu;

// rich makes links of addresses and marks of mentions, and leaves all else text. Only http and https become links.
export function rich(state, m) {
  const names = (m.mentions ?? []).map((id) => state.users.get(id)?.username).filter(Boolean);
  const pieces = [];
  let from = 0;
  for (const found of m.body.matchAll(link)) {
    pieces.push(...mentions(m.body.slice(from, found.index), names, state.me.username));
    pieces.push(html`<a href=${found[0]} target="_blank" rel="noopener noreferrer nofollow">${found[0]}</a>`);
    from = found.index + found[0].length;
  }
  pieces.push(...mentions(m.body.slice(from), names, state.me.username));
  return pieces;
}

function mentions(text, names, own) {
  if (!names.length) return [text];
  return text.split(/(@[\p{L}\p{N}._-]+)/u).map((part) => {
    const name = part.startsWith("@") && names.find((n) => `@${n}`.toLowerCase() === part.toLowerCase());
    return name ? html`<span class=${name === own ? "mention mine" : "mention"}>${part}</span>` : part;
  });
}

// highlighted marks what a search has found, counted in code points.
export function highlighted(body, highlights) {
  const points = [...body];
  const start = Math.max(0, (highlights[0]?.start ?? 0) - 40);
  const end = Math.min(points.length, start + 220);
  const pieces = [start > 0 ? "…" : ""];
  let at = start;
  for (const h of highlights) {
    if (h.start < at || h.start >= end) continue;
    pieces.push(points.slice(at, h.start).join(""), html`<mark>${points.slice(h.start, Math.min(h.end, end)).join("")}</mark>`);
    at = Math.min(h.end, end);
  }
  pieces.push(points.slice(at, end).join(""), end < points.length ? "…" : "");
  return pieces;
}

// preview is a message in one line.
export function preview(state, m, withSender) {
  if (!m) return "";
  const who = withSender && m.kind !== "system" ? `${personName(state, m.sender_id)}: ` : "";
  return who + said(m);
}

export function said(m) {
  if (m.recalled) return "Message recalled";
  if (m.deleted) return "Message deleted";
  return (m.body || "Something this page cannot show").replace(/\s+/gu, " ");
}

// onlyEmoji: one to three emoji and nothing else are shown large.
export const onlyEmoji = (body) => /^(?:\p{Extended_Pictographic}(?:\u{FE0F}|[\u{1F3FB}-\u{1F3FF}]|\u{200D}\p{Extended_Pictographic})*\s*){1,3}$/u.test(body);

// safely unavailable on plain http: then the text is shown to be copied by hand.
export async function copy(text) {
  await navigator.clipboard.writeText(text);
}
