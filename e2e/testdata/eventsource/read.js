// read.js STREAM TOKEN CURSOR: reads an inbox with npm's eventsource and prints the name and the data of what comes, a line each.
//
// An EventSource gives up for good on any answer but 200, such as a proxy's 502 while a node restarts. What is to be done then is what
// docs/protocol.md says: make a new one, from the last cursor, after a wait.
import { EventSource } from "eventsource";

const [stream, token, begin] = process.argv.slice(2);
let last = begin;

function open() {
  const source = new EventSource(`${stream}?errors=inband&presence=none&cursor=${last}`, {
    fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, Authorization: `Bearer ${token}` } }),
  });
  const again = () => {
    source.close();
    console.log("again");
    setTimeout(open, 200 + Math.random() * 300);
  };
  source.onmessage = (event) => {
    last = event.lastEventId;
    console.log(`message ${event.data}`);
  };
  source.addEventListener("hello", (event) => console.log(`hello ${event.data}`));
  source.addEventListener("error", (event) => {
    if (event.data || source.readyState === EventSource.CLOSED) again();
  });
}

open();
