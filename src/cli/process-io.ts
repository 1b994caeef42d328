import { PassThrough, pipeline } from 'node:stream'
import { systemClock } from '../platform/clock.js'
import type { ProgramIo } from './spamdb-main.js'
import { writeFully } from './standard-output.js'

/** What is read of standard input before anyone asks for it; what waits is then handed over as one piece. */
const READ_AHEAD_BYTES = 1_048_576

/** The running process as the world of a program; standard input is touched only when it is read. */
export function processIo(showHelp: () => Promise<void>): ProgramIo {
  let stdin: PassThrough | undefined
  return {
    writeOut: (bytes) => writeFully(1, bytes),
    writeError: (text) => writeFully(2, Buffer.from(text)),
    get stdin() {
      stdin ??= readAhead(process.stdin)
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
        warn: (message) => writeFully(2, Buffer.from(`spamdb: ${message}\n`)),
      })
    },
  }
}

/** The end, an error and a reader that gives up are passed on between the two streams. */
function readAhead(input: NodeJS.ReadableStream): PassThrough {
  const ahead = new PassThrough({ highWaterMark: READ_AHEAD_BYTES })
  pipeline(input, ahead, () => undefined)
  return ahead
}
