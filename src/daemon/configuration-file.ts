// The daemon's configuration: the file, and what the command line says instead.

import { readFileSync } from "node:fs";
import { parseUciFlowSettings } from "../flow/uci/flow-options.ts";
import { type Configuration, parseConfiguration } from "../schema/configuration.ts";
import { canonicalEndpoint } from "../schema/endpoint.ts";
import { readUci, ubusSocketOf } from "./uci-source.ts";

/** What the command line may say instead of the file. */
export interface ConfigurationOverrides {
  readonly dataDir?: string;
  readonly socket?: string;
  readonly listen?: readonly string[];
  readonly peers?: readonly string[];
  readonly hostname?: string;
  /** False: no DNS. */
  readonly dnsListen?: string | false;
}

/**
 * @param file null: all defaults
 * @throws ConfigurationError for its content, a system error when it cannot be read
 */
export async function loadConfiguration(
  file: string | null,
  overrides: ConfigurationOverrides,
): Promise<Configuration> {
  const text = file === null ? "" : readFileSync(file, "utf8");
  const configuration = parseConfiguration(text, file ?? "the defaults");
  return override(await withUci(configuration), overrides);
}

/**
 * The flow plane's settings as the router's own configuration has them, where one is named.
 * @throws ConfigurationError for its content, a system error when it cannot be read
 */
export async function withUci(configuration: Configuration): Promise<Configuration> {
  const { uci, ubus } = configuration;
  if (uci === null) return configuration;
  const { text, name } = await readUci(uci, ubusSocketOf(ubus));
  return { ...configuration, flow: parseUciFlowSettings(text, name) };
}

function override(base: Configuration, overrides: ConfigurationOverrides): Configuration {
  const { dnsListen, listen, dataDir = base.dataDir, ...same } = overrides;
  // The work folder moves along, unless the file puts it elsewhere.
  const movesAlong = base.engine.workDir === `${base.dataDir}/work`;
  return {
    ...base,
    ...same,
    dataDir,
    listen: listen === undefined ? base.listen : listen.map(canonical),
    engine: movesAlong ? { ...base.engine, workDir: `${dataDir}/work` } : base.engine,
    dns:
      dnsListen === undefined
        ? base.dns
        : { ...base.dns, listen: dnsListen === false ? null : canonical(dnsListen) },
  };
}

function canonical(endpoint: string): string {
  const text = canonicalEndpoint(endpoint);
  if (text !== null) return text;
  throw new TypeError(
    `found the address ${JSON.stringify(endpoint)}; allowed: an IP address and a port, such as 0.0.0.0:7946 or [::]:7946`,
  );
}
