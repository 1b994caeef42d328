/**
 * The loggers of the daemons: stderr in the foreground, the journal under systemd, else syslog. Node has no
 * datagram Unix sockets, so logger(1), which every system has, passes the lines to syslogd.
 */
import type { Writable } from 'node:stream'
import { LOG_LEVELS, type LogFields, type Logger, type LogLevel } from './log.js'
import { losesUnwritable } from './lossy-output.js'
import { spawnLineSink } from './run-process.js'
import { endsWithin } from './within.js'

/** Facility daemon, and the numbers of the levels. Source: syslog(3), sys/syslog.h. */
const FACILITY_DAEMON = 3
const SEVERITY: Readonly<Record<LogLevel, number>> = { err: 3, warning: 4, notice: 5, info: 6, debug: 7 }
/** Maximum size of unwritten log text when syslogd stalls; beyond it lines are dropped and counted. */
const MAX_BACKLOG_BYTES = 4 * 1024 * 1024
/** How long to wait at the end for the lines to be accepted. */
const FLUSH_WAIT_MS = 1_000
/** util-linux's logger truncates messages at 1 KiB by default. */
const MAX_MESSAGE_BYTES = '8192'

export type LogFormat = 'classic' | 'json'

export interface LogOptions {
  /** Program name: the syslog tag. */
  program: string
  format: LogFormat
  /** Foreground: lines go to stderr (with `<N>` level prefixes when that is the systemd journal). */
  toStderr: boolean
  /** Least severe level that is written; default `debug`, because syslogd filters by itself. */
  threshold?: LogLevel
}

/** Opens the log of a daemon. */
export function openLog(options: LogOptions, environment: NodeJS.ProcessEnv = process.env): Logger {
  const limit = LOG_LEVELS.indexOf(options.threshold ?? 'debug')
  const isJournal = environment.JOURNAL_STREAM !== undefined
  const sink = options.toStderr
    ? new StreamSink(losesUnwritable(process.stderr), { hasLevelPrefix: isJournal })
    : new SyslogSink(options.program)
  return {
    log(level, message, fields) {
      if (LOG_LEVELS.indexOf(level) > limit) return
      sink.write(
        level,
        options.format === 'json' ? jsonLine(options.program, level, message, fields) : message,
      )
    },
    flush: () => sink.flush(),
  }
}

function jsonLine(program: string, level: LogLevel, message: string, fields: LogFields | undefined): string {
  return JSON.stringify({
    time: new Date().toISOString(),
    program,
    pid: process.pid,
    level,
    message,
    ...fields,
  })
}

interface Sink {
  write(level: LogLevel, line: string): void
  flush(): Promise<void>
}

class StreamSink implements Sink {
  readonly #stream: Writable
  readonly #hasLevelPrefix: boolean

  constructor(stream: Writable, { hasLevelPrefix }: { hasLevelPrefix: boolean }) {
    this.#stream = stream
    this.#hasLevelPrefix = hasLevelPrefix
  }

  write(level: LogLevel, line: string): void {
    this.#stream.write(this.#hasLevelPrefix ? `<${SEVERITY[level]}>${line}\n` : `${line}\n`)
  }

  async flush(): Promise<void> {
    await new Promise<void>((resolve) => this.#stream.write('', () => resolve()))
  }
}

/**
 * One logger(1) child: that of util-linux reads the level of each line from a prefix; elsewhere there is one
 * child per level. A child that died is restarted with the next line.
 */
class SyslogSink implements Sink {
  readonly #tag: string
  readonly #hasPrefixOption = process.platform === 'linux'
  readonly #children = new Map<LogLevel, ReturnType<typeof spawnLineSink> & { ended: Promise<void> }>()
  #droppedCount = 0

  constructor(program: string) {
    this.#tag = `${program}[${process.pid}]`
  }

  write(level: LogLevel, line: string): void {
    const { stdin } = this.#childFor(level)
    if (stdin.writableLength > MAX_BACKLOG_BYTES) {
      this.#droppedCount += 1
      return
    }
    if (this.#droppedCount > 0) {
      const lost = `${this.#droppedCount} log lines dropped: syslog did not accept them in time`
      this.#droppedCount = 0
      this.write('warning', lost)
    }
    stdin.write(this.#hasPrefixOption ? `<${FACILITY_DAEMON * 8 + SEVERITY[level]}>${line}\n` : `${line}\n`)
  }

  async flush(): Promise<void> {
    const children = [...this.#children.values()]
    this.#children.clear()
    for (const { child, stdin } of children) {
      // Waited for from here on: a program with nothing else to do would otherwise end in the middle of this
      // call.
      child.ref()
      stdin.end()
    }
    await endsWithin(Promise.all(children.map((child) => child.ended)), FLUSH_WAIT_MS)
    // A logger(1) that does not read is left behind with what it has.
    for (const { child, stdin } of children) {
      stdin.destroy()
      child.unref()
    }
  }

  #childFor(level: LogLevel): { stdin: Writable } {
    const slot = this.#hasPrefixOption ? 'debug' : level
    const running = this.#children.get(slot)
    if (running !== undefined) return running
    const args = this.#hasPrefixOption
      ? ['--tag', this.#tag, '--prio-prefix', '--size', MAX_MESSAGE_BYTES]
      : ['-t', this.#tag, '-p', `daemon.${level}`]
    const { child, stdin } = spawnLineSink('logger', args)
    const ended = new Promise<void>((resolve) => {
      const forget = () => {
        if (this.#children.get(slot)?.stdin === stdin) this.#children.delete(slot)
        resolve()
      }
      child.once('close', forget)
      child.once('error', forget)
    })
    stdin.on('error', () => undefined)
    // Waiting log lines must not keep an otherwise finished program alive.
    child.unref()
    const started = { child, stdin, ended }
    this.#children.set(slot, started)
    return started
  }
}
