// `myco flow policy`: which personas are helped, and which are held back.

import type { PolicyAnswer } from "../../api/contract.ts";
import { PERSONA_TREATMENTS } from "../../schema/flow-settings.ts";
import { PERSONAS } from "../../schema/service.ts";
import { oneOf } from "../arguments.ts";
import { EXIT } from "../exit-codes.ts";
import type { Presenter } from "../presenter.ts";
import type { AddCommand } from "../session.ts";

const HELP = `
boost puts the flows of a persona one tin higher than usual, throttle puts them into the Bulk
tin. What is set here stays over restarts, and goes before the configuration.

Examples:
  $ myco flow policy
  $ myco flow policy set torrent throttle
  $ myco flow policy reset torrent`;

export const addPolicyCommands: AddCommand = (parent, session, run) => {
  const { presenter } = session;
  const policy = parent
    .command("policy")
    .description("show what is done for each persona, or change it")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(
      run(async ({ json }: { json?: boolean }) => {
        const answer = await (await session.client()).get<PolicyAnswer>("/flow/policy");
        if (json === true) presenter.json(answer.policy);
        else show(presenter, answer);
        return EXIT.ok;
      }),
    );
  policy
    .command("set")
    .description("boost or throttle a persona, or treat it as usual")
    .argument("<persona>", PERSONAS.join(", "), oneOf(PERSONAS))
    .argument("<treatment>", PERSONA_TREATMENTS.join(", "), oneOf(PERSONA_TREATMENTS))
    .action(
      run(async (persona: string, treatment: string) => {
        const client = await session.client();
        const answer = await client.put<PolicyAnswer>(`/flow/policy/${persona}`, {
          contentType: "application/json",
          bytes: JSON.stringify({ treatment }),
        });
        show(presenter, answer);
        return EXIT.ok;
      }),
    );
  policy
    .command("reset")
    .description("treat a persona as the configuration says")
    .argument("<persona>", PERSONAS.join(", "), oneOf(PERSONAS))
    .action(
      run(async (persona: string) => {
        const client = await session.client();
        show(presenter, await client.delete<PolicyAnswer>(`/flow/policy/${persona}`));
        return EXIT.ok;
      }),
    );
};

function show(presenter: Presenter, { policy }: PolicyAnswer): void {
  presenter.table(
    ["PERSONA", "TREATMENT", "FROM"],
    policy.map(({ persona, treatment, from }) => [
      persona,
      treatment === "normal"
        ? treatment
        : { text: treatment, style: treatment === "boost" ? "green" : "yellow" },
      from,
    ]),
  );
}
