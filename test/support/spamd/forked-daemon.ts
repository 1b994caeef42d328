/**
 * A whole spamd in a process of its own: what its event loop does is seen by its clients alone. `startDaemonProcess` runs
 * this file, whose arguments are a folder and the words of spamd's command line.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parseSpamdOptions } from '../../../src/cli/spamd/parse-spamd-options.js'
import { systemClock } from '../../../src/platform/clock.js'
import { createTestDaemon, daemonEnvironment } from './test-daemon.js'

const BLOCK_MS = 15

export interface DaemonProcess {
  port: number
  /** DNS checks that wait or run. */
  openChecks(): Promise<number>
  /**
   * How often the event loop was kept busy for BLOCK_MS of processor time or more: what other programs do at the time
   * does not count.
   */
  blocks(): Promise<number>
  stop(): Promise<void>
}

/** Starts spamd with its files in `folder`. */
export async function startDaemonProcess(folder: string, words: readonly string[]): Promise<DaemonProcess> {
  const child = fork(fileURLToPath(import.meta.url), [folder, ...words], { execArgv: ['--import', 'tsx'] })
  const answer = async (): Promise<number> => {
    const failed = once(child, 'exit').then(() => {
      throw new Error('the daemon has ended')
    })
    const [message] = (await Promise.race([once(child, 'message'), failed])) as [number]
    return message
  }
  const ask = (what: string): Promise<number> => {
    child.send(what)
    return answer()
  }
  const port = await answer()
  return {
    port,
    openChecks: () => ask('checks'),
    blocks: () => ask('blocks'),
    stop: async () => {
      const ended = once(child, 'exit')
      child.send('stop')
      await ended
    },
  }
}

async function run(folder: string, words: readonly string[]): Promise<void> {
  const parsed = parseSpamdOptions(words, {
    hostname: 'mx.example',
    maxFiles: undefined,
    environment: daemonEnvironment(folder),
  })
  if (!parsed.ok) throw new Error(parsed.stderr)
  const { service, resources } = createTestDaemon(parsed.config, systemClock)
  process.on('message', (message) => {
    if (message === 'blocks') process.send!(blocks)
    else if (message === 'checks') process.send!(service.senders?.checks.openCount ?? 0)
    else void service.stop().then(() => process.exit())
  })
  let blocks = 0
  let used = process.cpuUsage()
  setInterval(() => {
    const { user, system } = process.cpuUsage(used)
    if ((user + system) / 1000 >= BLOCK_MS) blocks += 1
    used = process.cpuUsage()
  }, 1)
  // However the tests end.
  process.on('disconnect', () => process.exit())
  await service.start()
  process.send!(resources.smtpPort)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await run(process.argv[2]!, process.argv.slice(3))
