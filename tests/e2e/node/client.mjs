// The stock socket.io-client, told what to do; the same in Node and in a page. See
// stock_client.py for who tells it.

// io: the client's entry point. say: takes what it tells its user, in order.
export function stockClient(io, say) {
  let socket;
  let auth;
  let sent = 0;
  let failsFirst; // with ackTimeout, callbacks get an error as first argument

  const facts = () => ({
    id: socket.id ?? null,
    connected: socket.connected,
    recovered: Boolean(socket.recovered),
    transport: socket.io.engine?.transport?.name ?? null,
    writable: socket.io.engine?.transport?.writable ?? false,
    sent,
  });

  const operations = {
    connect({ id, url, namespace, auth: given, options }) {
      auth = given;
      failsFirst = Boolean(options.ackTimeout);
      socket = io(url + namespace, {
        forceNew: true,
        reconnection: false,
        withCredentials: true,
        ...options,
        auth: (give) => give(auth), // asked anew at every connection
      });
      let answered = false;
      const answer = (what) => {
        if (!answered) say({ id, ...what });
        answered = true;
      };
      const refusal = (error) => ({ message: error.message, data: error.data ?? null });
      socket.onAny((event, ...args) => {
        const acknowledge = typeof args.at(-1) === "function" ? args.pop() : undefined;
        say({ event, args });
        acknowledge?.(...args);
      });
      socket.on("connect", () => {
        say({ event: "connect", args: [facts()] });
        answer({});
      });
      socket.on("connect_error", (error) => {
        say({ event: "connect_error", args: [refusal(error)] });
        answer({ refused: refusal(error) });
      });
      socket.on("disconnect", (reason) => say({ event: "disconnect", args: [reason] }));
      socket.io.on("open", () => {
        const engine = socket.io.engine;
        sent = 0;
        engine.on("packetCreate", ({ type }) => {
          if (type === "message") sent += 1;
        });
        engine.on("upgrade", ({ name }) => say({ event: "upgrade", args: [name] }));
        engine.on("upgradeError", ({ message }) => say({ event: "upgradeError", args: [message] }));
      });
    },

    emit({ id, event, args, ack, volatile }) {
      const emitter = volatile ? socket.volatile : socket;
      if (!ack) {
        emitter.emit(event, ...args);
        say({ id });
        return;
      }
      emitter.emit(event, ...args, (...values) => {
        const error = failsFirst ? values.shift() : null;
        say(error ? { id, failed: error.message } : { id, ack: values });
      });
    },

    facts({ id }) {
      say({ id, facts: facts() });
    },

    // What the auth function gives from now on.
    auth({ id, auth: given }) {
      auth = given;
      say({ id });
    },

    // Close the connection below the socket, which may come back.
    drop({ id }) {
      socket.io.engine.close();
      say({ id });
    },

    disconnect({ id }) {
      socket.disconnect();
      say({ id });
    },

    reconnect({ id }) {
      socket.once("connect", () => say({ id }));
      socket.connect();
    },

    async fetch({ id, url, init }) {
      try {
        const response = await fetch(url, { credentials: "include", ...init });
        const headers = Object.fromEntries(response.headers);
        say({ id, answer: { status: response.status, headers, body: await response.text() } });
      } catch (error) {
        say({ id, failed: String(error) });
      }
    },
  };

  return {
    perform: (command) => operations[command.op](command),
    end() {
      if (!socket) return;
      socket.io.reconnection(false);
      socket.disconnect();
    },
  };
}
