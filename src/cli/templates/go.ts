// `myco init --language go`: one module without dependencies.

import type { Project, Template } from "./template.ts";

export const GO: Template = {
  package: `
pkgs.buildGoModule {
  pname = name;
  version = "0.1.0";
  src = ./.;
  # The hash of what go.mod requires; null while it requires nothing.
  vendorHash = null;
}`,
  manifest: { memory: "64M" },
  program: (project) => ({
    "go.mod": `module ${project.name}\n\ngo 1.21\n`,
    "main.go": mainText(project),
  }),
};

function mainText({ name, port }: Project): string {
  return `// ${name}: answers GET /, and on GET /health whether it is well.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "${port}"
	}
	http.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "well")
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintln(w, "hello from ${name}")
	})
	log.Printf("listening on port %s", port)
	log.Fatal(http.ListenAndServe(":"+port, nil))
}
`;
}
