import { useEffect, useState } from "preact/hooks";

/** A value that several components show. */
export class Store {
  #listeners = new Set();

  constructor(value) {
    this.value = value;
  }

  /** Replace the value; components that use it are rendered again. */
  set(value) {
    if (Object.is(value, this.value)) return;
    this.value = value;
    for (const listener of [...this.#listeners]) listener(value);
  }

  /** @returns {() => void} ends the subscription */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** The value of a store, current as long as the component is shown. */
export function useStore(store) {
  const [value, setValue] = useState(store.value);
  useEffect(() => {
    setValue(store.value); // it may have changed since the first rendering
    return store.subscribe(setValue);
  }, [store]);
  return value;
}
