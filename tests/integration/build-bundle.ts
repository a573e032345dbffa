// Builds the program once, before the suites that start it.
export async function setup(): Promise<void> {
  const { buildMyco } = await import(new URL("../../scripts/build.mjs", import.meta.url).href);
  await buildMyco();
}
