// The WebSocket of browsers, as Node has it: node --experimental-websocket plain.mjs URL [PROTOCOL…]
// Prints each thing that a page's script would see, as one JSON object a line.
const [url, ...protocols] = process.argv.slice(2);
const print = (what) => process.stdout.write(JSON.stringify(what) + "\n");

const socket = new WebSocket(url, protocols);
socket.onopen = () => {
  print({ opened: socket.protocol });
  socket.send(JSON.stringify({ id: "last", event: "leave-retreat", data: "2024-winter" }));
};
socket.onmessage = ({ data }) => {
  const { id, event, status } = JSON.parse(data);
  if (event !== "room-presence") print(id === undefined ? { event } : { id, status });
  if (id === "last") socket.close(1000);
};
socket.onerror = () => print({ error: true });
socket.onclose = ({ code, reason }) => print({ code, reason });
