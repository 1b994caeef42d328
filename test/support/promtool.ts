/** Debian's promtool, which scripts/setup-lab.sh unpacks, or one that is installed; undefined where there is none. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const UNPACKED = fileURLToPath(new URL('../../.lab/prometheus/usr/bin/promtool', import.meta.url))

const promtool = [UNPACKED, 'promtool'].find((path) => spawnSync(path, ['--version']).status === 0)

/** Why tests that need it are skipped, for their names; empty when it is there. */
export const NO_PROMTOOL =
  promtool === undefined ? ' (skipped: no promtool; sh scripts/setup-lab.sh fetches it on Debian)' : ''

export function runPromtool(words: readonly string[], input = ''): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(promtool!, words, { input, encoding: 'utf8' })
  return { status, output: stdout + stderr }
}
