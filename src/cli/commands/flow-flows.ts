// `myco flow flows` and `myco flow devices`: what flows were recognised as, and what devices do.

import type { DevicesAnswer, FlowsAnswer } from "../../api/contract.ts";
import { API_FLOWS_MAX } from "../../kernel/limits.ts";
import { integerBetween } from "../arguments.ts";
import { EXIT } from "../exit-codes.ts";
import { formatBytes } from "../presenter.ts";
import type { AddCommand } from "../session.ts";

interface FlowsOptions {
  readonly limit: number;
  readonly json?: boolean;
}

const LIMIT_DEFAULT = 30;

export const addFlowsCommands: AddCommand = (parent, session, run) => {
  const { presenter } = session;
  parent
    .command("flows")
    .description("list the busiest flows: persona, service, the signals that spoke")
    .option(
      "-n, --limit <number>",
      "how many at most",
      integerBetween(1, API_FLOWS_MAX),
      LIMIT_DEFAULT,
    )
    .option("--json", "print JSON")
    .action(
      run(async ({ limit, json }: FlowsOptions) => {
        const client = await session.client();
        const { flows } = await client.get<FlowsAnswer>(`/flow/flows?limit=${limit}`);
        if (json === true) presenter.json(flows);
        else if (flows.length === 0) presenter.remark("no flow was seen yet");
        else {
          presenter.table(
            ["PERSONA", "SERVICE", "SURE", "SIGNALS", "DOWN", "UP", "DEVICE", "WITH"],
            flows.map(({ key, persona, service, confidence, signals, hostname, ...carried }) => [
              persona,
              service,
              `${Math.round(confidence * 100)} %`,
              signals.join(" ") || "-",
              formatBytes(carried.downloadBytes),
              formatBytes(carried.uploadBytes),
              key.client,
              hostname ?? `${key.server}:${key.serverPort}`,
            ]),
          );
        }
        return EXIT.ok;
      }),
    );
  parent
    .command("devices")
    .description("list the devices behind the router, and what each does most")
    .option("--json", "print JSON")
    .action(
      run(async ({ json }: { json?: boolean }) => {
        const client = await session.client();
        const { devices } = await client.get<DevicesAnswer>("/flow/devices");
        if (json === true) presenter.json(devices);
        else if (devices.length === 0) presenter.remark("no device was seen yet");
        else {
          presenter.table(
            ["DEVICE", "MAC", "PERSONA", "FLOWS", "DOWN", "UP"],
            devices.map(({ address, mac, persona, flowCount, downloadBytes, uploadBytes }) => [
              address,
              mac ?? "-",
              persona,
              String(flowCount),
              formatBytes(downloadBytes),
              formatBytes(uploadBytes),
            ]),
          );
        }
        return EXIT.ok;
      }),
    );
};
