// `myco health`: is all well on this node? For people, and for probes by its exit code.

import type { HealthAnswer } from "../../api/contract.ts";
import { EXIT } from "../exit-codes.ts";
import type { AddCommand } from "../session.ts";

export const addHealthCommand: AddCommand = (parent, session, run) => {
  parent
    .command("health")
    .description("tell whether all is well on this node (exit code 0) or not (1)")
    .option("--json", "print JSON")
    .action(
      run(async (options: { json?: boolean }) => {
        const { presenter } = session;
        const health = await (await session.client()).getWhateverStatus<HealthAnswer>("/health");
        if (options.json === true) {
          presenter.json(health);
        } else if (health.ok) {
          presenter.line(`${presenter.paint("green", "✓")} all is well`);
        }
        if (options.json !== true) {
          for (const { code, message } of health.problems) {
            presenter.line(`${presenter.paint("red", "problem:")} ${message} (${code})`);
          }
        }
        return health.ok ? EXIT.ok : EXIT.failed;
      }),
    );
};
