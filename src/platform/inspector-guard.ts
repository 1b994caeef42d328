/**
 * Keeps Node's inspector shut. On SIGUSR1 Node opens a debugger port, on which whoever connects runs code with our
 * rights; a handler of ours comes too late for a signal during the start.
 */

/** An address that no system lets anybody bind: link-local, without an interface. */
const NOWHERE = '[fe80::1]:0'

/**
 * Options for every Node that we start. SIGUSR1 stays a signal like others: it ends a process that has no handler yet.
 * Node 20 cannot be told so; there the inspector finds no address to listen on, which also holds for all others.
 */
function inspectorGuard(knownFlags: ReadonlySet<string> = process.allowedNodeEnvironmentFlags): string[] {
  const disable = '--disable-sigusr1'
  return [`--inspect-port=${NOWHERE}`, ...(knownFlags.has(disable) ? [disable] : [])]
}

/** The options with which this Node was started, without those that would undo the guard, and with the guard. */
export function guardedExecArgv(execArgv: readonly string[] = process.execArgv): string[] {
  const others = execArgv.filter((option) => !/^--(inspect|debug|disable-sigusr1)/.test(option))
  return [...inspectorGuard(), ...others]
}
