// Where the focus goes when what had it is taken away, such as the button of an entry that is done: to what stands in its place now,
// for who uses the keyboard or a screen reader would begin at the top of the page again.
import { useEffect } from "./lib.js";

const settles = 100; // ms in which who knows a better place may give it the focus

// within are the parts of the page that keep the focus. What is above them, a menu or a note, gives it back by itself or has none.
const within = "dialog, .info, .pane, .stage";

const firstIn = (element) => [element, ...element.querySelectorAll("*")].find((e) => e.matches("a[href], button:not(:disabled):not([tabindex='-1'])") && e.checkVisibility());

// trail tells where an element stands: each of its ancestors in such a part, with the number of the child that leads to it.
function trail(element) {
  const steps = [];
  if (!element.closest(within)) return steps;
  for (let e = element; e.parentElement && !e.matches(within); e = e.parentElement) steps.push({ parent: e.parentElement, at: [...e.parentElement.children].indexOf(e) });
  return steps;
}

// inPlaceOf finds what stands where a trail led: the same or the next entry, else the one before, else the next thing further out.
function inPlaceOf(steps) {
  for (const { parent, at } of steps) {
    if (!parent.isConnected) continue;
    const rows = [...parent.children];
    const found = [...rows.slice(at), ...rows.slice(0, at).reverse()].map(firstIn).find(Boolean);
    if (found) return found;
  }
  return undefined;
}

export function useKeptFocus() {
  useEffect(() => {
    let last = null; // { element, steps }
    let timer;
    const lost = () => last && document.activeElement === document.body && !last.element.isConnected;
    const came = ({ target }) => {
      last = { element: target, steps: trail(target) };
    };
    const left = ({ target, relatedTarget }) => queueMicrotask(() => { // for nothing, by a click beside it
      if (!relatedTarget && target.isConnected && last?.element === target) last = null;
    });
    const observer = new MutationObserver(() => {
      if (!lost()) return;
      clearTimeout(timer);
      timer = setTimeout(() => lost() && inPlaceOf(last.steps)?.focus({ preventScroll: true }), settles);
    });
    document.addEventListener("focusin", came);
    document.addEventListener("focusout", left);
    observer.observe(document.body, { childList: true, subtree: true });
    return () => {
      document.removeEventListener("focusin", came);
      document.removeEventListener("focusout", left);
      observer.disconnect();
      clearTimeout(timer);
    };
  }, []);
}
