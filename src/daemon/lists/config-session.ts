/**
 * One configuration connection: reads config lines as they arrive and applies them when the client has closed
 * its side, so that an aborted connection changes nothing. Source: spamd(8), CONFIGURATION CONNECTIONS.
 */
import type { Socket } from 'node:net'
import { type ConfigLine, ConfigLineDecoder } from '../../codec/config-line/config-line-decoder.js'
import { escapeControl } from '../../codec/escape.js'
import { setOfPrefixesInSteps } from '../../ip/prefix-ranges.js'
import { reasonOf } from '../../platform/errno-text.js'
import { freeMemory } from '../../platform/free-memory.js'
import type { Logger } from '../../platform/log.js'
import type { DebugOutput } from '../debug-output.js'
import { runInSlices } from '../run-in-slices.js'
import type { BlockLists, ConfigOutcome } from './block-lists.js'

/** The original waits forever and lets one idle client block all others; setup never pauses this long. */
const CONFIG_IDLE_TIMEOUT_MS = 60_000
/** Ten million IPv6 prefixes as text: more is not a block list. */
const MAX_CONFIG_BYTES = 1024 * 1024 * 1024

/**
 * Bytes read before other events are processed, a few milliseconds of work: a socket delivers up to 2 MiB at
 * once.
 */
const TURN_BYTES = 256 * 1024

/** From this length on, the text, the prefixes and the replaced list are worth freeing at once. */
const LARGE_BYTES = 1024 * 1024

export interface ConfigSessionOptions {
  blockLists: BlockLists
  logger: Logger
  /** Set with -d. */
  debug?: DebugOutput | undefined
  idleTimeoutMs?: number
  maxBytes?: number
}

/**
 * Reads `socket` to its end. Resolves with the outcome of each line, in order, or with undefined when the
 * connection failed, timed out or sent too much; nothing was changed then. The socket is left open for an
 * answer in the first case and destroyed in the second. `firstBytes` were read from it before.
 */
export function runConfigSession(
  socket: Socket,
  options: ConfigSessionOptions,
  firstBytes?: Uint8Array,
): Promise<ConfigOutcome[] | undefined> {
  const { blockLists, logger, debug } = options
  const maxBytes = options.maxBytes ?? MAX_CONFIG_BYTES
  const lines: ConfigLine[] = []
  const decoder = new ConfigLineDecoder((line) => lines.push(line))
  let totalBytes = 0
  let turnBytes = 0
  /** Everything has arrived: later errors of the connection do not matter. */
  let isWhole = false
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      if (isWhole) return
      socket.removeAllListeners('data').removeAllListeners('end').destroy()
      logger.log(
        'warning',
        `configuration connection dropped: ${escapeControl(reason)}; nothing was changed`,
        {
          event: 'config-dropped',
          reason,
        },
      )
      resolve(undefined)
    }
    const take = (chunk: Uint8Array): void => {
      totalBytes += chunk.length
      showRead(debug, chunk.length)
      if (totalBytes > maxBytes) fail(`more than ${maxBytes} bytes`)
      else decoder.push(chunk)
      turnBytes += chunk.length
      if (turnBytes < TURN_BYTES || socket.destroyed) return
      turnBytes = 0
      socket.pause()
      setImmediate(() => socket.resume())
    }
    if (socket.destroyed) {
      resolve(undefined)
      return
    }
    socket.setTimeout(options.idleTimeoutMs ?? CONFIG_IDLE_TIMEOUT_MS)
    socket.on('close', () => {
      if (!isWhole) resolve(undefined)
    })
    socket.on('timeout', () => fail('timed out'))
    socket.on('error', (error) => fail(reasonOf(error)))
    socket.on('data', take)
    socket.on('end', () => {
      showRead(debug, 0)
      decoder.end()
      isWhole = true
      socket.setTimeout(0)
      applyAll(lines, blockLists)
        .finally(() => {
          // The socket references these until its client closes it.
          lines.length = 0
          if (totalBytes >= LARGE_BYTES) setImmediate(freeMemory)
        })
        .then(resolve, reject)
    })
    if (firstBytes !== undefined) take(firstBytes)
    socket.resume()
  })
}

async function applyAll(lines: readonly ConfigLine[], blockLists: BlockLists): Promise<ConfigOutcome[]> {
  const outcomes: ConfigOutcome[] = []
  for (const line of lines) {
    const isList = line.kind === 'replace'
    const set = isList ? await runInSlices(setOfPrefixesInSteps(line.ipv4, line.ipv6)) : undefined
    outcomes.push(blockLists.apply(line, set))
  }
  return outcomes
}

/** The original says both for each read, the one at the end included. */
function showRead(debug: DebugOutput | undefined, lengthBytes: number): void {
  debug?.out('got configuration connection')
  debug?.out(`read ${lengthBytes} config bytes`)
}
