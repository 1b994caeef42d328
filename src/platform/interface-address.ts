import { networkInterfaces } from 'node:os'
import { type ProcessRunner, runProcess } from './run-process.js'
import { currentSystem } from './settings.js'

/** Names that interfaces can have: 15 characters (IFNAMSIZ), none that a program could take for an option. */
const INTERFACE_NAME = /^[A-Za-z0-9_.][A-Za-z0-9_.:@-]{0,14}$/
const TIMEOUT_MS = 5_000
const MAX_OUTPUT_BYTES = 64 * 1024

/**
 * Primary IPv4 address of a network interface, even if it is down, for example because its cable is unplugged
 * at boot. Null for an interface without an address, undefined if there is no interface of that name.
 */
export async function findInterfaceAddress(
  name: string,
  run: ProcessRunner = runProcess,
): Promise<string | null | undefined> {
  if (!INTERFACE_NAME.test(name)) return undefined
  // Lists only interfaces that are up and running, but is cheap.
  const running = networkInterfaces()[name]?.find(({ family }) => family === 'IPv4')
  if (running !== undefined) return running.address
  // ip(8) accepts `em0:2` for em0, which would hide a ttl.
  if (name.includes(':')) return undefined
  const [program, ...args] =
    currentSystem() === 'linux' ? ['ip', '-4', '-o', 'addr', 'show', 'dev', name] : ['ifconfig', name]
  try {
    const { exitCode, stdout } = await run({
      program: program!,
      args,
      timeoutMs: TIMEOUT_MS,
      maxStdoutBytes: MAX_OUTPUT_BYTES,
    })
    if (exitCode !== 0) return undefined
    return /\binet ([0-9]{1,3}(?:\.[0-9]{1,3}){3})\b/.exec(stdout.toString('latin1'))?.[1] ?? null
  } catch {
    // Without that program only the system's list is known: no interface of this name.
    return networkInterfaces()[name] === undefined ? undefined : null
  }
}
