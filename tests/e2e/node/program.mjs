// What drivers in Node have in common: see ../drivers.py.
import { createServer } from "node:net";
import { createInterface } from "node:readline";

// start(command, say): makes a client and returns how it performs a command and how it ends.
export async function serveClients(start, stop = () => {}) {
  // Half open, since the end of a connection is answered when its client is gone.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, async (connection) => {
    connection.on("error", () => {}); // nobody is left to read what is said
    const say = (what) => connection.write(JSON.stringify(what) + "\n");
    let client;
    try {
      for await (const line of createInterface({ input: connection })) {
        const command = JSON.parse(line);
        if (client) {
          await client.perform(command);
        } else {
          client = await start(command, say);
          say({ id: command.id });
        }
      }
      await client?.end();
    } catch (error) {
      console.error(error);
    }
    connection.end();
  });
  server.listen(0, "127.0.0.1", () => process.stdout.write(server.address().port + "\n"));
  process.stdin.on("end", async () => {
    await stop();
    process.exit();
  });
  process.stdin.resume();
}
