// The stock socket.io-client, driven line by line; see stock_client.py.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
let socket;

function connect({ id, url, token, headers }) {
  // In Node, withCredentials puts a cookie jar's "cookie" beside any other spelling of it.
  const extraHeaders = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  socket = io(`${url}/gbs-lineup`, {
    transports: ["websocket"],
    withCredentials: true,
    reconnection: false,
    forceNew: true,
    auth: token === null ? undefined : { token },
    extraHeaders,
  });
  let answered = false;
  const answer = (what) => {
    if (!answered) say({ id, ...what });
    answered = true;
  };
  socket.onAny((event, ...args) => say({ event, args }));
  socket.on("connect", () => answer({}));
  socket.on("connect_error", (error) =>
    answer({ refused: { message: error.message, data: error.data ?? null } }),
  );
  socket.on("disconnect", (reason) => say({ event: "disconnect", args: [reason] }));
}

function emit({ id, event, args, ack }) {
  if (ack) {
    socket.emit(event, ...args, (...values) => say({ id, ack: values }));
  } else {
    socket.emit(event, ...args);
    say({ id });
  }
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line);
  switch (command.op) {
    case "connect":
      connect(command);
      break;
    case "emit":
      emit(command);
      break;
    case "disconnect":
      socket.disconnect();
      say({ id: command.id });
      break;
  }
});
