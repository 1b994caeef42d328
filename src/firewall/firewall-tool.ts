/**
 * How all back ends run their program: with a fixed argument vector, input from a private file, and our own
 * errors.
 */
import { constants } from 'node:os'
import { escapeControl } from '../codec/escape.js'
import { AppError } from '../platform/app-error.js'
import { reasonOf } from '../platform/errno-text.js'
import type { ProcessEnd, ProcessResult, ProcessRunner } from '../platform/run-process.js'
import { withSpooledInput } from '../platform/spooled-input.js'

/** Maximum size of a listing that is read back: about ten million prefixes. */
const MAX_LISTING_BYTES = 512 * 1024 * 1024

/** Settings that bin/spamd.js makes for a long-running daemon must not reach a program that loads a table and exits. */
const USUAL_MEMORY = {
  MALLOC_ARENA_MAX: undefined,
  MALLOC_MMAP_THRESHOLD_: undefined,
  MALLOC_TRIM_THRESHOLD_: undefined,
}

export interface FirewallTool {
  /** Path of the program. */
  program: string
  /** The setting that names another program, for hints: `SPAMD_PFCTL`. */
  setting: string
  runner: ProcessRunner
  timeoutMs: number
}

/**
 * Runs the program, with `input` on its stdin when given, else an empty pipe. An exit status other than 0 is
 * a result. Errors: `ERR_FIREWALL_MISSING`, `ERR_FIREWALL_DENIED`, `ERR_FIREWALL_TIMEOUT`,
 * `ERR_FIREWALL_FAILED` (the input could not be stored, or the program died on a signal).
 */
export async function runFirewallTool(
  tool: FirewallTool,
  args: readonly string[],
  input?: Iterable<Uint8Array>,
): Promise<ProcessResult> {
  const request = {
    program: tool.program,
    args,
    timeoutMs: tool.timeoutMs,
    maxStdoutBytes: MAX_LISTING_BYTES,
    // Messages in English, regardless of the administrator's language: some are recognised by their text.
    env: { ...process.env, LC_ALL: 'C', ...USUAL_MEMORY },
  }
  let result: ProcessResult
  try {
    result =
      input === undefined
        ? await tool.runner(request)
        : await withSpooledInput(input, (fd) => tool.runner({ ...request, stdin: { fd } }))
  } catch (error) {
    throw startError(tool, error)
  }
  if (result.hasTimedOut) {
    throw new AppError(
      'ERR_FIREWALL_TIMEOUT',
      `${tool.program} did not end within ${tool.timeoutMs / 1000} seconds and was killed`,
    )
  }
  if (result.signal !== null) throw toolFailure(tool, result)
  return result
}

/** The error of a failed run: how it ended and the program's last words. */
export function toolFailure(tool: FirewallTool, end: ProcessEnd, hint?: string): ToolError {
  const ending =
    end.signal === null
      ? `returned status ${end.exitCode ?? '?'}`
      : `died on signal ${constants.signals[end.signal]} (${end.signal})`
  const said = lastWords(end.stderrTail)
  return new ToolError(`${tool.program} ${ending}${said === '' ? '' : `: ${said}`}`, {
    hint,
    said,
    signal: end.signal,
  })
}

/** `ERR_FIREWALL_FAILED`: a program of the packet filter ran and failed. */
export class ToolError extends AppError {
  /** Its last words, see `lastWords`. */
  readonly said: string
  readonly signal: NodeJS.Signals | null

  constructor(
    message: string,
    { hint, said, signal }: { hint?: string | undefined; said: string; signal: NodeJS.Signals | null },
  ) {
    super('ERR_FIREWALL_FAILED', message, { hint })
    this.said = said
    this.signal = signal
  }
}

/** The same error, with the task at the start of its message. */
export function withContext(error: unknown, task: string): unknown {
  if (!(error instanceof AppError)) return error
  return new AppError(error.code, `${task}: ${error.message}`, { hint: error.hint, cause: error })
}

/** The last lines of a program's stderr as one safe line; empty when there were none. */
export function lastWords(stderrTail: string): string {
  const lines = stderrTail.split('\n').filter((line) => line.trim() !== '')
  return lines.slice(-3).map(escapeControl).join('; ')
}

function startError(tool: FirewallTool, error: unknown): unknown {
  if (!(error instanceof AppError)) {
    return new AppError(
      'ERR_FIREWALL_FAILED',
      `cannot store the input of ${tool.program}: ${reasonOf(error)}`,
      {
        hint: 'the folder for temporary files (TMPDIR) must be writable and have enough space for the list',
        cause: error,
      },
    )
  }
  const isMissing = error.code === 'ERR_PROCESS_MISSING'
  const isDenied = error.code === 'ERR_PROCESS_DENIED'
  const hint = isMissing ? `install it, or name another with ${tool.setting} or --firewall` : error.hint
  const code = isMissing ? 'ERR_FIREWALL_MISSING' : isDenied ? 'ERR_FIREWALL_DENIED' : 'ERR_FIREWALL_FAILED'
  return new AppError(code, error.message, { hint, cause: error })
}
