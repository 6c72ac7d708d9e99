// The stock client in Node, driven line by line: node driver.mjs TRANSPORTS
import { createInterface } from "node:readline";
import { io } from "socket.io-client";
import { stockClient } from "./client.mjs";

const transports = process.argv[2].split(",");
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const perform = stockClient(io, say);

createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line);
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
});
