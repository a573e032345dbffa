// `myco flow`: the line's plane: what it sees, what it decides, and what it takes flows for.

import type { AddCommand } from "../session.ts";
import { addClassifyCommand } from "./flow-classify.ts";
import { addFlowsCommands } from "./flow-flows.ts";
import { addPolicyCommands } from "./flow-policy.ts";
import { addRecordCommand } from "./flow-record.ts";
import { addReplayCommand } from "./flow-replay.ts";
import { addFlowStatusCommand } from "./flow-status.ts";

const HELP = `
The flow plane keeps the line's delay low: it measures, decides how fast to shape each
direction, and sorts flows into CAKE's tins by what they are for.`;

export const addFlowCommands: AddCommand = (parent, session, run) => {
  const flow = parent
    .command("flow")
    .description("watch the line, record and replay what is decided, say which flows matter")
    .addHelpText("after", HELP);
  for (const addCommand of [
    addFlowStatusCommand,
    addFlowsCommands,
    addClassifyCommand,
    addRecordCommand,
    addReplayCommand,
    addPolicyCommands,
  ]) {
    addCommand(flow, session, run);
  }
};
