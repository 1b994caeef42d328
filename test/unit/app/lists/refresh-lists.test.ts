/** spamd-setup as a whole against real servers, spamd's port and the pfctl stand-in. */
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type ListServer, startListServer } from '../../../support/list-server.js'
import { SetupWorld } from '../../../support/setup/setup-world.js'

const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('skipped: only root may send from a port below 1024\n')

const HOUR_SEC = 3_600
const TEN = Array.from({ length: 10 }, (_unused, index) => `192.0.2.${index * 2 + 1}\n`).join('')
const TEN_LINE = `a;"SPAM %A";inet;10;${TEN.trim()
  .split('\n')
  .map((address) => `${address}/32`)
  .join(';')}\n`

describe.skipIf(!isRoot)('spamd-setup', () => {
  let world: SetupWorld
  let server: ListServer
  /** What the server answers next, by path. */
  let answers: Record<string, (response: ServerResponse) => void>

  beforeEach(async () => {
    world = await SetupWorld.create()
    answers = {}
    server = await startListServer((request, response) => {
      const answer = answers[request.url ?? '/']
      if (answer === undefined) response.writeHead(404).end()
      else answer(response)
    })
  })

  afterEach(async () => {
    await server.close()
    await world.close()
  })

  test('a user that was named but is not there is no reason to run commands as another', async () => {
    await world.configure([{ name: 'a', method: 'exec', file: '/bin/echo 192.0.2.1' }])
    expect(await world.run([])).toMatchObject({ rc: 0, stderr: '' })
    const named = await world.run(['--user', 'no-such-user'])
    expect(named.rc).toBe(1)
    expect(named.stderr).toContain('Could not add blacklist a: cannot find user no-such-user; kept')
    expect(named.stderr).toContain('hint: commands run unprivileged')
  })

  const says = (path: string, body: string | Uint8Array, headers: Record<string, string> = {}) => {
    answers[path] = (response) => {
      response.writeHead(200, headers).end(body)
    }
  }
  const remote = (name: string, more = '') => ({ name, method: 'http', file: `${server.host}/${name}`, more })

  test('everything arrives at spamd from a port of root, and in the table', async () => {
    await world.configure([
      { name: 'a', file: await world.write('a', '192.0.2.0/24\n2001:db8::/32\n') },
      { name: 'w', white: true, file: await world.write('w', '192.0.2.128/25\n2001:db8:1::/48\n') },
      { name: 'b', file: await world.write('b', '198.51.100.1\n192.0.2.7\n'), msg: 'B' },
    ])
    const run = await world.run(['-b'])
    expect(run).toMatchObject({ rc: 0, stdout: '', stderr: '' })
    expect(run.sent[0]).toMatch(/^a;"SPAM %A";inet;1;192\.0\.2\.0\/25;inet6;16;2001:db8::\/48;/)
    expect(run.sent[1]).toBe('b;"B";inet;2;192.0.2.7/32;198.51.100.1/32\n')
    expect(world.listener.hasReservedPortsOnly()).toBe(true)
    expect(world.table()?.slice(0, 3)).toEqual(['192.0.2.0/25', '198.51.100.1', '2001:db8::/48'])
  })

  describe('a source that fails keeps its last good copy', () => {
    const failures: {
      name: string
      answer: (response: ServerResponse) => void
      reason: RegExp
      argv?: string[]
    }[] = [
      { name: '404', answer: (response) => response.writeHead(404).end(TEN), reason: /status 404/ },
      { name: '500 for ever', answer: (response) => response.writeHead(500).end(), reason: /status 500/ },
      {
        name: 'reset in mid-body',
        answer: (response) => {
          response.writeHead(200, { 'content-length': '500' })
          response.write('192.0.2.1\n', () => response.socket?.resetAndDestroy())
        },
        reason: /the connection broke before the end/,
      },
      {
        name: 'HTML with 200',
        answer: (response) => response.end('<!DOCTYPE html>\n<html><body>gone</body></html>\n'),
        reason: /HTML/,
      },
      { name: 'an empty body', answer: (response) => response.end(), reason: /no entry/ },
      { name: 'comments only', answer: (response) => response.end('# nothing today\n'), reason: /no entry/ },
      {
        name: 'less than half of before',
        answer: (response) => response.end('192.0.2.1\n192.0.2.2\n192.0.2.3\n192.0.2.4\n'),
        reason: /shrunk from 10 to 4/,
      },
      {
        name: 'prose',
        answer: (response) =>
          response.end(`you ask too often\nplease wait\nan hour\n${'192.0.2.1\n'.repeat(2)}`),
        reason: /3 of 5 lines hold no address/,
      },
      {
        name: 'truncated gzip',
        answer: (response) => response.end(gzipSync(TEN).subarray(0, 25)),
        reason: /ends too early/,
      },
      {
        name: 'a gzip bomb',
        answer: (response) => response.end(gzipSync(Buffer.alloc(40 * 1024 * 1024))),
        reason: /decompresses to more than|larger than/,
      },
      {
        name: 'JSON lines whose count is wrong',
        answer: (response) =>
          response.end(
            `${'{"cidr":"192.0.2.0/24","sblid":"SBL1","rir":"ripencc"}\n'.repeat(9)}{"type":"metadata","timestamp":1,"records":12}\n`,
          ),
        reason: /says that it has 12 records but 9 were read/,
      },
      {
        name: 'NUL bytes',
        answer: (response) => response.end(Buffer.alloc(5_000)),
        reason: /hold no address|no entry/,
      },
      {
        name: 'one line of 10 MB',
        answer: (response) => response.end(Buffer.alloc(10 * 1024 * 1024, 'x')),
        reason: /hold no address/,
      },
      {
        name: 'larger than --max-bytes',
        answer: (response) => response.end('192.0.2.1\n'.repeat(1_000)),
        reason: /larger than 2000 bytes/,
        argv: ['--max-bytes', '2000'],
      },
    ]
    test.each(failures)('$name', async ({ answer, reason, argv = [] }) => {
      says('/a', TEN)
      await world.configure([remote('a'), { name: 'b', file: await world.write('b', '198.51.100.1\n') }])
      expect(await world.run()).toMatchObject({ rc: 0, stderr: '' })
      const before = await world.stateFile('a.list')
      answers['/a'] = answer
      world.clock.advance(2 * 86_400)
      const run = await world.run(argv)
      expect(run.rc).toBe(1)
      const [line = ''] = run.stderr.split('\n')
      expect(line).toMatch(/^spamd-setup: Could not add blacklist a: .*; kept the last good copy, 2 d old$/)
      expect(line).toMatch(reason)
      expect(run.sent).toEqual([TEN_LINE, 'b;"SPAM %A";inet;1;198.51.100.1/32\n'])
      expect(await world.stateFile('a.list')).toEqual(before)
    })
  })

  test('the table holds the last good copy of a list that fails', async () => {
    says('/a', TEN)
    await world.configure([remote('a'), { name: 'b', file: await world.write('b', '198.51.100.1\n') }])
    await world.run(['-b'])
    delete answers['/a']
    await world.write('b', '198.51.100.2\n')
    expect((await world.run(['-b', '--force'])).rc).toBe(1)
    expect(world.table()?.sort()).toEqual([...TEN.trim().split('\n'), '198.51.100.2'].sort())
  })

  test('a failing list without any copy: the others go on, and nothing is sent for it', async () => {
    await world.configure([remote('a'), { name: 'b', file: await world.write('b', '198.51.100.1\n') }])
    const run = await world.run(['-b', '-d'])
    expect(run.rc).toBe(1)
    expect(run.sent).toEqual(['b;"SPAM %A";inet;1;198.51.100.1/32\n'])
    expect(run.stderr).toMatch(/^Getting http:\/\/.*\/a\nspamd-setup: Could not add blacklist a: .*404\n/)
    expect(run.stderr).toMatch(/\nblacklist b 1 entries\n$/)
  })

  test('before our first complete run a failing list takes nothing out of the table', async () => {
    await writeFile(world.path('pfctl-state'), JSON.stringify({ tables: { spamd: ['203.0.113.9'] } }))
    await world.configure([remote('a'), { name: 'b', file: await world.write('b', '198.51.100.1\n') }])
    for (let runs = 0; runs < 2; runs += 1) {
      expect((await world.run(['-b'])).rc).toBe(1)
      expect(world.table()?.sort()).toEqual(['198.51.100.1', '203.0.113.9'])
    }
    says('/a', TEN)
    expect((await world.run(['-b', '--force'])).rc).toBe(0)
    expect(world.table()).toHaveLength(11)
  })

  test('exceptions that the table held before our first run stay exceptions', async () => {
    const spamd = ['203.0.113.0/28', '!203.0.113.8/29', '203.0.113.12/31', '!203.0.113.13']
    await writeFile(world.path('pfctl-state'), JSON.stringify({ tables: { spamd } }))
    await world.configure([remote('a'), { name: 'b', file: await world.write('b', '198.51.100.1\n') }])
    expect((await world.run(['-b'])).rc).toBe(1)
    expect(world.table()?.sort()).toEqual(['198.51.100.1', '203.0.113.0/29', '203.0.113.12'])
  })

  test('what was in the table before our first run is kept for a week at most', async () => {
    await writeFile(world.path('pfctl-state'), JSON.stringify({ tables: { spamd: ['203.0.113.9'] } }))
    await world.configure([remote('a'), { name: 'b', file: await world.write('b', '198.51.100.1\n') }])
    await world.run(['-b'])
    world.clock.advance(7 * 86_400 - 1)
    await world.run(['-b'])
    expect(world.table()).toHaveLength(2)
    world.clock.advance(1)
    expect((await world.run(['-b'])).rc).toBe(1)
    expect(world.table()).toEqual(['198.51.100.1'])
  })

  test('an all that names no list changes nothing', async () => {
    await world.configure([{ name: 'a', file: await world.write('a', TEN) }])
    await world.run(['-b'])
    await world.write('spamd.conf', 'all:\n\t:a:\na:black:msg="x":file=/a:\n')
    const run = await world.run(['-b'])
    expect(run.sent).toEqual([])
    expect(run.stderr).toContain('spamd.conf:2:1: this line begins with a colon but continues no record')
    expect(world.table()).toHaveLength(10)
  })

  test('a white list that fails never widens its black list', async () => {
    const black = { name: 'a', file: await world.write('a', '192.0.2.0/24\n') }
    await world.configure([black, { ...remote('w'), white: true }])
    const first = await world.run(['-b'])
    expect(first).toMatchObject({ rc: 1, sent: [] })
    expect(first.stderr).toMatch(/Could not add whitelist w: .*; blacklist a stays as it was\n/)
    expect(world.table()).toEqual([])

    says('/w', '192.0.2.128/25\n')
    expect(await world.run(['-b', '--force'])).toMatchObject({ rc: 0, stderr: '' })
    expect(world.table()).toEqual(['192.0.2.0/25'])

    delete answers['/w']
    await world.write('a', '192.0.0.0/16\n')
    const run = await world.run(['-b', '--force'])
    expect(run.rc).toBe(1)
    expect(run.stderr).toContain('kept the last good copy')
    expect(world.table()).not.toContain('192.0.2.128/25')
    expect(run.sent[0]).toMatch(/^a;"SPAM %A";inet;9;192\.0\.0\.0\/23;192\.0\.2\.0\/25;/)
  })

  test('a list whose white list is gone stays as it was, in spamd and in the table', async () => {
    const black = { name: 'a', file: await world.write('a', '192.0.2.0/24\n') }
    const white = { name: 'w', white: true, file: await world.write('w', '192.0.2.128/25\n') }
    await world.configure([black, white])
    await world.run(['-b'])
    await world.write('a', '192.0.0.0/16\n')
    await world.configure([black])
    await writeFile(
      world.path('spamd.conf'),
      (await readFile(world.path('spamd.conf'), 'utf8')).replace('all:a:', 'all:a:typo:'),
    )
    const run = await world.run(['-b'])
    expect(run).toMatchObject({ rc: 1, sent: [] })
    expect(run.stderr).toContain('Can\'t find "typo" in spamd config: No such file or directory\n')
    expect(world.table()).toEqual(['192.0.2.0/25'])
  })

  describe('guards know exceptions', () => {
    test(':empty_ok: lets a list shrink to nothing, and clears it', async () => {
      says('/a', TEN)
      await world.configure([remote('a', 'empty_ok:')])
      await world.run(['-b'])
      says('/a', '# none\n')
      const run = await world.run(['-b', '--force'])
      expect(run).toMatchObject({ rc: 0, stderr: '', sent: ['a;\n'] })
      expect(world.table()).toEqual([])
    })

    test('--accept-shrink takes the short list once', async () => {
      says('/a', TEN)
      await world.configure([remote('a')])
      await world.run()
      says('/a', '192.0.2.1\n')
      expect((await world.run(['--force'])).rc).toBe(1)
      expect(await world.run(['--force', '--accept-shrink'])).toMatchObject({
        rc: 0,
        sent: ['a;"SPAM %A";inet;1;192.0.2.1/32\n'],
      })
      expect((await world.run(['--force'])).rc).toBe(0)
    })

    test(':min#N: is a floor from the first run on', async () => {
      says('/a', TEN)
      await world.configure([remote('a', 'min#11:')])
      const run = await world.run()
      expect(run.rc).toBe(1)
      expect(run.stderr).toContain('the list has 10 entries, fewer than min#11')
    })

    test('another source under the same name is not compared with the old one', async () => {
      says('/a', TEN)
      says('/other', '192.0.2.1\n')
      await world.configure([remote('a')])
      await world.run()
      await world.configure([{ name: 'a', method: 'http', file: `${server.host}/other` }])
      expect(await world.run()).toMatchObject({ rc: 0, sent: ['a;"SPAM %A";inet;1;192.0.2.1/32\n'] })
    })

    test('a local file is taken at its word: emptied, it clears its list', async () => {
      const file = await world.write('a', TEN)
      await world.configure([{ name: 'a', file }])
      await world.run(['-b'])
      await world.write('a', '')
      expect(await world.run(['-b'])).toMatchObject({ rc: 0, stderr: '', sent: ['a;\n'] })
      expect(world.table()).toEqual([])
    })
  })

  describe('pace', () => {
    test('a source is asked at most once an hour, and --force asks at once', async () => {
      says('/a', TEN)
      await world.configure([remote('a')])
      await world.run()
      world.clock.advance(HOUR_SEC - 1)
      expect(await world.run()).toMatchObject({ rc: 0, stderr: '', sent: [TEN_LINE] })
      expect(server.requests).toHaveLength(1)
      await world.run(['--force'])
      expect(server.requests).toHaveLength(2)
      world.clock.advance(HOUR_SEC)
      await world.run()
      expect(server.requests).toHaveLength(3)
    })

    test('304 is success: the copy counts as current again', async () => {
      answers['/a'] = (response) => {
        if (response.req.headers['if-none-match'] === '"v1"') response.writeHead(304).end()
        else response.writeHead(200, { etag: '"v1"' }).end(TEN)
      }
      await world.configure([remote('a')])
      await world.run()
      world.clock.advance(86_400)
      const run = await world.run(['--json'])
      expect(run).toMatchObject({ rc: 0, sent: [TEN_LINE] })
      const report = JSON.parse(run.stdout) as {
        lists: { status: string; entries: number; current: string }[]
      }
      expect(report.lists[0]).toMatchObject({ status: 'unchanged', entries: 10 })
      expect(Date.parse(report.lists[0]!.current) / 1000).toBe(world.clock.sec)
    })

    test('a damaged copy is not used, and 304 does not make it good', async () => {
      answers['/a'] = (response) => {
        if (response.req.headers['if-none-match'] === '"v1"') response.writeHead(304).end()
        else response.writeHead(200, { etag: '"v1"' }).end(TEN)
      }
      await world.configure([remote('a')])
      await world.run()
      const copy = await world.stateFile('a.list')
      copy[copy.length - 3] = 0x39
      await writeFile(join(world.stateDir, 'a.list'), copy)
      world.clock.advance(86_400)
      expect(await world.run()).toMatchObject({ rc: 0, sent: [TEN_LINE] })
      expect(server.requests.map(({ headers }) => headers['if-none-match'])).toEqual([
        undefined,
        '"v1"',
        undefined,
      ])
    })

    test('when nothing changed, the stored line is sent as it is, and made anew for any reason to', async () => {
      says('/a', TEN)
      await world.write('w', '192.0.2.1\n')
      const lists = [remote('a'), { name: 'w', white: true, file: world.path('w') }]
      await world.configure(lists)
      const line = (await world.run()).sent
      expect(line).toEqual([TEN_LINE.replace('10;192.0.2.1/32;', '9;')])
      const stored = await world.stateFile('a.line')
      // What is sent comes from the file: the copy could not be read any more.
      await writeFile(join(world.stateDir, 'a.list'), (await world.stateFile('a.list')).subarray(0, 8_192))
      expect(await world.run()).toMatchObject({ rc: 0, stderr: '', sent: line })
      await writeFile(join(world.stateDir, 'a.line'), stored.toString().replace('192.0.2.3', '192.0.2.4'))
      expect((await world.run(['--force'])).sent).toEqual(line)
      expect(await world.stateFile('a.line')).toEqual(stored)
      // The white list, the message and the list itself.
      await world.write('w', '192.0.2.3\n')
      expect((await world.run()).sent).toEqual([TEN_LINE.replace('192.0.2.3/32;', '').replace('10;', '9;')])
      await world.configure(lists.map((list) => ({ ...list, msg: 'other' })))
      expect((await world.run()).sent[0]).toContain('a;"other";')
      says('/a', '198.51.100.0/24\n')
      await world.run(['--force', '--accept-shrink'])
      expect((await world.run()).sent).toEqual(['a;"other";inet;1;198.51.100.0/24\n'])
    })

    test('a table that holds what it should is not written, and one changed by hand is', async () => {
      says('/a', TEN)
      await world.configure([remote('a')])
      const writes = async () =>
        (await readFile(world.path('pfctl-calls'), 'utf8'))
          .split('\n')
          .filter((call) => call.includes('replace')).length
      expect((await world.run(['-b'])).rc).toBe(0)
      expect(await writes()).toBe(1)
      const table = world.table()
      expect(table).toHaveLength(10)
      // Once as quietly as cron has it, once with everything read again.
      for (const argv of [['-b'], ['-b', '-d'], ['-b', '--force']]) {
        expect(await world.run(argv)).toMatchObject({ rc: 0 })
        expect(await writes()).toBe(1)
      }
      for (const [round, entries] of [[], table!.slice(1), [...table!, '203.0.113.9']].entries()) {
        await world.setTable(entries)
        expect(await world.run(['-b'])).toMatchObject({ rc: 0, stderr: '' })
        expect(await writes()).toBe(2 + round)
        expect(world.table()?.sort()).toEqual(table?.sort())
      }
    })

    test('Cache-Control of the server is honoured', async () => {
      says('/a', TEN, { 'cache-control': 'public, max-age=86400' })
      await world.configure([remote('a')])
      await world.run()
      world.clock.advance(86_399)
      await world.run()
      expect(server.requests).toHaveLength(1)
      world.clock.advance(1)
      await world.run()
      expect(server.requests).toHaveLength(2)
    })

    test.each([403, 429])('%i stops asking until the next day', async (status) => {
      says('/a', TEN)
      await world.configure([remote('a')])
      await world.run()
      world.clock.advance(HOUR_SEC)
      answers['/a'] = (response) => {
        response.writeHead(status).end()
      }
      expect((await world.run()).stderr).toContain(`status ${status}; kept the last good copy`)
      world.clock.advance(2 * HOUR_SEC)
      const waiting = await world.run()
      expect(waiting.rc).toBe(1)
      expect(waiting.stderr).toContain('not asked again before')
      expect(server.requests).toHaveLength(2)
      says('/a', TEN)
      world.clock.advance(86_400)
      expect((await world.run()).rc).toBe(0)
      expect(server.requests).toHaveLength(3)
    })

    test('--offline asks nobody and loads everything', async () => {
      says('/a', TEN)
      await world.configure([remote('a')])
      await world.run()
      world.clock.advance(86_400)
      expect(await world.run(['--offline'])).toMatchObject({ rc: 0, stderr: '', sent: [TEN_LINE] })
      expect(server.requests).toHaveLength(1)
    })
  })

  describe('spamd', () => {
    test('is told once that it is not there; copies and table are brought up to date', async () => {
      const absent = await SetupWorld.create({ hasSpamd: false })
      try {
        await absent.configure([
          { name: 'a', file: await absent.write('a', TEN) },
          { name: 'b', file: await absent.write('b', '198.51.100.1\n') },
        ])
        const run = await absent.run(['-b'])
        expect(run.rc).toBe(1)
        expect(run.stderr).toBe(
          `spamd-setup: Can't connect to spamd on port ${absent.listener.port}: Connection refused\n`,
        )
        expect(absent.table()).toHaveLength(11)
        expect((await readdir(absent.stateDir)).sort()).toEqual(
          expect.arrayContaining(['a.line', 'a.list', 'b.line', 'b.list', 'loaded.json']),
        )
      } finally {
        await absent.close()
      }
    })

    describe('that takes a connection and goes silent', () => {
      const listening = async (
        place: { path: string } | { port: 0; host: string },
        onConnection: (socket: Socket) => void,
      ) => {
        const sockets: Socket[] = []
        const listener = createServer({ allowHalfOpen: true }, (socket) => {
          sockets.push(socket.on('error', () => undefined))
          onConnection(socket)
        })
        await once(listener.listen(place), 'listening')
        onTestFinished(() => {
          listener.close()
          for (const socket of sockets) socket.destroy()
        })
        return listener
      }
      /** Three lists, the second of which is a few megabytes as a config line. */
      const configureThree = async () => {
        const many = Array.from(
          { length: 60_000 },
          (_, n) => `11.${n >> 15}.${(n >> 7) & 255}.${(n & 127) * 2}\n`,
        )
        await world.configure([
          { name: 'a', file: await world.write('a', TEN) },
          { name: 'b', file: await world.write('b', many.join('')) },
          { name: 'c', file: await world.write('c', '198.51.100.1\n') },
        ])
      }
      const deliveryTimeouts = { sendMs: 300, closeMs: 300 }

      test.each([
        [
          'at once',
          0,
          'a: spamd on SOCKET did not end the connection within 0.3 s: it may not have taken the list',
          'b, c',
        ],
        ['in the middle of a list', 1, 'b: spamd on SOCKET has read nothing for 0.3 s', 'c'],
      ])(
        '%s: told which list and which not at all, and the rest is done',
        async (_when, goodCount, reason, unsent) => {
          await configureThree()
          const path = world.path('socket')
          let count = 0
          await listening({ path }, (socket) => {
            count += 1
            if (count > goodCount) return
            socket.resume().on('end', () => socket.end('{"result":"added"}\n'))
          })
          const run = await world.run(['-b', '--config-socket', path], { deliveryTimeouts })
          expect(run).toMatchObject({
            rc: 1,
            stderr: `spamd-setup: ${reason.replace('SOCKET', path)}
spamd-setup: hint: see what listens there and whether it still works, then run spamd-setup again
spamd-setup: not sent to spamd: ${unsent}
`,
          })
          expect(count).toBe(goodCount + 1)
          expect(world.table()).toHaveLength(60_011)
          expect(await readdir(world.stateDir)).toEqual(
            expect.arrayContaining(['a.line', 'b.line', 'c.line', 'loaded.json']),
          )
        },
      )

      test('and one that dies between two lists', async () => {
        await configureThree()
        const path = world.path('socket')
        await listening({ path }, (socket) => {
          rmSync(path)
          socket.resume().on('end', () => socket.end('{"result":"added"}\n'))
        })
        expect(await world.run(['--config-socket', path], { deliveryTimeouts })).toMatchObject({
          rc: 1,
          stderr: `spamd-setup: Can't connect to spamd on ${path}: No such file or directory\nspamd-setup: not sent to spamd: b, c\n`,
        })
      })

      test('the configuration port, as the original has it', async () => {
        await world.configure([{ name: 'a', file: await world.write('a', TEN) }])
        const listener = await listening({ port: 0, host: '127.0.0.1' }, (socket) => void socket.resume())
        const { port } = listener.address() as AddressInfo
        const run = await world.run(['--cfg-port', String(port)], { deliveryTimeouts })
        expect(run.rc).toBe(1)
        expect(run.stderr).toContain(`a: spamd on port ${port} did not end the connection within 0.3 s`)
      })
    })

    test('is told to clear the lists that vanished from spamd.conf', async () => {
      const a = { name: 'a', file: await world.write('a', TEN) }
      const b = { name: 'b', file: await world.write('b', '198.51.100.1\n') }
      await world.configure([a, b])
      await world.run(['-b'])
      await world.configure([b])
      expect(await world.run(['-b'])).toMatchObject({
        rc: 0,
        sent: ['b;"SPAM %A";inet;1;198.51.100.1/32\n', 'a;\n'],
      })
      expect(world.table()).toEqual(['198.51.100.1'])
      expect((await world.run(['-b'])).sent).toHaveLength(1)
      expect(await readdir(world.stateDir)).not.toContain('a.line')
    })

    test('keeps them while "all" names a list without a usable record: a slip, not a wish', async () => {
      const a = { name: 'a', file: await world.write('a', TEN) }
      const b = { name: 'b', file: await world.write('b', '198.51.100.1\n') }
      await world.configure([a, b])
      await world.run(['-b'])
      const conf = await readFile(world.path('spamd.conf'), 'latin1')
      for (const slip of [
        conf.replace('all:a:', 'all:aa:'),
        conf.replace(/^a:/m, 'aa:'),
        conf.replace(':black:', ':blck:'),
      ]) {
        await writeFile(world.path('spamd.conf'), slip)
        expect(await world.run(['-b'])).toMatchObject({
          rc: 1,
          sent: ['b;"SPAM %A";inet;1;198.51.100.1/32\n'],
        })
        expect(world.table()).toHaveLength(11)
        expect(await readdir(world.stateDir)).toContain('a.line')
      }
      await world.configure([b])
      expect((await world.run(['-b'])).sent).toContain('a;\n')
      expect(world.table()).toEqual(['198.51.100.1'])
    })
  })

  test('-n touches nothing, and with -d tells what would change', async () => {
    await world.configure([{ name: 'a', file: await world.write('a', TEN) }])
    const first = await world.run(['-n', '-b', '-d'])
    expect(first).toMatchObject({ rc: 0, sent: [], stderr: 'blacklist a 10 entries\n' })
    expect(first.stdout).toBe(
      'blacklist a: 10 would be added, 0 removed, 0 unchanged\ntable spamd: 10 would be added, 0 removed, 0 unchanged\n',
    )
    await expect(readdir(world.stateDir)).rejects.toThrow()
    await world.run(['-b'])
    const files = await readdir(world.stateDir)
    await world.write('a', `${TEN.slice(0, TEN.indexOf('\n') + 1)}203.0.113.0/24\n`)
    expect((await world.run(['-nbd'])).stdout).toBe(
      'blacklist a: 1 would be added, 9 removed, 1 unchanged\ntable spamd: 1 would be added, 9 removed, 1 unchanged\n',
    )
    expect(await readdir(world.stateDir)).toEqual(files)
    expect(world.table()).toHaveLength(10)
  })

  test('-n and -d name the lists that would be cleared because they vanished, and touch nothing', async () => {
    const a = { name: 'a', file: await world.write('a', TEN) }
    const b = { name: 'b', file: await world.write('b', '198.51.100.1\n') }
    await world.configure([a, b])
    await world.run(['-b'])
    const stateOf = async () =>
      Promise.all((await readdir(world.stateDir)).map(async (name) => [name, await world.stateFile(name)]))
    const before = await stateOf()

    await world.configure([b])
    const preview = await world.run(['-nbd'])
    expect(preview).toMatchObject({ rc: 0, sent: [] })
    expect(preview.stdout).toBe(
      'blacklist b: 0 would be added, 0 removed, 1 unchanged\n' +
        'blacklist a: would be cleared, 10 removed: no black list of "all" any more\n' +
        'table spamd: 0 would be added, 10 removed, 1 unchanged\n',
    )
    const json = JSON.parse((await world.run(['-n', '--json'])).stdout) as { toClear: unknown }
    expect(json).toMatchObject({ cleared: [], toClear: [{ name: 'a', networks: 10 }] })
    expect(await stateOf()).toEqual(before)
    expect(world.table()).toHaveLength(11)

    await writeFile(
      world.path('spamd.conf'),
      (await readFile(world.path('spamd.conf'), 'latin1')).replace('all:b:', 'all:b:slip:'),
    )
    expect((await world.run(['-nbd'])).stdout).not.toContain('would be cleared')
    await writeFile(world.path('spamd.conf'), 'all::\n')
    expect((await world.run(['-nbd'])).stdout).not.toContain('would be cleared')
    expect(await stateOf()).toEqual(before)
  })

  test('-n and -d know a list that spamd has still to be told to clear', async () => {
    const absent = await SetupWorld.create({ hasSpamd: false })
    try {
      await absent.configure([{ name: 'b', file: await absent.write('b', '198.51.100.1\n') }])
      await absent.run()
      const index = JSON.parse(String(await absent.stateFile('loaded.json'))) as object
      await writeFile(join(absent.stateDir, 'loaded.json'), JSON.stringify({ ...index, toClear: ['gone'] }))
      expect((await absent.run(['-nd'])).stdout).toBe(
        'blacklist b: 0 would be added, 0 removed, 1 unchanged\n' +
          'blacklist gone: would be cleared: no black list of "all" any more\n',
      )
    } finally {
      await absent.close()
    }
  })

  test('--output writes the union, whole or not at all', async () => {
    await world.configure([
      { name: 'a', file: await world.write('a', '192.0.2.0/25\n2001:db8::1\n') },
      { name: 'b', file: await world.write('b', '192.0.2.128/25\n') },
    ])
    await world.run(['-n', '--output', world.path('out')])
    expect(await readFile(world.path('out'), 'utf8')).toBe('192.0.2.0/24\n2001:db8::1/128\n')
    const outputs = await Promise.all(
      ['pf', 'nft', 'ipset', 'json'].map((format) => world.run(['-n', '--output', '-', '--format', format])),
    )
    const [pf, nft, ipset, json] = outputs.map(({ stdout }) => stdout)
    expect(pf).toMatch(/^#.*\n192\.0\.2\.0\/24\n2001:db8::1\/128\n$/)
    expect(nft).toContain('add element inet spamd spamd { 192.0.2.0/24 }')
    expect(ipset).toContain('add spamd6 2001:db8::1/128\n')
    expect(JSON.parse(json!)).toEqual({
      lists: [
        { name: 'a', cidrs: ['192.0.2.0/25', '2001:db8::1/128'] },
        { name: 'b', cidrs: ['192.0.2.128/25'] },
      ],
    })
    const refused = await world.run(['-n', '--output', '/nonexistent/out'])
    expect(refused).toMatchObject({ rc: 1 })
    expect(refused.stderr).toBe('spamd-setup: cannot write /nonexistent/out: No such file or directory\n')
  })

  test('shell and firewall characters in every field do nothing', async () => {
    const evil = '$(touch /tmp/h4-evil); `id` | & > < " \' { } * ? ~ # ! \\ x'
    says(
      '/a',
      `${TEN}192.0.2.99 ${evil}\n${evil}\nadd ${evil} 203.0.113.1\n; flush ruleset\n203.0.113.9/32; drop }\n`,
      {
        etag: '"$(id)"',
      },
    )
    await world.configure([{ ...remote('a'), msg: evil.replaceAll('"', '\\"').replaceAll(':', '') }])
    const run = await world.run(['-b', '-d'])
    expect(run.rc).toBe(0)
    expect(run.sent).toHaveLength(1)
    expect(world.table()).toEqual([...TEN.trim().split('\n'), '192.0.2.99', '203.0.113.9'])
    await expect(readFile('/tmp/h4-evil')).rejects.toThrow()
  })

  test('list names of any bytes stay within the state folder', async () => {
    await world.configure([
      { name: '../../evil', file: await world.write('a', '192.0.2.1\n') },
      { name: `n${'x'.repeat(300)}`, file: world.path('a') },
    ])
    expect((await world.run()).rc).toBe(0)
    expect((await readdir(world.dir)).sort()).toEqual(['a', 'spamd.conf', 'state'])
    expect(await world.run(['--offline'])).toMatchObject({ rc: 0 })
  })

  test('a state folder that everybody may write to is refused', async () => {
    await world.configure([{ name: 'a', file: await world.write('a', TEN) }])
    await mkdir(world.stateDir)
    await chmod(world.stateDir, 0o777)
    const run = await world.run()
    expect(run).toMatchObject({ rc: 1, sent: [] })
    expect(run.stderr).toBe(
      `spamd-setup: ${world.stateDir}: everybody may write to this folder\nspamd-setup: hint: chmod o-w ${world.stateDir}\n`,
    )
  })

  test('five sources at once and the order of all', async () => {
    const names = ['e', 'd', 'c', 'b', 'a']
    for (const [index, name] of names.entries()) says(`/${name}`, `192.0.2.${index + 1}\n`)
    await world.configure(names.map((name) => remote(name)))
    const run = await world.run(['-d'])
    expect(run.stderr).toBe(
      names.map((name) => `Getting http://${server.host}/${name}\nblacklist ${name} 1 entries\n`).join(''),
    )
    expect(run.sent.map((line) => line[0])).toEqual(names)
  })
})
