// What of a page there must be before longwire.js is loaded. Imported first.
globalThis.document = { visibilityState: "visible", addEventListener() {}, removeEventListener() {} };
globalThis.location = { origin: "http://longwire.test" };
globalThis.addEventListener ??= () => {};
globalThis.removeEventListener ??= () => {};
