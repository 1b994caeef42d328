/**
 * One configuration connection: reads config lines as they arrive and applies them when the client has closed its
 * side, so that a connection that breaks half-way changes nothing.
 * Source: spamd(8), CONFIGURATION CONNECTIONS.
 */
import type { Socket } from 'node:net'
import { type ConfigLine, ConfigLineDecoder } from '../codec/config-line-decoder.js'
import { escapeControl } from '../codec/escape.js'
import { reasonOf } from '../platform/errno-text.js'
import type { Logger } from '../platform/log.js'
import type { BlockLists, ConfigOutcome } from './block-lists.js'
import type { DebugOutput } from './debug-output.js'

/** The original waits for ever and lets one idle client block all others; set-up never pauses so long. */
export const CONFIG_IDLE_TIMEOUT_MS = 60_000
/** Ten million IPv6 prefixes as text: more is not a block list. */
export const MAX_CONFIG_BYTES = 1024 * 1024 * 1024

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
 * connection failed, timed out or sent too much: then nothing was changed. The socket is left open for an answer
 * in the first case and destroyed in the second. `firstBytes` were read from it before.
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
  return new Promise((resolve) => {
    const fail = (reason: string): void => {
      socket.removeAllListeners('data').removeAllListeners('end').destroy()
      logger.log(
        'warning',
        `configuration connection dropped: ${escapeControl(reason)}, nothing was changed`,
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
    }
    if (socket.destroyed) {
      resolve(undefined)
      return
    }
    socket.setTimeout(options.idleTimeoutMs ?? CONFIG_IDLE_TIMEOUT_MS)
    socket.on('close', () => resolve(undefined))
    socket.on('timeout', () => fail('timed out'))
    socket.on('error', (error) => fail(reasonOf(error)))
    socket.on('data', take)
    socket.on('end', () => {
      showRead(debug, 0)
      decoder.end()
      socket.setTimeout(0)
      resolve(lines.map((line) => blockLists.apply(line)))
    })
    if (firstBytes !== undefined) take(firstBytes)
    socket.resume()
  })
}

/** The original says both for each read, the one at the end included. */
function showRead(debug: DebugOutput | undefined, lengthBytes: number): void {
  debug?.out('got configuration connection')
  debug?.out(`read ${lengthBytes} config bytes`)
}
