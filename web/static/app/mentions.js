// Mentions: @username in a text, of people who can read it.

// mentioned are those of the people whose names stand in a text behind an @.
export function mentioned(text, people) {
  const names = new Set([...text.matchAll(/(?:^|[^\p{L}\p{N}._-])@([\p{L}\p{N}._-]+)/gu)].map((m) => m[1].toLowerCase().replace(/[.]+$/, "")));
  return [...people].filter((u) => names.has(u.username.toLowerCase())).map((u) => u.id);
}

// wordBefore is the @word that is being written at the caret of a field, or null.
export function wordBefore(field) {
  const before = field.value.slice(0, field.selectionStart);
  const found = /(?:^|\s)@([\p{L}\p{N}._-]*)$/u.exec(before);
  return found ? { word: found[1].toLowerCase(), from: before.length - found[1].length } : null;
}
