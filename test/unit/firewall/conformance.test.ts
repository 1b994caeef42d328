/** All back ends that need no kernel; test/lab/firewall.test.ts runs the same table on nftables and ipset. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { PfFirewall } from '../../../src/firewall/pf.js'
import { runProcess } from '../../../src/platform/run-process.js'
import { describeConformance } from '../../support/firewall-conformance.js'
import { MemoryFirewall } from '../../support/memory-firewall.js'

const PFCTL = fileURLToPath(new URL('../../support/pfctl-stand-in.js', import.meta.url))

const folder = mkdtempSync(join(tmpdir(), 'firewall-'))
let stateCount = 0

afterAll(() => rmSync(folder, { recursive: true }))

describeConformance('memory', { open: async () => new MemoryFirewall(), largeCount: 100_000 })

describeConformance('pf, by the stand-in for pfctl', {
  open: async () => {
    stateCount += 1
    const PFCTL_STATE = join(folder, `${stateCount}.json`)
    return new PfFirewall({
      program: PFCTL,
      setting: 'SPAMD_PFCTL',
      timeoutMs: 60_000,
      runner: (request) => runProcess({ ...request, env: { ...request.env, PFCTL_STATE } }),
    })
  },
  largeCount: 10_000,
})
