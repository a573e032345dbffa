// `myco persona`: rules of one's own, which win over what the wire says of a flow.

import type { PersonaRuleAnswer, PersonaRulesAnswer } from "../../api/contract.ts";
import { SERVICES } from "../../flow/interface.ts";
import { PERSONAS } from "../../schema/service.ts";
import { oneOf } from "../arguments.ts";
import { EXIT } from "../exit-codes.ts";
import type { AddCommand } from "../session.ts";

interface Conditions {
  readonly device?: string;
  readonly name?: string;
  readonly port?: string;
  readonly service?: string;
}

const HELP = `
A rule says what flows are for: those of a device, with a server of a name, on a port, or taken
for a service; all that it names must fit. The one that names most is asked first.

Examples:
  $ myco persona add gaming --device 02:00:5e:10:00:01
  $ myco persona add bulk --name backup.example.org
  $ myco persona add voip --port udp/10000-20000 --device 192.168.1.7
  $ myco persona list
  $ myco persona delete 2`;

export const addPersonaCommands: AddCommand = (parent, session, run) => {
  const { presenter } = session;
  const persona = parent
    .command("persona")
    .description("say what flows are for, by rules of your own")
    .addHelpText("after", HELP);
  persona
    .command("list")
    .description("list the rules")
    .option("--json", "print JSON")
    .action(
      run(async ({ json }: { json?: boolean }) => {
        const { rules } = await (await session.client()).get<PersonaRulesAnswer>("/persona");
        if (json === true) presenter.json(rules);
        else if (rules.length === 0) presenter.remark('no rule yet; "myco persona add" adds one');
        else
          presenter.table(["ID", "PERSONA", "DEVICE", "NAME", "PORT", "SERVICE"], rules.map(toRow));
        return EXIT.ok;
      }),
    );
  persona
    .command("add")
    .description("add a rule")
    .argument("<persona>", PERSONAS.join(", "), oneOf(PERSONAS))
    .option("--device <address>", "a device, by hardware or IP address")
    .option("--name <name>", "a server's name, and all below it")
    .option("--port <port>", "tcp/PORT, udp/PORT or a range, such as udp/27000-27050")
    .option("--service <service>", "what a flow is taken for", oneOf(SERVICES))
    .addHelpText("after", HELP)
    .action(
      run(async (persona: string, conditions: Conditions) => {
        const client = await session.client();
        const { rule } = await client.post<PersonaRuleAnswer>("/persona", {
          contentType: "application/json",
          bytes: JSON.stringify({ persona, ...conditions }),
        });
        presenter.line(`rule ${rule.id}: ${rule.persona} for ${describe(rule)}`);
        return EXIT.ok;
      }),
    );
  persona
    .command("delete")
    .description("delete a rule")
    .argument("<id>", "its number in the list")
    .action(
      run(async (id: string) => {
        const client = await session.client();
        const path = `/persona/${encodeURIComponent(id)}`;
        const { rule } = await client.delete<PersonaRuleAnswer>(path);
        presenter.line(`rule ${rule.id} is deleted: ${rule.persona} for ${describe(rule)}`);
        return EXIT.ok;
      }),
    );
};

type Rule = PersonaRuleAnswer["rule"];

function toRow({ id, persona, device, name, port, service }: Rule): string[] {
  return [String(id), persona, ...[device, name, port, service].map((each) => each ?? "any")];
}

function describe({ device, name, port, service }: Rule): string {
  return [device, name, port, service].filter((each) => each !== null).join(", ");
}
