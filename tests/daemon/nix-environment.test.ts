import { describe, expect, it } from "vitest";
import { nixEnvironment } from "../../src/daemon/nix-environment.ts";

describe("the environment of nix", () => {
  it("has a home of its own, and hands on what reaches a network and nothing else", () => {
    const env = { HOME: "/root", https_proxy: "http://p", SECRET: "x", NIX_PATH: "y" };
    const found = nixEnvironment(env, "/var/lib/myco/nix");
    expect(Object.keys(found).sort()).toEqual(["HOME", "PATH", "XDG_CACHE_HOME", "https_proxy"]);
    expect(found).toMatchObject({ HOME: "/var/lib/myco/nix", https_proxy: "http://p" });
    expect(found.PATH!.split(":")).toContain("/usr/bin");
  });
});
