// The stock client in Node: node driver.mjs
import { io } from "socket.io-client";
import { stockClient } from "./client.mjs";
import { serveClients } from "./program.mjs";

await serveClients(({ transports }, say) => {
  const { perform, end } = stockClient(io, say);
  return {
    end,
    perform(command) {
      if (command.op === "cookie") {
        say({ id: command.id }); // Node keeps none
        return;
      }
      if (command.op === "connect") {
        const { cookie, headers } = command;
        // In Node, withCredentials puts a cookie jar's "cookie" beside any other spelling of it.
        const extraHeaders = Object.fromEntries(
          Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
        );
        if (cookie !== null) extraHeaders.cookie = `accessToken=${cookie}`;
        command.options = { transports, extraHeaders, ...command.options };
      }
      perform(command);
    },
  };
});
