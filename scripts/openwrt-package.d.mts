export interface PackagedFile {
  readonly path: string;
  readonly mode: number;
  /** Null: a folder. */
  readonly source: string | null;
}

export interface FeedPackage {
  readonly name: string;
  readonly version: string;
  readonly section: string;
  readonly title: string;
  readonly depends: readonly string[];
  readonly userId: string | null;
  readonly license: string;
  readonly description: readonly string[];
  readonly conffiles: readonly string[];
  readonly files: readonly PackagedFile[];
}

export declare function readFeedPackage(makefile: string): FeedPackage;
