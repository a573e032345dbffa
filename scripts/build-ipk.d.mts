import type { FeedPackage, PackagedFile } from "./openwrt-package.mjs";

export declare const FEED_PACKAGES: readonly string[];
export declare function feedPackage(name: string): FeedPackage;
export declare function buildIpk(name: string, outputFolder?: string): string;
export declare function stageFiles(files: readonly PackagedFile[], folder: string): void;
