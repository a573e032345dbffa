// `myco config`: looks at the configuration before the daemon does.

import { EXIT } from "../exit-codes.ts";
import { CONFIGURATION_FILE, configurationFileOf, loadConfiguration } from "../locations.ts";
import type { AddCommand } from "../session.ts";

export const addConfigCommands: AddCommand = (parent, session, run) => {
  const config = parent.command("config").description("look at the configuration");
  config
    .command("check")
    .description("tell the configuration's mistakes, or what it comes to with all defaults")
    .argument("[file]", `the configuration (default: --config, or ${CONFIGURATION_FILE})`)
    .addHelpText("after", "\nExample:\n  $ myco config check ./config.yaml")
    .action(
      run(async (file: string | undefined) => {
        const { presenter, globalOptions, world } = session;
        const path = file ?? configurationFileOf(globalOptions, world);
        const { parseConfiguration } = await import("../../schema/configuration.ts");
        const configuration =
          path === null ? parseConfiguration("", "defaults") : await loadConfiguration(path);
        presenter.remark(
          path === null
            ? `there is no ${CONFIGURATION_FILE}; these are the defaults:`
            : `${path} is well formed; with all defaults it says:`,
        );
        presenter.json(configuration);
        return EXIT.ok;
      }),
    );
};
