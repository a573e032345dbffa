// The NixOS module's settings are the daemon's, each with its type and default.

import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { settingsOptions, settingsTable } from "./settings-options.ts";

const fileOf = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

describe("the NixOS module's settings", () => {
  it("are those of the configuration's schema", async () => {
    await expect(settingsOptions()).toMatchFileSnapshot(
      fileOf("modules/nixos/settings-options.nix"),
    );
  });

  it("stand in docs/nixos-settings.md", async () => {
    const page = `# Settings of the NixOS module

\`services.myco.settings\` holds what \`myco daemon\` reads from its configuration
([configuration](configuration.md)), by the same names and with the same defaults. This page is made
from the schema.

${settingsTable()}`;
    await expect(page).toMatchFileSnapshot(fileOf("docs/nixos-settings.md"));
  });
});
