/**
 * The Unix socket of the running spamd, for setup and the status commands; the file's permissions decide who
 * may use it. A connection whose first byte is `{` carries one request, a JSON object on a line:
 *
 *     {"request":"stats"}
 *
 * and is answered with one JSON object on a line, `{"ok":true,"result":…}` or `{"ok":false,"error":…}`. Any
 * other connection carries config lines as on the configuration port; they take effect when the client closes
 * its side, and each is answered with one JSON object on a line. Documented in
 * docs/protocol/control-socket.md.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { escapeControl } from '../codec/escape.js'
import { AppError } from '../platform/app-error.js'
import { reasonOf } from '../platform/errno-text.js'
import { ControlSeats } from './control-seats.js'
import type { ConfigOutcome } from './lists/block-lists.js'
import { type ConfigSessionOptions, runConfigSession } from './lists/config-session.js'

/**
 * Requests are a word and a few options.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_REQUEST_BYTES = 64 * 1024
/** For a request as a whole, and for the first config line to begin: programs send at once. */
const REQUEST_TIMEOUT_MS = 15_000
/** Time for a client to continue reading its answer. */
const ANSWER_TIMEOUT_MS = 60_000
const OPEN_BRACE = 0x7b
const LF = 0x0a

/** Answers one kind of request: those of spamd are `ControlHandlers`. */
export type RequestHandler = (request: Readonly<Record<string, unknown>>) => unknown

export interface ControlServerOptions extends ConfigSessionOptions {
  /** By the value of `request`. What they return must be JSON; their `AppError`s reach the client. */
  handlers: Readonly<Record<string, RequestHandler>>
  requestTimeoutMs?: number
}

/** A server that is not yet listening. */
export function createControlServer(options: ControlServerOptions): Server {
  const seats = new ControlSeats(options.logger)
  return createServer({ allowHalfOpen: true }, (socket) => {
    seats.admit(socket)
    const deadline = setTimeout(() => socket.destroy(), options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS)
    socket.once('close', () => clearTimeout(deadline))
    socket.on('error', () => socket.destroy())
    socket.once('end', () => socket.end())
    socket.once('data', (chunk: Buffer) => {
      socket.pause().removeAllListeners('end')
      if (chunk[0] === OPEN_BRACE) {
        readRequest(socket, chunk, options.handlers, () => {
          clearTimeout(deadline)
          seats.beginAnswer(socket)
          return () => finish(socket, seats, options)
        })
      } else {
        clearTimeout(deadline)
        void configure(socket, chunk, options, seats)
      }
    })
  })
}

/** Does not wait for a client that does not read its answer, or does not disconnect. */
function finish(socket: Socket, seats: ControlSeats, options: ControlServerOptions): void {
  seats.endAnswer(socket)
  socket.setTimeout(options.idleTimeoutMs ?? ANSWER_TIMEOUT_MS, () => socket.destroy())
}

/** `onWhole` is called when the request has arrived; the function that it returns, when the answer is written. */
function readRequest(
  socket: Socket,
  firstBytes: Buffer,
  handlers: ControlServerOptions['handlers'],
  onWhole: () => () => void,
): void {
  const chunks: Buffer[] = []
  let totalBytes = 0
  let isAnswered = false
  const answer = (): void => {
    if (isAnswered) return
    isAnswered = true
    const line = Buffer.concat(chunks)
    const end = line.indexOf(LF)
    const onWritten = onWhole()
    void answerRequest(line.toString('utf8', 0, end < 0 ? line.length : end), handlers).then((reply) => {
      socket.end(`${reply}\n`)
      onWritten()
    })
  }
  const take = (chunk: Buffer): void => {
    totalBytes += chunk.length
    if (totalBytes > MAX_REQUEST_BYTES) {
      socket.destroy()
      return
    }
    if (isAnswered) return
    chunks.push(chunk)
    if (chunk.includes(LF)) answer()
  }
  socket.on('data', take)
  socket.on('end', answer)
  take(firstBytes)
  socket.resume()
}

/**
 * The answer to one request, a JSON object on one line without its end. Never rejects, whatever the line is.
 * @internal Fuzzed without a socket, of which each input would need one.
 */
export async function answerRequest(
  line: string,
  handlers: ControlServerOptions['handlers'],
): Promise<string> {
  try {
    return JSON.stringify(await replyTo(line, handlers))
  } catch {
    // The request itself, or an answer that is no JSON.
    return JSON.stringify(refusal('ERR_REQUEST_FAILED', 'the request could not be answered'))
  }
}

function refusal(code: string, message: string): unknown {
  return { ok: false, error: { code, message } }
}

async function replyTo(line: string, handlers: ControlServerOptions['handlers']): Promise<unknown> {
  let request: unknown
  try {
    request = JSON.parse(line)
  } catch {
    return refusal('ERR_REQUEST_SYNTAX', 'the request is not JSON')
  }
  if (typeof request !== 'object' || request === null) {
    return refusal('ERR_REQUEST_SYNTAX', 'the request is not an object')
  }
  const fields = request as { readonly [name: string]: unknown; request?: unknown }
  // A value sent by the client may be anything, even an object that cannot be converted to text.
  const name = typeof fields.request === 'string' ? fields.request : JSON.stringify(fields.request)
  const handler =
    typeof fields.request === 'string' && Object.hasOwn(handlers, name) ? handlers[name] : undefined
  if (handler === undefined) {
    return refusal('ERR_REQUEST_UNKNOWN', `unknown request ${escapeControl(String(name).slice(0, 80))}`)
  }
  try {
    return { ok: true, result: await handler(fields) }
  } catch (error) {
    return refusal(error instanceof AppError ? error.code : 'ERR_REQUEST_FAILED', reasonOf(error))
  }
}

async function configure(
  socket: Socket,
  firstBytes: Buffer,
  options: ControlServerOptions,
  seats: ControlSeats,
): Promise<void> {
  socket.once('end', () => seats.beginAnswer(socket))
  let outcomes: ConfigOutcome[] | undefined
  try {
    outcomes = await runConfigSession(socket, options, firstBytes)
  } catch (error) {
    options.logger.log('err', `configuration failed: ${escapeControl(reasonOf(error))}`)
    socket.destroy()
    return
  }
  if (outcomes === undefined) return
  socket.end(outcomes.map((outcome) => `${JSON.stringify(answerOf(outcome))}\n`).join(''))
  finish(socket, seats, options)
}

function answerOf(outcome: ConfigOutcome): unknown {
  const list = escapeControl(outcome.name)
  switch (outcome.result) {
    case 'added':
    case 'replaced':
      return { result: outcome.result, list, entries: outcome.entryCount }
    case 'cleared':
      return { result: 'cleared', list, known: outcome.isKnown }
    case 'refused':
      return { result: 'refused', list, reason: escapeControl(outcome.reason) }
  }
}
