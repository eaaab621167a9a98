// What of a page there must be before longwire.js is loaded, imported first; and what can happen to it.
const handlers = { document: new Map(), window: new Map() };

function watched(what, target) {
  target.addEventListener = (type, handler) => handlers[what].set(type, (handlers[what].get(type) ?? new Set()).add(handler));
  target.removeEventListener = (type, handler) => handlers[what].get(type)?.delete(handler);
}

globalThis.document = { visibilityState: "visible" };
globalThis.location = { origin: "http://longwire.test" };
watched("document", globalThis.document);
watched("window", globalThis);

const tell = (what, event) => {
  for (const handler of [...(handlers[what].get(event.type) ?? [])]) handler(event);
};

// happen tells all who watch the window.
export const happen = (type, more = {}) => tell("window", { type, ...more });

// look hides the page ("hidden") or shows it ("visible").
export function look(state) {
  globalThis.document.visibilityState = state;
  tell("document", { type: "visibilitychange" });
}

// watchers is how many watch the page.
export const watchers = () => Object.values(handlers).flatMap((of) => [...of.values()]).reduce((sum, each) => sum + each.size, 0);
