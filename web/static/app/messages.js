// The messages of a conversation: a run of them that grows at both ends as one scrolls, without anything jumping.
import { loadAfter, loadAround, loadBefore, loadNewest, markRead } from "./actions.js";
import { explain } from "./core.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./lib.js";
import { Icon } from "./icons.js";
import { Message, Waiting } from "./message.js";
import { day, dayKey, plural } from "./text.js";
import { indexOf } from "./windows.js";

const near = 700; // pixels from an end at which more is fetched
const together = 5 * 60000; // messages of one sender within this time stand as one

// entriesOf puts days, and the line before what is new, between the messages.
function entriesOf(items, newFrom, me) {
  const entries = [];
  let last = null;
  let lined = newFrom === null;
  for (const m of items) {
    const newDay = !last || dayKey(last.created_at) !== dayKey(m.created_at);
    if (newDay) entries.push({ kind: "day", at: m.created_at, key: `day ${m.seq}` });
    const line = !lined && m.seq > newFrom && m.sender_id !== me;
    if (line) {
      entries.push({ kind: "new", key: "new" });
      lined = true;
    }
    const first = newDay || line || last.kind === "system" || last.sender_id !== m.sender_id || Date.parse(m.created_at) - Date.parse(last.created_at) > together;
    entries.push({ kind: "message", m, first, key: m.seq });
    last = m;
  }
  return entries;
}

const tryAgain = 3000; // ms after which what could not be fetched is asked for again, once there is a connection

// useHistory fetches the first part, and the parts at both ends.
function useHistory(c, window, seq, live) {
  const [problem, setProblem] = useState(null);
  const busy = useRef(false);
  const run = async (work) => {
    if (busy.current) return;
    busy.current = true;
    try {
      await work();
      setProblem(null);
    } catch (error) {
      setProblem(error);
    } finally {
      busy.current = false;
    }
  };
  const id = c?.id;
  useEffect(() => {
    if (!id) return;
    const held = window && seq && indexOf(window.items, seq) >= 0;
    if (seq && !held) run(() => loadAround(id, seq));
    else if (!window) run(() => (c.unread_count > 30 ? loadAround(id, c.read_seq + 1) : loadNewest(id)));
  }, [id, seq, !window]);
  const again = () => {
    setProblem(null);
    run(() => (window ? (window.before ? loadBefore(id, window.items[0].seq) : loadAfter(id, window.items.at(-1).seq)) : loadNewest(id)));
  };
  useEffect(() => { // what only the network was in the way of needs nobody's click
    if (!live || !problem || (problem.status >= 400 && problem.status < 500)) return undefined;
    const timer = setTimeout(again, tryAgain);
    return () => clearTimeout(timer);
  }, [live, problem]);
  return {
    problem,
    busy,
    again,
    before: () => window?.before && !problem && run(() => loadBefore(id, window.items[0].seq)),
    after: () => window?.after && !problem && run(() => (window.items.length ? loadAfter(id, window.items.at(-1).seq) : loadNewest(id))),
    newest: () => run(() => loadNewest(id)),
  };
}

// useScroll keeps in place what one looks at, whatever comes above or below it; who is at the end stays at the end.
function useScroll(box, window, c, seq, extra) {
  const kept = useRef({ atEnd: true, seq: null, top: 0, placed: false, target: null });
  const measure = () => {
    const b = box.current;
    if (!b) return;
    const k = kept.current;
    k.atEnd = b.scrollHeight - b.scrollTop - b.clientHeight < 60;
    const top = b.getBoundingClientRect().top;
    const first = [...b.querySelectorAll("[data-seq]")].find((row) => row.getBoundingClientRect().bottom > top);
    k.seq = first?.dataset.seq ?? null;
    k.top = first ? first.getBoundingClientRect().top - top : 0;
  };
  useLayoutEffect(() => {
    const b = box.current;
    if (!b || !window) return;
    const k = kept.current;
    const row = (s) => b.querySelector(`[data-seq="${s}"]`);
    const line = b.querySelector("[data-testid=new-line]");
    if (seq && k.target !== seq && row(seq)) {
      k.target = seq;
      k.placed = true;
      row(seq).scrollIntoView({ block: "center" });
    } else if (!k.placed && !seq) {
      k.placed = true;
      if (line) b.scrollTop += line.getBoundingClientRect().top - b.getBoundingClientRect().top - b.clientHeight / 4;
      else b.scrollTop = b.scrollHeight;
    } else if (k.atEnd && !window.after) b.scrollTop = b.scrollHeight;
    else if (k.seq && row(k.seq)) b.scrollTop += row(k.seq).getBoundingClientRect().top - b.getBoundingClientRect().top - k.top;
    if (!seq) k.target = null;
    measure();
  }, [window, seq, extra]);
  useEffect(() => { // the window of the browser, or the field below, becomes larger or smaller
    const observer = new ResizeObserver(() => {
      const b = box.current;
      if (b && kept.current.atEnd && kept.current.placed) b.scrollTop = b.scrollHeight;
    });
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  return { kept, measure };
}

export function Messages({ state, c, seq, waiting, on, toEnd, befriend }) {
  const window = c && state.windows.get(c.id);
  const box = useRef(null);
  const history = useHistory(c, window, seq, state.connection.state === "live");
  const [newFrom, setNewFrom] = useState(() => (c?.unread_count > 0 ? c.read_seq : null));
  const [away, setAway] = useState(false);
  const [focused, setFocused] = useState(null);
  const [flash, setFlash] = useState(null);
  const { kept, measure } = useScroll(box, window, c, seq, `${waiting.map((w) => w.key + w.state).join()} ${state.typing.get(c?.id)?.size ?? 0}`);
  const items = window?.items ?? [];
  const entries = useMemo(() => entriesOf(items, newFrom, state.me.id), [items, newFrom]);
  const pins = c && state.pins.get(c.id);
  const people = state.users; // profiles change seldom; a message is drawn again when they do
  const view = useMemo(() => ({ me: state.me, users: state.users, friends: state.friends, limits: state.limits }), [state.me, people, state.friends, state.limits]);
  // Of the conversation a message shows how far the peer is, and what one may do.
  const shownConversation = useMemo(() => c, [c?.id, c?.kind, c?.peer_read_seq, c?.peer_delivered_seq, c?.group?.my_role]);

  useEffect(() => {
    if (!seq || !items.length) return undefined;
    setFlash(seq);
    const timer = setTimeout(() => setFlash(null), 2500);
    return () => clearTimeout(timer);
  }, [seq, window && indexOf(items, seq ?? 0) >= 0]);

  // read marks what is in sight as read.
  const read = () => {
    const b = box.current;
    if (!c || !b || !window || document.visibilityState !== "visible") return;
    const end = b.getBoundingClientRect().bottom + 4;
    let last = 0;
    if (kept.current.atEnd && !window.after) last = items.at(-1)?.seq ?? 0;
    else for (const row of b.querySelectorAll("[data-seq]")) if (row.getBoundingClientRect().bottom <= end) last = Number(row.dataset.seq);
    if (last > c.read_seq && (c.unread_count > 0 || items.some((m) => m.seq > c.read_seq && m.seq <= last && m.sender_id !== state.me.id))) markRead(c.id, last);
    else if (c.marked_unread && c.last_seq > 0) markRead(c.id, Math.max(last, c.read_seq, 1));
  };
  const seen = () => {
    const b = box.current;
    measure();
    if (b.scrollTop < near) history.before();
    if (b.scrollHeight - b.scrollTop - b.clientHeight < near) history.after();
    setAway(!kept.current.atEnd || !!window?.after);
    read();
  };
  useEffect(() => {
    if (window && box.current) seen();
    addEventListener("focus", read);
    document.addEventListener("visibilitychange", read);
    return () => {
      removeEventListener("focus", read);
      document.removeEventListener("visibilitychange", read);
    };
  });
  const lastSeq = c?.last_seq ?? 0;
  const known = useRef(lastSeq);
  useEffect(() => {
    if (lastSeq > known.current) {
      if (kept.current.atEnd && document.visibilityState !== "visible" && newFrom === null) setNewFrom(known.current);
      known.current = lastSeq;
    }
  }, [lastSeq]);

  const jump = async () => {
    kept.current.atEnd = true;
    setNewFrom(null);
    if (window?.after) await history.newest();
    box.current.scrollTop = box.current.scrollHeight;
  };
  toEnd.current = jump;

  const keys = (e) => {
    const row = e.target.closest("[data-item]");
    if (!row || e.target !== row) return;
    const rows = [...box.current.querySelectorAll("[data-item]")];
    const to = { ArrowUp: -1, ArrowDown: 1 }[e.key];
    const m = items[indexOf(items, Number(row.dataset.seq))];
    if (to || e.key === "Home" || e.key === "End") {
      e.preventDefault();
      const next = to ? rows[rows.indexOf(row) + to] : e.key === "Home" ? rows[0] : rows.at(-1);
      if (!next) return;
      setFocused(Number(next.dataset.seq));
      next.focus({ preventScroll: true });
      next.scrollIntoView({ block: "nearest" });
    } else if (e.key === "Enter") {
      e.preventDefault();
      row.querySelector("[data-testid=message-menu]")?.click();
    } else if (e.key === "r" && !e.ctrlKey && !e.metaKey && m && m.kind !== "system" && !m.recalled && !m.deleted) {
      e.preventDefault();
      on.reply(m);
    }
  };
  const below = c?.unread_count ?? 0; // what is in sight is read, so what is unread is out of sight
  const focusableSeq = items.some((m) => m.seq === focused) ? focused : items.at(-1)?.seq;
  return html`<div class="messages-frame"><div class="messages-box" ref=${box} onScroll=${seen} onKeyDown=${keys}>
    <div class="edge">${history.problem
      ? html`<p role="alert">Earlier messages could not be fetched: ${explain(history.problem)} <button type="button" class="quiet" onClick=${history.again}>Try again</button></p>`
      : c && (!window || window.before) ? html`<p class="loading" aria-label="Fetching earlier messages"></p>` : items.length > 0 && html`<p>The beginning</p>`}</div>
    <ol class="messages" aria-label="Messages" data-testid="messages">${entries.map((e) => {
      if (e.kind === "day") return html`<li key=${e.key} class="day"><span>${day(e.at)}</span></li>`;
      if (e.kind === "new") return html`<li key="new" class="new-line" data-testid="new-line"><span>New</span></li>`;
      return html`<${Message} key=${e.key} m=${e.m} c=${shownConversation} state=${view} first=${e.first} focusable=${focusableSeq === e.m.seq} flash=${flash === e.m.seq} on=${on}
        isPinned=${!!pins?.some((p) => p.seq === e.m.seq)} held=${e.m.reply_to ? items[indexOf(items, e.m.reply_to)] : undefined} />`;
    })}
    ${!window?.after && waiting.map((item) => html`<${Waiting} key=${item.key} item=${item} befriend=${item.error?.code === "recipient_not_accepting" && befriend} />`)}</ol>
  </div>
  ${away && items.length > 0 && html`<button type="button" class="to-newest" data-testid="to-newest" onClick=${jump}><${Icon} name="down" /><span>${below ? plural(below, "new message") : html`<span class="unseen">To the newest</span>`}</span></button>`}</div>`;
}
