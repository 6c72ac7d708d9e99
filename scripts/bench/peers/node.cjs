// Socket.IO on Node with its own defaults: the ws engine, the in-memory adapter; pg.
// PORT, JWT_SECRET, and PGHOST and so on, which pg reads itself.
const http = require("http");
const { Server } = require("socket.io");
const { Pool } = require("pg");
const jwt = require("jsonwebtoken");

const EDIT = {
  name: "edit", // prepared once for each connection
  text: `UPDATE lineup SET "lineupMemo" = $2, "lineupMemocolor" = $3, "updatedAt" = $4,
         revision = nextval('revision') WHERE "lineupMemoId" = $1 RETURNING *`,
};

const pool = new Pool({ max: 10 });
const retreats = new Map(); // slug -> promise of a Map of id -> row

function load(slug) {
  if (!retreats.has(slug)) {
    const loading = pool.query("SELECT * FROM lineup WHERE retreat = $1 ORDER BY id", [slug]);
    retreats.set(slug, loading.then(({ rows }) => new Map(rows.map((row) => [row.id, row]))));
  }
  return retreats.get(slug);
}

const server = http.createServer((_, response) => response.end("ok"));
const io = new Server(server, { pingInterval: 25000, pingTimeout: 60000 });
const lineup = io.of("/gbs-lineup");

lineup.use((socket, next) => {
  try {
    socket.data.user = jwt.verify(socket.handshake.auth.token, process.env.JWT_SECRET);
    next();
  } catch (error) {
    next(error);
  }
});

lineup.on("connection", (socket) => {
  socket.on("join-retreat", async (slug, ack) => {
    const rows = await load(slug);
    socket.join(slug);
    ack({ status: "OK", data: [...rows.values()], revision: 0 });
  });

  socket.on("update-lineup-memo", async ({ memoId, memo, color }, ack) => {
    try {
      const values = [memoId, memo, color, new Date().toISOString()];
      const { rows } = await pool.query({ ...EDIT, values });
      if (!rows.length) return ack({ status: "ERROR", code: "NOT_FOUND" });
      const [row] = rows;
      (await load(row.retreat)).set(row.id, row);
      lineup.to(row.retreat).emit("lineup-updated", row);
      ack({ status: "OK", data: row, revision: row.revision });
    } catch (error) {
      ack({ status: "ERROR", code: "INTERNAL", message: String(error) });
    }
  });

  socket.on("leave-retreat", (slug, ack) => {
    socket.leave(slug);
    ack({ status: "OK", data: null, revision: null });
  });

  socket.on("message-with-ack", (...args) => args.pop()(...args));
});

server.listen({ port: Number(process.env.PORT), host: "127.0.0.1", backlog: 4096 });
