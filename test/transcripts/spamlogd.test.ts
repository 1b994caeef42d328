import { execFileSync, type StdioOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseSpamlogdOptions } from '../../src/cli/spamlogd/parse-spamlogd-options.js'
import { kernelFilter } from '../../src/daemon/spamlogd/watched-log.js'
import { createDatabase, openStore } from '../../src/db/open-store.js'
import { encodePcapRecord } from '../support/capture/encode-pcap-file.js'
import { PFLOG_LAYOUTS } from '../support/capture/encode-pflog.js'
import { captureFile, mailSyn, pflogRecord } from '../support/log-records.js'
import { skipUnless, skipUnlessRoot } from '../support/skip-unless.js'

const PROGRAM = join(import.meta.dirname, '../../bin/spamlogd.js')
const SAMPLE = join(import.meta.dirname, '../../docs/examples/sample.pcap')
const scratch = mkdtempSync(join(tmpdir(), 'spamlogd-transcript-'))
const db = join(scratch, 'spamd.sqlite')

beforeAll(() => createDatabase(db))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

function call(args: string[], options: { uid?: number; input?: Uint8Array; stdio?: StdioOptions } = {}) {
  const result = spawnSync(process.execPath, [PROGRAM, ...args], { encoding: 'utf8', ...options })
  return { rc: result.status, stdout: result.stdout, stderr: result.stderr }
}

async function listing(): Promise<string[]> {
  const store = await openStore(db, { mode: 'read' })
  const lines: string[] = []
  for await (const chunk of store.listText())
    lines.push(...Buffer.from(chunk).toString('latin1').trimEnd().split('\n'))
  await store.close()
  return lines
}

describe('spamlogd, the built program', () => {
  test('replays the shipped sample with its own times', async () => {
    const result = call(['-D', '-r', SAMPLE, '--use-capture-time', '--db', db])
    expect(result).toEqual({
      rc: 0,
      stdout: 'packets=12 matched=9 undecodable=0 added=7 refreshed=2 untrapped=0 leftTrapped=0 lost=0\n',
      stderr: `${['inbound 192.0.2.10', 'inbound 192.0.2.11', 'inbound 2001:db8:a::10', 'outbound 203.0.113.5', 'outbound 2001:db8:b::5', 'inbound 192.0.2.10', 'inbound 192.0.2.13', 'inbound 192.0.2.10', 'inbound 192.0.2.14'].join('\n')}\n`,
    })
    expect(await listing()).toContain('WHITE|192.0.2.10|||1700000000|1700000000|1703110475|1|2')
    expect(await listing()).toContain('WHITE|2001:db8:b::5|||1700000022|1700000022|1703110422|1|0')
  })

  test('standard input, from a file and from a pipe', () => {
    const input = readFileSync(SAMPLE)
    expect(call(['-r', '-', '--db', db], { input })).toMatchObject({ rc: 0, stderr: '' })
    const script = `exec "${process.execPath}" "${PROGRAM}" -r - --json --db "${db}" < "${SAMPLE}"`
    const fromFile = JSON.parse(execFileSync('sh', ['-c', script], { encoding: 'utf8' }))
    expect(fromFile).toMatchObject({ packets: 12, matched: 9 })
  })

  test.skipIf(skipUnless(existsSync('/dev/full'), 'this system has no /dev/full'))(
    'results that cannot be written are a failure',
    () => {
      const full = openSync('/dev/full', 'w')
      for (const args of [['-r', SAMPLE, '--db', db], ['--version']]) {
        expect(call(args, { stdio: ['ignore', full, 'pipe'] })).toMatchObject({
          rc: 1,
          stderr: 'spamlogd: cannot write to standard output: No space left on device\n',
        })
      }
      closeSync(full)
    },
  )

  test.each([
    ['/nonexistent.pcap', 'No such file or directory'],
    [scratch, 'Is a directory'],
  ])('-r %s fails with the reason', (path, reason) => {
    expect(call(['-r', path, '--db', db])).toEqual({
      rc: 1,
      stdout: '',
      stderr: `spamlogd: ${path}: ${reason}\n`,
    })
  })

  test.skipIf(skipUnlessRoot('only root becomes another user'))(
    'without root nothing but a replay is done',
    () => {
      expect(call(['-D'], { uid: 65534 })).toEqual({
        rc: 1,
        stdout: '',
        stderr: expect.stringMatching(
          /^spamlogd: need root privileges\nspamlogd: hint: start it as root/,
        ) as string,
      })
    },
  )

  test('a replay shows notices without -D: the counters, why the database refuses', async () => {
    const child = spawn(process.execPath, [PROGRAM, '-r', '-', '--db', db], { stdio: 'pipe' })
    let text = ''
    child.stderr.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    const layout = { length: 44, headerBytes: 44 }
    const record = pflogRecord(mailSyn('192.0.2.78', '198.51.100.1'), { direction: 'in' }, layout)
    child.stdin.write(captureFile([record]))
    // The warning of the impossible header tells that signals are taken by now.
    await once(child.stderr, 'data')
    child.kill('SIGUSR1')
    await once(child.stderr, 'data')
    child.stdin.end()
    await once(child, 'close')
    expect(text).toContain('statistics packets=1 matched=0 undecodable=1 ')
  })

  test('a live pipe is stored as it comes, and SIGTERM ends the wait for more', async () => {
    const live = join(scratch, 'live.sqlite')
    createDatabase(live)
    const child = spawn(process.execPath, [PROGRAM, '-D', '-r', '-', '--db', live], { stdio: 'pipe' })
    const file = captureFile([pflogRecord(mailSyn('192.0.2.77', '198.51.100.1'))])
    child.stdin.write(file)
    await once(child.stderr, 'data')
    // Half a record more: the pipe stays open and unfinished.
    child.stdin.write(encodePcapRecord(new Uint8Array(100), 0).subarray(0, 40))
    child.kill('SIGTERM')
    const [exitCode] = await once(child, 'exit')
    expect(exitCode).toBe(0)
    const store = await openStore(live, { mode: 'read' })
    expect(await store.count()).toMatchObject({ WHITE: 1 })
    await store.close()
  })
})

describe('tcpdump reads our captures as we do', () => {
  const layouts = Object.entries(PFLOG_LAYOUTS).filter(([name]) => name !== 'old')
  test.each(layouts)('layout %s', (name, layout) => {
    const path = join(scratch, `${name}.pcap`)
    const record = (direction: 'in' | 'out', action: number) =>
      pflogRecord(mailSyn('192.0.2.1', '192.0.2.2'), { direction, action, ifname: 'vio0', rulenr: 9 }, layout)
    writeFileSync(path, captureFile([record('in', 0), record('out', 0), record('in', 1)]))
    const text = execFileSync('tcpdump', ['-n', '-e', '-r', path], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const said = text
      .trimEnd()
      .split('\n')
      .map((line) => /rule .*?: (\w+ \w+ on \w+): (.*?): Flags \[S\]/.exec(line)?.slice(1))
    const flow = '192.0.2.1.40000 > 192.0.2.2.25'
    expect(said).toEqual([
      ['pass in on vio0', flow],
      ['pass out on vio0', flow],
      ['block in on vio0', flow],
    ])
  })

  test('and its compiler takes our filter, which lets through what counts', () => {
    const path = join(scratch, 'filter.pcap')
    const syn = (changes = {}) =>
      pflogRecord(mailSyn('192.0.2.1', '192.0.2.2', changes), { direction: 'in', ifname: 'em0' })
    writeFileSync(
      path,
      captureFile([syn(), syn({ destinationPort: 26 }), syn({ flags: 0x12 }), syn({ destinationPort: 587 })]),
    )
    const parsed = parseSpamlogdOptions(['-i', 'em0', '--port', '25', '--port', '587'], {}, 'openbsd')
    const filter = parsed.ok ? kernelFilter('pflog0', parsed.options.rules) : ''
    const text = execFileSync('tcpdump', ['-n', '-r', path, filter], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    expect(
      text
        .trimEnd()
        .split('\n')
        .map((line) => /> (\S+):/.exec(line)?.[1]),
    ).toEqual(['192.0.2.2.25', '192.0.2.2.587'])
  })
})
