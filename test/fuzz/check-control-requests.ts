import { answerRequest, type RequestHandler } from '../../src/daemon/control-server.js'
import { AppError } from '../../src/platform/app-error.js'
import { demand } from './demand.js'

/** Handlers that answer, give back what they were asked, fail as expected, and fail as nothing should. */
const HANDLERS: Readonly<Record<string, RequestHandler>> = {
  stats: () => ({ connections: 3 }),
  echo: ({ value }) => value,
  slow: async (request) => request,
  nothing: () => undefined,
  fails: () => {
    throw new AppError('ERR_SYNC_OFF', 'nothing is synchronised')
  },
  breaks: ({ value }) => (value as { of: { it: string } }).of.it.length,
  'is-no-json': () => 1n,
}

/** Answers a request; throws for whatever must hold for any bytes and does not. Returns what became of it. */
export async function checkControlRequest(bytes: Buffer): Promise<string> {
  const answer = await answerRequest(bytes.toString('utf8'), HANDLERS)
  demand(!answer.includes('\n'), 'an answer is more than a line')
  const reply = JSON.parse(answer) as { ok: unknown; error?: { code?: unknown; message?: unknown } }
  demand(typeof reply.ok === 'boolean', 'an answer does not tell whether it is one')
  if (reply.ok === true) return 'answered'
  const { code, message } = reply.error ?? {}
  demand(typeof code === 'string' && /^ERR_[A-Z_]+$/.test(code), 'a refusal has no code')
  demand(typeof message === 'string' && message !== '', 'a refusal has no reason')
  demand(!/[\u0000-\u001f\u007f-\u009f]/.test(String(message)), 'a refusal holds a control character')
  return String(code)
}
