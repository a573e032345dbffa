// `myco init --language python`: the standard library's server, and nothing to build.

import type { Project, Template } from "./template.ts";

export const PYTHON: Template = {
  package: `
pkgs.stdenvNoCC.mkDerivation {
  pname = name;
  version = "0.1.0";
  src = ./.;
  buildInputs = [ pkgs.python3 ];
  installPhase = "install -D -m 755 server.py $out/bin/\${name}";
}`,
  manifest: { memory: "64M" },
  program: (project) => ({ "server.py": serverText(project) }),
};

function serverText({ name, port }: Project): string {
  return `#!/usr/bin/env python3
"""${name}: answers GET /, and on GET /health whether it is well."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/health":
            self.answer(200, "well\\n")
        elif self.path == "/":
            self.answer(200, "hello from ${name}\\n")
        else:
            self.answer(404, "nothing here\\n")

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """A line for each request would soon be most of the log."""


port = int(os.environ.get("PORT", "${port}"))
print(f"listening on port {port}", flush=True)
ThreadingHTTPServer(("", port), Handler).serve_forever()
`;
}
