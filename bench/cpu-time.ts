/**
 * CPU time (user and system) of whole command lines, ours and a peer alternately: the figure to compare on a machine
 * that is also used by others.
 */
import { spawnSync } from 'node:child_process'

// The difference, since python3 may itself be started by a script.
const SCRIPT = `import resource, subprocess, sys
used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[0:2])
before = used()
subprocess.run(sys.argv[1], shell=True, stdout=subprocess.DEVNULL, check=True)
print((used() - before) * 1000)`

/** CPU milliseconds of a command line and all processes that it starts. */
export function cpuMs(command: string, env: NodeJS.ProcessEnv): number {
  const { status, stdout, stderr } = spawnSync('python3', ['-c', SCRIPT, command], { env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command}: ${stderr}`)
  return Number(stdout)
}

/** One comparison; the commands that run before each of the two are not measured. */
export interface Row {
  name: string
  ours: string
  peer: string
  /** The required ratio. */
  limit: string
  /** A command line that runs before each of ours, and before each of the peer. */
  before?: string
}

/**
 * Runs ours and the peer alternately and prints the medians, the minimum and maximum of ours, and median and
 * quartiles of the ratio.
 */
export function compare(
  { name, ours, peer, limit, before }: Row,
  rounds: number,
  env: NodeJS.ProcessEnv,
): void {
  const times: { ours: number[]; peer: number[] } = { ours: [], peer: [] }
  const ratios: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    if (before !== undefined) cpuMs(before, env)
    const own = cpuMs(ours, env)
    if (before !== undefined) cpuMs(before, env)
    const other = cpuMs(peer, env)
    times.ours.push(own)
    times.peer.push(other)
    ratios.push(own / other)
  }
  for (const values of [times.ours, times.peer, ratios]) values.sort((one, other) => one - other)
  const at = (values: readonly number[], share: number): number =>
    values[Math.min(values.length - 1, Math.floor(values.length * share))]!
  const spread = `${times.ours[0]!.toFixed(0)}-${times.ours.at(-1)!.toFixed(0)}`
  const quartiles = `q ${at(ratios, 0.25).toFixed(2)}-${at(ratios, 0.75).toFixed(2)}`
  process.stdout.write(
    `${name.padEnd(44)} ${at(times.ours, 0.5).toFixed(1)} ms (${spread}) / ${at(times.peer, 0.5).toFixed(1)} ms = ${at(ratios, 0.5).toFixed(2)} (${quartiles})   limit ${limit}\n`,
  )
}
