/** The guards against lists that block far too much, in whole runs of spamd-setup against a real server. */
import { readFile, writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ListServer, startListServer } from '../../../support/list-server.js'
import { SetupScene } from '../../../support/setup/setup-scene.js'

const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('skipped: only root may send from a port below 1024\n')
const DAY_SEC = 86_400

describe.skipIf(!isRoot)('spamd-setup', () => {
  let scene: SetupScene
  let server: ListServer
  let answers: Record<string, string>
  let status: number

  beforeEach(async () => {
    scene = await SetupScene.create()
    answers = {}
    status = 200
    server = await startListServer((request, response) => {
      response.statusCode = status
      response.end(answers[request.url ?? '/'] ?? '')
    })
  })

  afterEach(async () => {
    await server.close()
    await scene.close()
  })

  const remote = (name: string, more = '') => ({ name, method: 'http', file: `${server.host}/${name}`, more })
  const many = (count: number, network = '193.0') =>
    Array.from({ length: count }, (_, n) => `${network}.${n >> 7}.${(n & 127) * 2}\n`).join('')

  test('a wide item keeps the last good copy in force, and one line names it', async () => {
    answers['/a'] = '198.51.100.7\n'
    await scene.configure([remote('a')])
    await scene.run(['-b'])
    answers['/a'] = '198.51.100.7\n8.240.0.0-68.247.255.255\n'
    const run = await scene.run(['-b', '--force'])
    expect(run.rc).toBe(1)
    expect(run.stderr).toBe(
      'spamd-setup: Could not add blacklist a: line 2 is wider than /8: "8.240.0.0-68.247.255.255"; ' +
        'kept the last good copy, under 1 min old\n' +
        'spamd-setup: hint: add :wide_ok: to a, or run once with --accept-growth, if that is right\n',
    )
    expect(scene.table()).toEqual(['198.51.100.7'])
    expect(await scene.run(['-b', '--force', '--accept-growth'])).toMatchObject({ rc: 0, stderr: '' })
    expect(scene.table()!.length).toBeGreaterThan(5)
    answers['/a'] += '198.51.100.9\n'
    expect(await scene.run(['-b', '--force'])).toMatchObject({ rc: 0, stderr: '' })
    expect(scene.table()).toContain('198.51.100.9')
  })

  test(':wide_ok: takes everything, and a local file is only told with -d', async () => {
    const text = '198.51.100.7\n12.0.0.0/6\n10.0.0.0/8\n'
    answers['/a'] = text
    await scene.configure([remote('a', 'wide_ok:'), { name: 'b', file: await scene.write('b', text) }])
    const run = await scene.run(['-d'])
    expect(run.rc).toBe(0)
    expect(run.stderr).toBe(
      [
        `Getting http://${server.host}/a`,
        'blacklist a 3 entries',
        'spamd-setup: a: items wider than /8, or /19 in IPv6: 1, first line 2',
        'spamd-setup: a: ranges of private or reserved addresses were removed: 1',
        'blacklist b 3 entries',
        'spamd-setup: b: items wider than /8, or /19 in IPv6: 1, first line 2',
        'spamd-setup: b: ranges of private or reserved addresses, from which no mail comes: 1',
        '',
      ].join('\n'),
    )
    expect(run.sent[0]).toContain('inet;2;12.0.0.0/6;198.51.100.7/32\n')
    expect(run.sent[1]).toContain('inet;3;10.0.0.0/8;12.0.0.0/6;198.51.100.7/32\n')
  })

  test('tenfold growth is refused until it is accepted, also of a white list', async () => {
    answers['/a'] = many(1_100)
    answers['/w'] = many(1_100, '198.51')
    await scene.configure([remote('a'), { ...remote('w'), white: true }])
    await scene.run()
    answers['/a'] = many(11_000)
    answers['/w'] = many(11_000, '198.51')
    const run = await scene.run(['--force'])
    expect(run.rc).toBe(1)
    expect(run.stderr).toContain('blacklist a: the list has grown from 1100 to 11000 IPv4 addresses; kept')
    expect(run.stderr).toContain('whitelist w: the list has grown from 1100 to 11000 IPv4 addresses; kept')
    expect((await scene.run(['--force', '--accept-growth'])).rc).toBe(0)
    expect((await scene.run(['--force'])).rc).toBe(0)
  })

  test('shrinking step by step is told once, and --accept-shrink makes it the measure', async () => {
    await scene.configure([remote('a')])
    const runs: string[] = []
    for (const count of [1_000, 600, 400, 390, 600, 400]) {
      answers['/a'] = many(count)
      runs.push((await scene.run(['--force'])).stderr)
      scene.clock.advance(DAY_SEC)
    }
    expect(runs.map((text) => text !== '')).toEqual([false, false, true, false, false, true])
    expect(runs[2]).toContain('warning: blacklist a shrank within 30 days from 1000 entries to 400\n')
    answers['/a'] = many(390)
    expect((await scene.run(['--force', '--accept-shrink'])).stderr).toBe('')
    answers['/a'] = many(380)
    expect((await scene.run(['--force'])).stderr).toBe('')
  })

  test('what a clock set wrong for a while had noted makes no list fetched late, nor young, nor its shrinking unseen', async () => {
    await scene.configure([remote('a')])
    answers['/a'] = many(1_000)
    expect((await scene.run()).rc).toBe(0)
    for (const wrong of [365 * DAY_SEC, 3 * DAY_SEC, -365 * DAY_SEC]) {
      const right = scene.clock.sec
      scene.clock.sec += wrong
      answers['/a'] = `${many(1_000)}198.51.100.${Math.abs(wrong) % 251}\n`
      expect(await scene.run(['--force'])).toMatchObject({ rc: 0, stderr: '' })
      // It refuses for half a day or more.
      status = 403
      await scene.run(['--force'])
      scene.clock.sec = right + DAY_SEC
      status = 500
      const failing = await scene.run()
      expect(failing.stderr).toMatch(/status 500/)
      expect(failing.stderr).not.toMatch(/under 1 min old/)
      status = 200
      scene.clock.advance(DAY_SEC)
      expect(await scene.run()).toMatchObject({ rc: 0, stderr: '' })
    }
    const right = scene.clock.sec
    answers['/a'] = many(600)
    for (const wrong of [365 * DAY_SEC, -365 * DAY_SEC]) {
      scene.clock.sec = right + wrong
      expect(await scene.run(['--force'])).toMatchObject({ rc: 0, stderr: '' })
    }
    answers['/a'] = many(400)
    scene.clock.sec = right + DAY_SEC
    expect((await scene.run()).stderr).toContain('shrank within 30 days from 1001 entries to 400\n')
  })

  test('a white list that empties a black list of 100 entries is told', async () => {
    const white = { name: 'w', white: true, file: await scene.write('w', '193.0.0.0/8\n') }
    await scene.configure([{ name: 'a', file: await scene.write('a', many(100)) }, white])
    expect((await scene.run()).stderr).toContain(
      'warning: blacklist a: nothing is left of its 100 entries after whitelist w\n',
    )
    await scene.write('a', many(99))
    expect((await scene.run()).stderr).toBe('')
  })

  test('own addresses, the gateway and :never: lists are cut from downloads only, and told once', async () => {
    answers['/a'] = '192.0.2.0/24\n2001:db8::/64\n'
    await scene.configure([
      { name: 'never', white: true, file: await scene.write('never', '192.0.2.128/25\n') },
      remote('a'),
      { name: 'b', file: await scene.write('b', '192.0.2.0/24\n') },
    ])
    const conf = await readFile(scene.path('spamd.conf'), 'utf8')
    await writeFile(scene.path('spamd.conf'), conf.replace('never:white:', 'never:never:'))
    const io = { ownAddresses: async () => ['192.0.2.1', '2001:DB8::1', 'fe80::1', 'x'] }
    const run = await scene.run(['-n', '--output', '-'], io)
    expect(run.stderr).toContain(
      'warning: blacklist a contains protected addresses, which are not blocked: 192.0.2.1/32, 192.0.2.128/25, 2001:db8::1/128\n',
    )
    const first = await scene.run([], io)
    expect(first).toMatchObject({ rc: 0 })
    expect(first.stderr).toContain('protected addresses, which are not blocked')
    expect(first.sent[0]).toMatch(/^a;"SPAM %A";inet;7;192\.0\.2\.0\/32;192\.0\.2\.2\/31;/)
    expect(first.sent[0]).toContain(';2001:db8::/128;2001:db8::2/127;')
    expect(first.sent[1]).toBe('b;"SPAM %A";inet;1;192.0.2.0/24\n')
    expect((await scene.run(['--force'], io)).stderr).toBe('')
    expect((await scene.run(['--force'], { ownAddresses: async () => [] })).stderr).toContain(
      '192.0.2.128/25\n',
    )
  })

  test('a :never: list that failed holds every downloaded black list, and no other', async () => {
    answers['/a'] = '192.0.2.0/24\n'
    await scene.configure([
      remote('a'),
      { name: 'n', white: true, file: scene.path('missing'), more: 'never:' },
      { name: 'b', file: await scene.write('b', '192.0.2.0/24\n') },
    ])
    const conf = await readFile(scene.path('spamd.conf'), 'utf8')
    await writeFile(scene.path('spamd.conf'), conf.replace('n:white:', 'n:'))
    const run = await scene.run()
    expect(run.rc).toBe(1)
    expect(run.sent).toEqual(['b;"SPAM %A";inet;1;192.0.2.0/24\n'])
  })
})
