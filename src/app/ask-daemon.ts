/** Queries the running spamd through its Unix socket. Source: docs/protocol/control-socket.md. */
import { connect } from 'node:net'
import { AppError } from '../platform/app-error.js'
import { reasonOf } from '../platform/errno-text.js'
import { isErrorCode } from '../platform/error-codes.js'
import type { AnswerTo, ControlRequest, ControlRequests } from './control-protocol.js'

/** A list of 100,000 connections takes about 30 MB; more is not a valid answer. */
const MAX_ANSWER_BYTES = 128 * 1024 * 1024
/** The daemon answers from memory. */
const ANSWER_TIMEOUT_MS = 10_000

/**
 * The result of one request, which may have fields. Errors: `AppError` `ERR_DAEMON_GONE` (no answer),
 * `ERR_DAEMON_DENIED` (no permission for the socket), `ERR_DAEMON_ANSWER` (not an answer, or late), or the
 * daemon's own code.
 */
export async function askDaemon<Request extends ControlRequest>(
  socketPath: string,
  request: Request,
  fields?: ControlRequests[Request]['fields'],
): Promise<AnswerTo<Request>> {
  const text = await exchange(socketPath, `${JSON.stringify({ request, ...fields })}\n`)
  let answer: { ok?: unknown; result?: unknown; error?: { code?: unknown; message?: unknown } }
  try {
    answer = JSON.parse(text) as typeof answer
  } catch {
    throw new AppError('ERR_DAEMON_ANSWER', `${socketPath}: the reply is not from spamd`)
  }
  // It comes from our own daemon, whose handlers have these types; an older one may omit fields.
  if (answer.ok === true) return answer.result as AnswerTo<Request>
  throw new AppError(
    isErrorCode(answer.error?.code) ? answer.error.code : 'ERR_DAEMON_ANSWER',
    typeof answer.error?.message === 'string' ? answer.error.message : `${socketPath}: no answer`,
  )
}

function exchange(socketPath: string, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let totalBytes = 0
    const socket = connect(socketPath)
    const fail = (error: AppError): void => {
      socket.destroy()
      reject(error)
    }
    socket.setTimeout(ANSWER_TIMEOUT_MS, () =>
      fail(new AppError('ERR_DAEMON_ANSWER', `${socketPath}: spamd does not answer`)),
    )
    socket.on('connect', () => socket.write(line))
    socket.on('error', (error) => fail(connectError(socketPath, error)))
    socket.on('data', (chunk: Buffer) => {
      totalBytes += chunk.length
      if (totalBytes > MAX_ANSWER_BYTES) {
        fail(new AppError('ERR_DAEMON_ANSWER', `${socketPath}: answer longer than ${MAX_ANSWER_BYTES} bytes`))
      } else chunks.push(chunk)
    })
    socket.on('end', () => {
      socket.end()
      resolve(Buffer.concat(chunks).toString('utf8'))
    })
  })
}

function connectError(socketPath: string, error: NodeJS.ErrnoException): AppError {
  const isDenied = error.code === 'EACCES' || error.code === 'EPERM'
  return new AppError(
    isDenied ? 'ERR_DAEMON_DENIED' : 'ERR_DAEMON_GONE',
    `cannot reach spamd at ${socketPath}: ${reasonOf(error)}`,
    {
      hint: isDenied
        ? 'run it as root, or as a member of the group that owns the socket'
        : 'is spamd running? if its socket is elsewhere, use --config-socket or SPAMD_CONTROL_SOCKET',
      cause: error,
    },
  )
}
