/** Debian's promtool, unpacked by scripts/setup-lab.sh, or an installed one; undefined if there is none. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const UNPACKED = fileURLToPath(new URL('../../.lab/prometheus/usr/bin/promtool', import.meta.url))

const promtool = [UNPACKED, 'promtool'].find((path) => spawnSync(path, ['--version']).status === 0)

/** Reason to skip tests that need it, for their names; empty if it is available. */
export const NO_PROMTOOL =
  promtool === undefined ? ' (skipped: no promtool; sh scripts/setup-lab.sh fetches it on Debian)' : ''

export function runPromtool(words: readonly string[], input = ''): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(promtool!, words, { input, encoding: 'utf8' })
  return { status, output: stdout + stderr }
}
