import { useEffect, useState } from "preact/hooks";

/**
 * A value that several components show.
 *
 * @template T
 */
export class Store {
  /** @type {Set<(value: T) => void>} */
  #listeners = new Set();

  /** @param {T} value */
  constructor(value) {
    this.value = value;
  }

  /** Replace the value; components that use it are rendered again. @param {T} value */
  set(value) {
    if (Object.is(value, this.value)) return;
    this.value = value;
    for (const listener of [...this.#listeners]) listener(value);
  }

  /**
   * @param {(value: T) => void} listener
   * @returns {() => void} ends the subscription
   */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

const whole = (value) => value;

/**
 * The value of a store, or a part of it, current as long as the component is shown; it is rendered
 * again when that part is another one.
 *
 * @template T, [S=T]
 * @param {Store<T>} store
 * @param {(value: T) => S} [select] the same function each time
 * @returns {S}
 */
export function useStore(store, select = whole) {
  const [value, setValue] = useState(() => select(store.value));
  useEffect(() => {
    const changed = () => {
      const selected = select(store.value);
      setValue(() => selected);
    };
    changed(); // it may have changed since the first rendering
    return store.subscribe(changed);
  }, [store]);
  return value;
}
