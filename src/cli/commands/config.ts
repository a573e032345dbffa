// `myco config`: looks at the configuration before the daemon does.

import type { Configuration } from "../../schema/configuration.ts";
import { EXIT } from "../exit-codes.ts";
import {
  CONFIGURATION_FILE,
  configurationFileOf,
  explainMistakes,
  loadConfiguration,
} from "../locations.ts";
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
          path === null ? parseConfiguration("", "defaults") : await withUciOf(path);
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

/** The configuration as the daemon takes it: with the settings of the UCI file it names. */
async function withUciOf(path: string): Promise<Configuration> {
  const configuration = await loadConfiguration(path);
  const { withUci } = await import("../../daemon/configuration-file.ts");
  return explainMistakes(() => withUci(configuration));
}
