import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { shareLineup } from "../../../gbs_actor/web/client/shared.js";
import { FakeSocket } from "./socket.mjs";

test("a retreat's client is shared by a user's components, and closed behind the last one", (context) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  context.after(() => mock.timers.reset());
  const sockets = [];
  const io = (...given) => (sockets.push(new FakeSocket(...given)), sockets.at(-1));
  const share = (userId) => shareLineup({ slug: "winter", io, user: { userId } });

  const [first, second, other] = [share(7), share(7), share(8)];
  assert.equal(first.client, second.client);
  assert.notEqual(first.client, other.client);
  first.release();
  first.release(); // once is enough
  mock.timers.tick(1_000);
  assert.equal(share(7).client, second.client);
  other.release();
  const again = share(8); // as StrictMode does
  assert.equal(again.client, other.client);
  again.release();
  mock.timers.tick(1_000);
  assert.deepEqual(other.client.getSnapshot().connection, { state: "offline", reason: "closed" });
  assert.equal(first.client.getSnapshot().connection.state, "connecting");
  assert.equal(sockets.length, 2);
  second.client.close();
});
