import { runSpamdb } from '../cli/spamdb/spamdb-main.js'
import { systemSpamdbParts } from '../cli/spamdb/spamdb-parts.js'
import { rawArguments } from '../platform/raw-arguments.js'
import type { Program } from './program.js'

/** `spamdb`: one call against the database. */
export const program: Program = (argv, showHelp) => runSpamdb(rawArguments(argv), systemSpamdbParts(showHelp))
