// A window is the run of messages of a conversation that is held: ascending, without a hole. `before` and `after` say whether the
// server has more on that side. It is bounded: what grows on one side is let go on the other.
export const maxWindow = 500;

export const emptyWindow = { items: [], before: false, after: false };

// indexOf finds where a seq is, or -1 - (where it would be).
export function indexOf(items, seq) {
  let low = 0, high = items.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (items[middle].seq === seq) return middle;
    if (items[middle].seq < seq) low = middle + 1;
    else high = middle - 1;
  }
  return -1 - low;
}

// mergeHistory puts a part of the history into a window: `set` begins anew, `before` and `after` go on at an end.
export function mergeHistory(window, mode, { items, has_more_before: before, has_more_after: after }) {
  if (!window || mode === "set") return { items, before, after };
  const first = window.items[0]?.seq ?? Infinity;
  const last = window.items.at(-1)?.seq ?? 0;
  if (mode === "before") {
    const merged = [...items.filter((m) => m.seq < first), ...window.items];
    return { items: merged.slice(0, maxWindow), before, after: window.after || merged.length > maxWindow };
  }
  const merged = [...window.items, ...items.filter((m) => m.seq > last)];
  return { items: merged.slice(-maxWindow), before: window.before || merged.length > maxWindow, after };
}

// replaceIn puts a message that is held in its place again, as it is now.
export function replaceIn(window, seq, change) {
  const at = window ? indexOf(window.items, seq) : -1;
  if (at < 0) return window;
  const items = [...window.items];
  items[at] = change(items[at]);
  return { ...window, items };
}

// append adds a new message at the end. One that leaves a hole is not taken: then there is more after.
export function append(window, message) {
  if (!window || window.after) return window;
  const last = window.items.at(-1)?.seq;
  if (last !== undefined && message.seq <= last) return window;
  if (last !== undefined && message.seq > last + 1) return { ...window, after: true };
  const items = [...window.items, message];
  return items.length > maxWindow ? { items: items.slice(-maxWindow), before: true, after: false } : { ...window, items };
}
