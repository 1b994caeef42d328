/**
 * Keeps Node's inspector disabled. On SIGUSR1 Node opens a debugger port, and anyone who connects to it can
 * run code as us; a handler of ours comes too late for a signal during startup.
 */

/** An address that cannot be bound on any system: link-local, without an interface. */
const NOWHERE = '[fe80::1]:0'

/**
 * Options for every Node process that we start. SIGUSR1 stays an ordinary signal: it ends a process that has
 * no handler yet. Node 20 has no option for this; there the inspector finds no address to listen on, which
 * works in all versions.
 */
function inspectorGuard(knownFlags: ReadonlySet<string> = process.allowedNodeEnvironmentFlags): string[] {
  const disable = '--disable-sigusr1'
  return [`--inspect-port=${NOWHERE}`, ...(knownFlags.has(disable) ? [disable] : [])]
}

/**
 * The options with which this Node was started, without those that would disable the guard, and with the
 * guard.
 */
export function guardedExecArgv(execArgv: readonly string[] = process.execArgv): string[] {
  const others = execArgv.filter((option) => !/^--(inspect|debug|disable-sigusr1)/.test(option))
  return [...inspectorGuard(), ...others]
}
