import type { Environment } from '../platform/settings.js'

/** The user who gave a command, even through sudo(8) or doas(1); undefined when unknown. For the history. */
export function actorOf(environment: Environment): string | undefined {
  for (const name of ['SUDO_USER', 'DOAS_USER', 'LOGNAME', 'USER']) {
    const value = environment[name]
    if (value !== undefined && value !== '') return value.slice(0, 64)
  }
  return undefined
}
