import { systemClock } from '../platform/clock.js'
import { gatheredInput } from '../platform/gathered-input.js'
import { writeFully, writeMessage } from '../platform/standard-output.js'
import type { ProgramIo } from './spamdb-main.js'

/** The running process as the world of a program; standard input is touched only when it is read. */
export function processIo(showHelp: () => Promise<void>): ProgramIo {
  let stdin: AsyncIterable<Uint8Array> | undefined
  return {
    writeOut: (bytes) => writeFully(1, bytes),
    writeError: writeMessage,
    get stdin() {
      stdin ??= gatheredInput(process.stdin)
      return stdin
    },
    environment: process.env,
    clock: systemClock,
    showHelp,
    openAnnouncer: async (targets) => {
      const { openEditAnnouncer } = await import('../app/announce-edits.js')
      return openEditAnnouncer(targets, {
        environment: process.env,
        clock: systemClock,
        warn: (message) => writeMessage(`spamdb: ${message}\n`),
      })
    },
  }
}
