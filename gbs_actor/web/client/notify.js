/** Tells listeners, who are others' code. */

/**
 * Call each listener. One that throws neither keeps the others from being called nor breaks what is
 * going on here: its error is thrown by itself, as an uncaught one.
 *
 * @template {unknown[]} Args
 * @param {Iterable<(...args: Args) => void>} listeners
 * @param {Args} args
 */
export function notify(listeners, ...args) {
  for (const listener of [...listeners]) {
    try {
      listener(...args);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
