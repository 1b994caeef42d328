/** The guards against lists that block far too much, in whole runs of spamd-setup against a real server. */
import { readFile, writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ListServer, startListServer } from '../../../support/list-server.js'
import { SetupWorld } from '../../../support/setup/setup-world.js'

const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('skipped: only root may send from a port below 1024\n')
const DAY_SEC = 86_400

describe.skipIf(!isRoot)('spamd-setup', () => {
  let world: SetupWorld
  let server: ListServer
  let answers: Record<string, string>

  beforeEach(async () => {
    world = await SetupWorld.create()
    answers = {}
    server = await startListServer((request, response) => {
      response.end(answers[request.url ?? '/'] ?? '')
    })
  })

  afterEach(async () => {
    await server.close()
    await world.close()
  })

  const remote = (name: string, more = '') => ({ name, method: 'http', file: `${server.host}/${name}`, more })
  const many = (count: number, network = '193.0') =>
    Array.from({ length: count }, (_, n) => `${network}.${n >> 7}.${(n & 127) * 2}\n`).join('')

  test('a wide item keeps the last good copy in force, and one line names it', async () => {
    answers['/a'] = '198.51.100.7\n'
    await world.configure([remote('a')])
    await world.run(['-b'])
    answers['/a'] = '198.51.100.7\n8.240.0.0-68.247.255.255\n'
    const run = await world.run(['-b', '--force'])
    expect(run.rc).toBe(1)
    expect(run.stderr).toBe(
      'spamd-setup: Could not add blacklist a: line 2 is wider than /8: "8.240.0.0-68.247.255.255"; ' +
        'kept the last good copy, under 1 min old\n' +
        'spamd-setup: hint: add :wide_ok: to a, or run once with --accept-growth, if that is right\n',
    )
    expect(world.table()).toEqual(['198.51.100.7'])
    expect(await world.run(['-b', '--force', '--accept-growth'])).toMatchObject({ rc: 0, stderr: '' })
    expect(world.table()!.length).toBeGreaterThan(5)
    answers['/a'] += '198.51.100.9\n'
    expect(await world.run(['-b', '--force'])).toMatchObject({ rc: 0, stderr: '' })
    expect(world.table()).toContain('198.51.100.9')
  })

  test(':wide_ok: takes everything, and a local file is only told with -d', async () => {
    const text = '198.51.100.7\n12.0.0.0/6\n10.0.0.0/8\n'
    answers['/a'] = text
    await world.configure([remote('a', 'wide_ok:'), { name: 'b', file: await world.write('b', text) }])
    const run = await world.run(['-d'])
    expect(run.rc).toBe(0)
    expect(run.stderr).toBe(
      [
        `Getting http://${server.host}/a`,
        'blacklist a 3 entries',
        'spamd-setup: a: items wider than /8, or /19 in IPv6: 1, first line 2',
        'spamd-setup: a: ranges of private or reserved addresses were taken out: 1',
        'blacklist b 3 entries',
        'spamd-setup: b: items wider than /8, or /19 in IPv6: 1, first line 2',
        'spamd-setup: b: ranges of private or reserved addresses, which no mail comes from: 1',
        '',
      ].join('\n'),
    )
    expect(run.sent[0]).toContain('inet;2;12.0.0.0/6;198.51.100.7/32\n')
    expect(run.sent[1]).toContain('inet;3;10.0.0.0/8;12.0.0.0/6;198.51.100.7/32\n')
  })

  test('tenfold growth is refused until it is accepted, also of a white list', async () => {
    answers['/a'] = many(1_100)
    answers['/w'] = many(1_100, '198.51')
    await world.configure([remote('a'), { ...remote('w'), white: true }])
    await world.run()
    answers['/a'] = many(11_000)
    answers['/w'] = many(11_000, '198.51')
    const run = await world.run(['--force'])
    expect(run.rc).toBe(1)
    expect(run.stderr).toContain('blacklist a: the list has grown from 1100 to 11000 IPv4 addresses; kept')
    expect(run.stderr).toContain('whitelist w: the list has grown from 1100 to 11000 IPv4 addresses; kept')
    expect((await world.run(['--force', '--accept-growth'])).rc).toBe(0)
    expect((await world.run(['--force'])).rc).toBe(0)
  })

  test('shrinking step by step is told once, and --accept-shrink makes it the measure', async () => {
    await world.configure([remote('a')])
    const runs: string[] = []
    for (const count of [1_000, 600, 400, 390, 600, 400]) {
      answers['/a'] = many(count)
      runs.push((await world.run(['--force'])).stderr)
      world.clock.advance(DAY_SEC)
    }
    expect(runs.map((text) => text !== '')).toEqual([false, false, true, false, false, true])
    expect(runs[2]).toContain('warning: blacklist a has shrunk from 1000 entries within 30 days to 400\n')
    answers['/a'] = many(390)
    expect((await world.run(['--force', '--accept-shrink'])).stderr).toBe('')
    answers['/a'] = many(380)
    expect((await world.run(['--force'])).stderr).toBe('')
  })

  test('a white list that empties a black list of 100 entries is told', async () => {
    const white = { name: 'w', white: true, file: await world.write('w', '193.0.0.0/8\n') }
    await world.configure([{ name: 'a', file: await world.write('a', many(100)) }, white])
    expect((await world.run()).stderr).toContain(
      'warning: blacklist a: nothing is left of its 100 entries after whitelist w\n',
    )
    await world.write('a', many(99))
    expect((await world.run()).stderr).toBe('')
  })

  test('own addresses, the gateway and :never: lists are cut from downloads only, and told once', async () => {
    answers['/a'] = '192.0.2.0/24\n2001:db8::/64\n'
    await world.configure([
      { name: 'never', white: true, file: await world.write('never', '192.0.2.128/25\n') },
      remote('a'),
      { name: 'b', file: await world.write('b', '192.0.2.0/24\n') },
    ])
    const conf = await readFile(world.path('spamd.conf'), 'utf8')
    await writeFile(world.path('spamd.conf'), conf.replace('never:white:', 'never:never:'))
    const io = { ownAddresses: async () => ['192.0.2.1', '2001:DB8::1', 'fe80::1', 'x'] }
    const run = await world.run(['-n', '--output', '-'], io)
    expect(run.stderr).toContain(
      'warning: blacklist a holds protected addresses, which are not blocked: 192.0.2.1/32, 192.0.2.128/25, 2001:db8::1/128\n',
    )
    const first = await world.run([], io)
    expect(first).toMatchObject({ rc: 0 })
    expect(first.stderr).toContain('protected addresses, which are not blocked')
    expect(first.sent[0]).toMatch(/^a;"SPAM %A";inet;7;192\.0\.2\.0\/32;192\.0\.2\.2\/31;/)
    expect(first.sent[0]).toContain(';2001:db8::/128;2001:db8::2/127;')
    expect(first.sent[1]).toBe('b;"SPAM %A";inet;1;192.0.2.0/24\n')
    expect((await world.run(['--force'], io)).stderr).toBe('')
    expect((await world.run(['--force'], { ownAddresses: async () => [] })).stderr).toContain(
      '192.0.2.128/25\n',
    )
  })

  test('a :never: list that failed holds every downloaded black list, and no other', async () => {
    answers['/a'] = '192.0.2.0/24\n'
    await world.configure([
      remote('a'),
      { name: 'n', white: true, file: world.path('missing'), more: 'never:' },
      { name: 'b', file: await world.write('b', '192.0.2.0/24\n') },
    ])
    const conf = await readFile(world.path('spamd.conf'), 'utf8')
    await writeFile(world.path('spamd.conf'), conf.replace('n:white:', 'n:'))
    const run = await world.run()
    expect(run.rc).toBe(1)
    expect(run.sent).toEqual(['b;"SPAM %A";inet;1;192.0.2.0/24\n'])
  })
})
