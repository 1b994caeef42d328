/**
 * The conformance table of the packet filter layer against the real pfctl of a BSD, as root, on tables of its own that
 * are taken away again; elsewhere against the stand-in.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { PfFirewall } from '../../src/firewall/pf.js'
import { runProcess } from '../../src/platform/run-process.js'
import { describeConformance } from '../support/firewall-conformance.js'
import { isRealPf, PREFIX } from './which-pf.js'

const STAND_IN = fileURLToPath(new URL('../support/pfctl-stand-in.js', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'test-pf-'))
const program = isRealPf ? '/sbin/pfctl' : STAND_IN
let stateCount = 0
const environment = (): Record<string, string> => ({ PFCTL_STATE: join(folder, `${stateCount}.json`) })

async function removeTables(): Promise<void> {
  for (const name of [PREFIX, `${PREFIX}-white`]) {
    await runProcess({
      program,
      args: ['-q', '-t', name, '-T', 'kill'],
      timeoutMs: 60_000,
      maxStdoutBytes: 1 << 20,
      env: environment(),
    })
  }
}

beforeAll(async () => {
  if (!isRealPf) return
  const info = await runProcess({ program, args: ['-s', 'info'], timeoutMs: 60_000, maxStdoutBytes: 1 << 20 })
  if (info.exitCode !== 0) throw new Error(`pfctl -s info failed (root? pf loaded?): ${info.stderrTail}`)
})
afterAll(async () => {
  if (isRealPf) await removeTables()
  rmSync(folder, { recursive: true })
})

describeConformance('tables', {
  open: async () => {
    if (isRealPf) await removeTables()
    stateCount += 1
    return new PfFirewall({
      program,
      setting: 'SPAMD_PFCTL',
      timeoutMs: 120_000,
      runner: (request) => runProcess({ ...request, env: { ...request.env, ...environment() } }),
    })
  },
  largeCount: isRealPf ? 50_000 : 10_000,
  prefix: PREFIX,
})

test('the limits are told', async () => {
  stateCount += 1
  const firewall = new PfFirewall({
    program,
    setting: 'SPAMD_PFCTL',
    timeoutMs: 60_000,
    runner: (request) => runProcess({ ...request, env: { ...request.env, ...environment() } }),
  })
  expect((await firewall.limits()).maxEntries).toBeGreaterThan(0)
})
