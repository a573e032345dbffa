// `myco init --language node`: one module without dependencies.

import type { Project, Template } from "./template.ts";

export const NODE: Template = {
  package: `
pkgs.stdenvNoCC.mkDerivation {
  pname = name;
  version = "0.1.0";
  src = ./.;
  buildInputs = [ pkgs.nodejs ];
  installPhase = "install -D -m 755 server.mjs $out/bin/\${name}";
}`,
  // Node compiles as it runs.
  manifest: { memory: "128M", jit: true },
  program: (project) => ({ "server.mjs": serverText(project) }),
};

function serverText({ name, port }: Project): string {
  return `#!/usr/bin/env node
// ${name}: answers GET /, and on GET /health whether it is well.

import { createServer } from "node:http";

const port = Number(process.env.PORT ?? ${port});
const answers = { "/": "hello from ${name}\\n", "/health": "well\\n" };

const server = createServer((request, response) => {
  const text = answers[request.url];
  response.writeHead(text === undefined ? 404 : 200, { "content-type": "text/plain; charset=utf-8" });
  response.end(text ?? "nothing here\\n");
});

server.listen(port, () => console.log(\`listening on port \${port}\`));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
`;
}
