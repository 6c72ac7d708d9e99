// What drivers in Node have in common: see ../drivers.py.
import { createServer } from "node:net";
import { createInterface } from "node:readline";

// start(command, say): makes a client and returns how it performs a command and how it ends.
export async function serveClients(start, stop = () => {}) {
  const server = createServer({ noDelay: true }, async (connection) => {
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
    } catch (error) {
      // A page that is closed in the middle of a command is the end of a test, too.
      if (!connection.readableEnded) console.error(error);
    } finally {
      await client?.end();
      connection.end();
    }
  });
  server.listen(0, "127.0.0.1", () => process.stdout.write(server.address().port + "\n"));
  process.stdin.on("end", async () => {
    await stop();
    process.exit();
  });
  process.stdin.resume();
}
