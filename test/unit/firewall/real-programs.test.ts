/** Back ends with programs that are missing, forbidden, failing, hanging, dying or slow: real processes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Firewall } from '../../../src/firewall/backend.js'
import type { FirewallTool } from '../../../src/firewall/firewall-tool.js'
import { IpsetFirewall } from '../../../src/firewall/ipset.js'
import { NftFirewall } from '../../../src/firewall/nft.js'
import { PfFirewall } from '../../../src/firewall/pf.js'
import { runProcess } from '../../../src/platform/run-process.js'
import { contentOf, networks } from '../../support/table-content.js'

const PFCTL = fileURLToPath(new URL('../../support/pfctl-stand-in.js', import.meta.url))
const REPLACER = fileURLToPath(new URL('../../support/replace-table.ts', import.meta.url))
const NETWORKS = { name: 'spamd', content: 'networks' } as const

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'real-programs-'))
})

afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

const toolOf = (program: string, timeoutMs = 60_000): FirewallTool => ({
  program,
  setting: 'SPAMD_NFT',
  timeoutMs,
  runner: (request) =>
    runProcess({
      ...request,
      env: { ...request.env, PFCTL_STATE: join(folder, 'state'), PFCTL_CALLS: join(folder, 'calls') },
    }),
})

function script(name: string, text: string, mode = 0o755): string {
  const path = join(folder, name)
  writeFileSync(path, `#!/bin/sh\n${text}\n`)
  chmodSync(path, mode)
  return path
}

const backEnds: { name: string; open: (tool: FirewallTool) => Firewall }[] = [
  { name: 'pf', open: (tool) => new PfFirewall(tool) },
  { name: 'nft', open: (tool) => new NftFirewall(tool) },
  { name: 'ipset', open: (tool) => new IpsetFirewall(tool) },
]

describe.each(backEnds)('$name', ({ open }) => {
  const replace = (tool: FirewallTool) => open(tool).replaceTable(NETWORKS, contentOf(['10.0.0.0/8']))

  test('the program is missing', async () => {
    await expect(replace(toolOf('/nonexistent/tool'))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_MISSING',
      message: expect.stringMatching(
        /^cannot replace .*cannot run \/nonexistent\/tool: No such file or directory$/,
      ) as string,
      hint: 'install it, or name another with SPAMD_NFT or --firewall',
    })
  })

  test('the program may not be run', async () => {
    await expect(replace(toolOf(script('tool', 'exit 0', 0o644)))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_DENIED',
    })
  })

  test('the program fails', async () => {
    await expect(replace(toolOf(script('tool', 'echo "tool: no luck" >&2; exit 3')))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_FAILED',
      message: expect.stringContaining('returned status 3: tool: no luck') as string,
    })
  })

  test('the program hangs', async () => {
    await expect(replace(toolOf(script('tool', 'exec sleep 600'), 100))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_TIMEOUT',
    })
  })

  test('the program dies half-way', async () => {
    await expect(replace(toolOf(script('tool', 'kill -9 $$')))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_FAILED',
      message: expect.stringContaining('died on signal 9 (SIGKILL)') as string,
    })
  })

  test('a list that cannot be stored starts no program', async () => {
    vi.stubEnv('TMPDIR', join(folder, 'missing'))
    const marker = join(folder, 'ran')
    // Questions without a list are answered; a list must not arrive in part.
    const tool = toolOf(script('tool', `case "$*" in *-f*|restore*) touch ${marker};; esac; exit 0`))
    await expect(replace(tool)).rejects.toMatchObject({
      code: 'ERR_FIREWALL_FAILED',
      message: expect.stringContaining('cannot store the input') as string,
    })
    expect(existsSync(marker)).toBe(false)
  })

  test('nothing of the list is in an argument, and no file is left behind', async () => {
    vi.stubEnv('TMPDIR', folder)
    const tool = script('tool', `echo "$@" >> ${folder}/args; cat >> ${folder}/stdin; exit 0`)
    await replace(toolOf(tool))
    expect(readFileSync(join(folder, 'args'), 'utf8')).not.toContain('10.0.0')
    expect(readFileSync(join(folder, 'stdin'), 'utf8')).toContain('10.0.0.0/8')
    expect(readdirSync(folder).sort()).toEqual(['args', 'stdin', 'tool'])
  })
})

describe('pf, by the stand-in for pfctl', () => {
  const old = ['10.0.0.0/8', '2001:db8::/32']
  const begin = (state: object): PfFirewall => {
    writeFileSync(join(folder, 'state'), JSON.stringify({ tables: { spamd: old }, ...state }))
    return new PfFirewall(toolOf(PFCTL, 4_000))
  }

  test('killed half-way through its input: the old content stays whole', async () => {
    const firewall = begin({ fault: { on: 'replace', dieBy: 'SIGKILL', dieAfterBytes: 1000 } })
    await expect(firewall.replaceTable(NETWORKS, contentOf(networks(5_000)))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_FAILED',
    })
    expect(await firewall.readTable(NETWORKS)).toEqual(old)
  })

  test('a slow reader gets all of it', async () => {
    const firewall = begin({ fault: { on: 'replace', delayBeforeReadMs: 200 } })
    await firewall.replaceTable(NETWORKS, contentOf(networks(5_000)))
    expect(await firewall.readTable(NETWORKS)).toHaveLength(5_000)
  })

  test('input is a file, so that our own death cannot cut it', async () => {
    const firewall = begin({})
    await firewall.replaceTable(NETWORKS, contentOf(['10.0.0.0/8']))
    const calls = readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n')
    expect(JSON.parse(calls.at(-1)!)).toMatchObject({
      argv: ['-q', '-t', 'spamd', '-T', 'replace', '-f', '-'],
      descriptors: ['file', 'pipe', 'pipe'],
      dnsAsked: [],
    })
  })

  test('our own process killed while pfctl reads: the whole list is loaded, not a part of it', async () => {
    begin({ fault: { on: 'replace', delayBeforeReadMs: 300 } })
    const started = join(folder, 'started')
    const caller = spawn(process.execPath, ['--import', 'tsx', REPLACER, PFCTL, '5000'], {
      env: { ...process.env, PFCTL_STATE: join(folder, 'state'), PFCTL_STARTED: started },
    })
    await vi.waitUntil(() => existsSync(started), { timeout: 30_000, interval: 5 })
    caller.kill('SIGKILL')
    await once(caller, 'close')
    const tables = () =>
      (
        JSON.parse(readFileSync(join(folder, 'state'), 'utf8')) as {
          tables: { spamd: { entries: string[] } }
        }
      ).tables
    await vi.waitUntil(() => tables().spamd.entries.length !== old.length, { timeout: 30_000, interval: 5 })
    expect(tables().spamd.entries).toHaveLength(5_000)
  })

  test.each([
    { name: 'no permission', state: { device: 'none' }, says: 'pfctl: /dev/pf: Permission denied' },
    { name: 'no device', state: { device: 'missing' }, says: 'pfctl: /dev/pf: No such file or directory' },
    {
      name: 'not pf',
      state: { device: 'not-pf' },
      says: 'pfctl: pfr_get_tables: Inappropriate ioctl for device',
    },
    {
      name: 'a const table',
      state: { tables: { spamd: { flags: 'cpa----', entries: old } } },
      says: 'pfctl: Operation not permitted',
    },
  ])('$name: the error says so', async ({ state, says }) => {
    const firewall = begin(state)
    await expect(firewall.replaceTable(NETWORKS, contentOf(['10.0.0.0/8']))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_FAILED',
      message: expect.stringContaining(says) as string,
    })
  })

  test('a peak over the limit: the old content stays', async () => {
    const firewall = begin({ limits: { 'table-entries': 5 } })
    await expect(firewall.replaceTable(NETWORKS, contentOf(networks(4)))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_LIMIT',
    })
    expect(await firewall.readTable(NETWORKS)).toEqual(old)
  })

  test('FreeBSD with its default: a table too large for one request is loaded in portions', async () => {
    writeFileSync(join(folder, 'state'), JSON.stringify({ system: 'freebsd', tables: { spamd: old } }))
    const firewall = new PfFirewall(toolOf(PFCTL), { sysctl: toolOf(script('sysctl', 'echo 65535')) })
    const wanted = networks(33_000)
    await firewall.replaceTable(NETWORKS, contentOf(wanted))
    expect(await firewall.readTable(NETWORKS)).toEqual(wanted)
  })

  test('and without asking first it would have been refused', async () => {
    writeFileSync(join(folder, 'state'), JSON.stringify({ system: 'freebsd', tables: { spamd: old } }))
    const firewall = new PfFirewall(toolOf(PFCTL))
    await expect(firewall.replaceTable(NETWORKS, contentOf(networks(33_000)))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_FAILED',
      message: expect.stringContaining('Invalid argument.') as string,
    })
    expect(await firewall.readTable(NETWORKS)).toEqual(old)
  })
})
