import type { Environment } from '../platform/settings.js'

/** The user who gave a command, also through sudo(8) and doas(1); undefined when nobody knows. For the history. */
export function actorOf(environment: Environment): string | undefined {
  for (const name of ['SUDO_USER', 'DOAS_USER', 'LOGNAME', 'USER']) {
    const value = environment[name]
    if (value !== undefined && value !== '') return value.slice(0, 64)
  }
  return undefined
}
