// `npm run lab:shell`: boots machines and gives the first one the terminal.

import type { Guests, Laboratory } from "./laboratory.ts";

/** Ends when the first machine does. */
export async function openTerminal(laboratory: Laboratory, set: Guests): Promise<void> {
  const [first, ...others] = set.list;
  if (first === undefined) return;
  first.start({ terminal: true });
  await laboratory.installMyco(set);
  await Promise.all([first, ...others].map((machine) => machine.connect()));
  const matchSize = (): void => {
    const { rows, columns } = process.stdout;
    const command = `stty -F /dev/hvc0 rows ${rows ?? 24} columns ${columns ?? 80}`;
    void first.execute(command).catch(() => {});
  };
  matchSize();
  process.stdout.on("resize", matchSize);
  await first.waitForShutdown();
}
