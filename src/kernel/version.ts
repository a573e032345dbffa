// The program's version, equal to package.json's: a test compares the two.

export const VERSION = "0.1.0";
