import { isatty } from 'node:tty'
import { systemClock } from '../../platform/clock.js'
import { writeFully, writeMessage } from '../../platform/standard-output.js'
import type { SpamdbParts } from './spamdb-main.js'

/** The running process as the parts of spamdb; standard input is used only when it is read. */
export function systemSpamdbParts(showHelp: () => Promise<void>): SpamdbParts {
  return {
    writeOut: (bytes) => writeFully(1, bytes),
    writeError: writeMessage,
    stdin: { [Symbol.asyncIterator]: readStdin },
    environment: process.env,
    clock: systemClock,
    showHelp,
    terminalWidth: () => (process.stdout.isTTY === true ? process.stdout.columns || 80 : undefined),
    // Determined when needed: isatty loads Node's network code, which costs more than a lookup.
    get ask() {
      return isatty(0) && isatty(2) ? askOnTerminal : undefined
    },
    openAnnouncer: async (targets) => {
      const { openEditAnnouncer } = await import('../../app/sync/announce-edits.js')
      return openEditAnnouncer(targets, {
        environment: process.env,
        clock: systemClock,
        warn: (message) => writeMessage(`spamdb: ${message}\n`),
      })
    },
  }
}

/** Nothing is read, nor even loaded, before the first part is requested: most runs do not need it. */
async function* readStdin(): AsyncGenerator<Uint8Array> {
  const { gatheredInput } = await import('../../platform/gathered-input.js')
  yield* gatheredInput(process.stdin)
}

async function askOnTerminal(question: string): Promise<string> {
  const { createInterface } = await import('node:readline/promises')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  // End of input is not an answer.
  const ended = new Promise<string>((resolve) => terminal.once('close', () => resolve('')))
  try {
    return await Promise.race([terminal.question(question), ended])
  } finally {
    terminal.close()
  }
}
