import { type ChildProcess, fork } from 'node:child_process'

const SERVER = new URL('./spamd-smtp-server.ts', import.meta.url)

/** What the server has used since its start, and what it holds. */
export interface Report {
  cpuSec: number
  rssKib: number
  open: number
  waiting: number
}

/** The server side in a process of its own; see spamd-smtp-server.ts. */
export class ServerProcess {
  readonly #child: ChildProcess
  readonly port: number

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  static async start(mode: string, database = ''): Promise<ServerProcess> {
    const child = fork(SERVER, [mode, database], { execArgv: ['--import', 'tsx'] })
    const { port } = await nextMessage<{ port: number }>(child)
    return new ServerProcess(child, port)
  }

  async report(): Promise<Report> {
    this.#child.send('report')
    return nextMessage<Report>(this.#child)
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.send('stop')
    await ended
  }
}

function nextMessage<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`server ended with ${code}`))
    child.once('exit', onExit)
    child.once('message', (message) => {
      child.off('exit', onExit)
      resolve(message as T)
    })
  })
}
