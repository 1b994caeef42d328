/** Sends config lines to the running spamd, one connection per line, like the original. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { escapeControl } from '../../codec/escape.js'
import { AppError, isSystemError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { connectFromReservedPort, type ReservedSockets } from '../../platform/reserved-port.js'

/** How long spamd may take without any activity. */
export interface DeliveryTimeouts {
  /** To read on. */
  sendMs: number
  /** To close the connection, which it does when it has accepted the line. */
  closeMs: number
}

/** spamd serves one configuration connection at a time; a list of millions takes it a few seconds. */
const DEFAULT_TIMEOUTS: DeliveryTimeouts = { sendMs: 60_000, closeMs: 10_000 }

const SILENT_HINT = 'check the program that listens there, then run spamd-setup again'

/** Maximum size of an answer that is examined: a few lines of JSON. */
const MAX_ANSWER_BYTES = 65_536

/** A config line in pieces. */
type LineBytes = Iterable<Uint8Array> | AsyncIterable<Uint8Array>

type ConfigPlace =
  /** The configuration port of this machine, from a source port below 1024. */
  | { kind: 'port'; port: number; sockets?: ReservedSockets | undefined }
  /** The Unix socket of our own spamd, which answers each line with a JSON object. */
  | { kind: 'socket'; path: string }

/** Where the running spamd accepts config lines; other `timeouts` than the default ones are for tests. */
export type ConfigTarget = ConfigPlace & { timeouts?: DeliveryTimeouts | undefined }

/**
 * Sends one config line on a connection of its own; its pieces may be overwritten by the next one. Errors:
 * `ERR_SPAMD_CONNECT` with the original's text, whose cause is the system's error; `ERR_SPAMD_SILENT` when
 * spamd neither reads nor closes the connection; `ERR_SPAMD_REFUSED` when it refuses the line.
 */
export async function sendConfigLine(target: ConfigTarget, line: LineBytes): Promise<void> {
  let answer: string
  try {
    answer = await sendAndClose(await openConnection(target), line, target)
  } catch (error) {
    if (!isSystemError(error)) throw error
    const where = nameOfTarget(target)
    throw new AppError('ERR_SPAMD_CONNECT', `Can't connect to spamd on ${where}: ${reasonOf(error)}`, {
      cause: error,
      hint: hintFor(target, error.code),
    })
  }
  if (target.kind === 'socket') checkAnswer(answer)
}

/** True when nobody listens: then there is no spamd that could have a list. */
export function isSpamdAbsent(error: unknown): boolean {
  if (!(error instanceof AppError) || !isSystemError(error.cause)) return false
  return error.cause.code === 'ECONNREFUSED' || error.cause.code === 'ENOENT'
}

async function openConnection(target: ConfigTarget): Promise<Socket> {
  if (target.kind === 'port') {
    if (target.sockets !== undefined) return target.sockets.connect({ host: '127.0.0.1', port: target.port })
    return connectFromReservedPort({ host: '127.0.0.1', port: target.port, localAddress: '127.0.0.1' })
  }
  const socket = connect(target.path)
  await once(socket, 'connect')
  return socket
}

function nameOfTarget(target: ConfigPlace): string {
  return target.kind === 'port' ? `port ${target.port}` : target.path
}

async function sendAndClose(socket: Socket, line: LineBytes, target: ConfigTarget): Promise<string> {
  const { sendMs, closeMs } = target.timeouts ?? DEFAULT_TIMEOUTS

  const closed = once(socket, 'close')
  // Also handled by `closed`; without this it would be unhandled while the line is still being written.
  closed.catch(() => undefined)
  let silence = `read nothing for ${sendMs / 1000} s`
  socket.setTimeout(sendMs)
  socket.on('timeout', () => {
    const message = `spamd on ${nameOfTarget(target)} ${silence}`
    socket.destroy(new AppError('ERR_SPAMD_SILENT', message, { hint: SILENT_HINT }))
  })
  let answer = ''
  socket.setEncoding('utf8')
  socket.on('data', (text: string) => {
    if (answer.length < MAX_ANSWER_BYTES) answer += text
  })
  try {
    for await (const chunk of line) await written(socket, chunk)
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.end(resolve)
    })
  } catch (error) {
    // A pending write is only notified that the socket is gone.
    throw socket.errored ?? error
  }
  silence = `did not end the connection within ${closeMs / 1000} s: it may not have accepted the list`
  socket.setTimeout(closeMs)
  await closed
  return answer
}

/** Resolves when the memory of the chunk may be used again. */
function written(socket: Socket, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(chunk, (error) => (error ? reject(error) : resolve()))
  })
}

function checkAnswer(answer: string): void {
  let reason: unknown = 'no answer'
  try {
    const { result, reason: given } = JSON.parse(answer.split('\n', 1)[0] ?? '') as Record<string, unknown>
    if (result !== 'refused' && result !== undefined) return
    reason = given
  } catch {
    // Not the answer of a spamd that accepted the line.
  }
  throw new AppError('ERR_SPAMD_REFUSED', `spamd did not accept the list: ${escapeControl(String(reason))}`)
}

function hintFor(target: ConfigTarget, code: string): string | undefined {
  if (code !== 'EACCES' && code !== 'EPERM') return undefined
  return target.kind === 'port'
    ? 'spamd accepts lists from source ports below 1024 only: run as root, or use --config-socket'
    : 'run as root, or as a member of the group of spamd'
}
