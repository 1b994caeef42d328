import { runSpamlogdCall } from '../cli/spamlogd/spamlogd-main.js'
import { runSpamlogd } from '../daemon/spamlogd/run-spamlogd.js'
import { systemSpamlogdParts } from '../daemon/spamlogd/spamlogd-parts.js'
import { openWhiteAnnouncer } from '../daemon/spamlogd/white-announcer.js'
import type { Program } from './program.js'

/** `spamlogd`: follows the log of the packet filter, or replays a capture. */
export const program: Program = (argv, showHelp) => {
  const parts = systemSpamlogdParts()
  return runSpamlogdCall(argv, {
    ...parts,
    showHelp,
    run: (options) =>
      runSpamlogd(options, {
        ...parts,
        openAnnouncer: (given, logger) => openWhiteAnnouncer(given, logger, parts),
      }),
  })
}
