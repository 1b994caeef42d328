import { readFileSync } from 'node:fs'
import { type ProcessRunner, runProcess } from './run-process.js'
import { currentSystem } from './settings.js'

/**
 * Name of the interface of the default IPv4 route, undefined when there is none or it is unknown. Linux:
 * /proc/net/route, elsewhere route(8): `interface: em0`.
 */
export async function findDefaultInterface(run: ProcessRunner = runProcess): Promise<string | undefined> {
  try {
    if (currentSystem() === 'linux') return defaultOfProcRoute(readFileSync('/proc/net/route', 'latin1'))
    const { stdout } = await run({
      program: 'route',
      args: ['-n', 'get', 'default'],
      timeoutMs: 5_000,
      maxStdoutBytes: 64 * 1024,
    })
    return /^\s*interface: (\S+)$/m.exec(stdout.toString('latin1'))?.[1]
  } catch {
    return undefined
  }
}

/**
 * The interface with destination and mask 0 in the text of /proc/net/route. Source: proc(5).
 * @internal Tests read the routes of other machines.
 */
export function defaultOfProcRoute(text: string): string | undefined {
  for (const line of text.split('\n').slice(1)) {
    const fields = line.split('\t')
    if (fields[1] === '00000000' && fields[7] === '00000000') return fields[0]?.trim()
  }
  return undefined
}
