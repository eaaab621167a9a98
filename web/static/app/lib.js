// What the views are written with: Preact, its hooks, and htm's templates.
import { Fragment, createContext, h, render } from "../vendor/preact/preact.js";
import { useCallback, useContext, useEffect, useId, useLayoutEffect, useMemo, useReducer, useRef, useState } from "../vendor/preact/hooks.js";
import htm from "../vendor/preact/htm.js";

export const html = htm.bind(h);
export {
  Fragment, createContext, h, render, useCallback, useContext, useEffect, useId, useLayoutEffect, useMemo, useReducer, useRef, useState,
};

// memo renders a component again only when one of its properties is another.
export function memo(Inner) {
  return function Memo(props) {
    const last = useRef(null);
    const same = last.current && Object.keys(props).length === last.current.count &&
      Object.keys(props).every((key) => props[key] === last.current.props[key]);
    if (!same) last.current = { props, count: Object.keys(props).length, tree: h(Inner, props) };
    return last.current.tree;
  };
}
