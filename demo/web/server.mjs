// The demo's sample service: one page that says which node serves it.
import { createServer } from "node:http";

const {
  MYCO_ADDRESS: host = "127.0.0.1",
  PORT: port = "8080",
  MYCO_NODE: node = "?",
} = process.env;

const page = `<!doctype html>
<meta charset="utf-8">
<title>Hello from Myco</title>
<h1>Hello from node ${node}</h1>
<p>Served on ${host}:${port}. Stop this node, and the page comes from another.</p>
`;

const server = createServer((request, response) => {
  console.log(`${request.method} ${request.url}`);
  const isHealth = request.url === "/health";
  response.writeHead(200, { "content-type": isHealth ? "text/plain" : "text/html" });
  response.end(isHealth ? "ok\n" : page);
});
server.listen(Number(port), host, () => console.log(`listening on ${host}:${port}`));
process.on("SIGTERM", () => {
  server.close();
  server.closeAllConnections();
});
