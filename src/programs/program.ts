/**
 * A whole program: its words in, its exit code out. Its module joins what the layers below offer: the options, what it
 * opens, and what it runs. bin/ and the command of the same name both run it.
 */
export type Program = (
  argv: readonly string[],
  /** Prints the help; loads oclif only then. */
  showHelp: () => Promise<void>,
) => Promise<number>
