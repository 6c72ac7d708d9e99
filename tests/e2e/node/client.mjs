// The stock socket.io-client, driven by commands of stock_client.py; the same in Node and
// in a page.

// io: the client's entry point. send: takes answers and events, in order.
export function stockClient(io, send) {
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
    connect({ id, url, namespace, auth: given, options, unreported }) {
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
        if (!answered) send({ id, ...what });
        answered = true;
      };
      const refusal = (error) => ({ message: error.message, data: error.data ?? null });
      socket.onAny((event, ...args) => {
        const acknowledge = typeof args.at(-1) === "function" ? args.pop() : undefined;
        if (!unreported.includes(event)) send({ event, args });
        acknowledge?.(...args);
      });
      socket.on("connect", () => {
        send({ event: "connect", args: [facts()] });
        answer({});
      });
      socket.on("connect_error", (error) => {
        send({ event: "connect_error", args: [refusal(error)] });
        answer({ refused: refusal(error) });
      });
      socket.on("disconnect", (reason) => send({ event: "disconnect", args: [reason] }));
      socket.io.on("open", () => {
        const engine = socket.io.engine;
        sent = 0;
        engine.on("packetCreate", ({ type }) => {
          if (type === "message") sent += 1;
        });
        engine.on("upgrade", ({ name }) => send({ event: "upgrade", args: [name] }));
        engine.on("upgradeError", ({ message }) => send({ event: "upgradeError", args: [message] }));
      });
    },

    emit({ id, event, args, ack, volatile }) {
      const emitter = volatile ? socket.volatile : socket;
      if (!ack) {
        emitter.emit(event, ...args);
        send({ id });
        return;
      }
      emitter.emit(event, ...args, (...values) => {
        const error = failsFirst ? values.shift() : null;
        send(error ? { id, failed: error.message } : { id, ack: values });
      });
    },

    facts({ id }) {
      send({ id, facts: facts() });
    },

    // What the auth function gives from now on.
    auth({ id, auth: given }) {
      auth = given;
      send({ id });
    },

    // Close the connection below the socket, which may come back.
    drop({ id }) {
      socket.io.engine.close();
      send({ id });
    },

    disconnect({ id }) {
      socket.disconnect();
      send({ id });
    },

    reconnect({ id }) {
      socket.once("connect", () => send({ id }));
      socket.connect();
    },

    async fetch({ id, url, init }) {
      try {
        const response = await fetch(url, { credentials: "include", ...init });
        const headers = Object.fromEntries(response.headers);
        send({ id, answer: { status: response.status, headers, body: await response.text() } });
      } catch (error) {
        send({ id, failed: String(error) });
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
