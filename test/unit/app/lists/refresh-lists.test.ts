/** spamd-setup as a whole against real servers, spamd's port and the pfctl stand-in. */
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { readDeliveredLists } from '../../../../src/app/lists/delivered-lists.js'
import { countCidrs } from '../../../../src/ip/cidr-text.js'
import { type ListServer, startListServer } from '../../../support/list-server.js'
import { SetupScene } from '../../../support/setup/setup-scene.js'

const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('skipped: only root may send from a port below 1024\n')

const HOUR_SEC = 3_600
const TEN = Array.from({ length: 10 }, (_unused, index) => `192.0.2.${index * 2 + 1}\n`).join('')
const TEN_LINE = `a;"SPAM %A";inet;10;${TEN.trim()
  .split('\n')
  .map((address) => `${address}/32`)
  .join(';')}\n`

describe.skipIf(!isRoot)('spamd-setup', () => {
  let scene: SetupScene
  let server: ListServer
  /** What the server answers next, by path. */
  let answers: Record<string, (response: ServerResponse) => void>

  beforeEach(async () => {
    scene = await SetupScene.create()
    answers = {}
    server = await startListServer((request, response) => {
      const answer = answers[request.url ?? '/']
      if (answer === undefined) response.writeHead(404).end()
      else answer(response)
    })
  })

  afterEach(async () => {
    await server.close()
    await scene.close()
  })

  test('a user that was named but is not there is no reason to run commands as another', async () => {
    await scene.configure([{ name: 'a', method: 'exec', file: '/bin/echo 192.0.2.1' }])
    expect(await scene.run([])).toMatchObject({ rc: 0, stderr: '' })
    const named = await scene.run(['--user', 'no-such-user'])
    expect(named.rc).toBe(1)
    expect(named.stderr).toContain('Could not add blacklist a: cannot find user no-such-user; kept')
    expect(named.stderr).toContain('hint: commands run without privileges')
  })

  const says = (path: string, body: string | Uint8Array, headers: Record<string, string> = {}) => {
    answers[path] = (response) => {
      response.writeHead(200, headers).end(body)
    }
  }
  const remote = (name: string, more = '') => ({ name, method: 'http', file: `${server.host}/${name}`, more })

  test('everything arrives at spamd from a port of root, and in the table', async () => {
    await scene.configure([
      { name: 'a', file: await scene.write('a', '192.0.2.0/24\n2001:db8::/32\n') },
      { name: 'w', white: true, file: await scene.write('w', '192.0.2.128/25\n2001:db8:1::/48\n') },
      { name: 'b', file: await scene.write('b', '198.51.100.1\n192.0.2.7\n'), msg: 'B' },
    ])
    const run = await scene.run(['-b'])
    expect(run).toMatchObject({ rc: 0, stdout: '', stderr: '' })
    expect(run.sent[0]).toMatch(/^a;"SPAM %A";inet;1;192\.0\.2\.0\/25;inet6;16;2001:db8::\/48;/)
    expect(run.sent[1]).toBe('b;"B";inet;2;192.0.2.7/32;198.51.100.1/32\n')
    // What spamd loads after a restart is what it was sent.
    const delivered = await readDeliveredLists(scene.stateDir)
    expect(delivered.map(({ name, message, entryCount }) => [name, message, entryCount])).toEqual([
      ['a', 'SPAM %A', 17],
      ['b', 'B', 2],
    ])
    expect(countCidrs(delivered[0]!.set)).toEqual({ ipv4: 1, ipv6: 16 })
    expect(scene.listener.hasReservedPortsOnly()).toBe(true)
    expect(scene.table()?.slice(0, 3)).toEqual(['192.0.2.0/25', '198.51.100.1', '2001:db8::/48'])
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
        reason: /the connection was closed before the end/,
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
        reason: /announces 12 records, but 9 were read/,
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
      await scene.configure([remote('a'), { name: 'b', file: await scene.write('b', '198.51.100.1\n') }])
      expect(await scene.run()).toMatchObject({ rc: 0, stderr: '' })
      const before = await scene.stateFile('a.list')
      answers['/a'] = answer
      scene.clock.advance(2 * 86_400)
      const run = await scene.run(argv)
      expect(run.rc).toBe(1)
      const [line = ''] = run.stderr.split('\n')
      expect(line).toMatch(/^spamd-setup: Could not add blacklist a: .*; kept the last good copy, 2 d old$/)
      expect(line).toMatch(reason)
      expect(run.sent).toEqual([TEN_LINE, 'b;"SPAM %A";inet;1;198.51.100.1/32\n'])
      expect(await scene.stateFile('a.list')).toEqual(before)
    })
  })

  test('the table holds the last good copy of a list that fails', async () => {
    says('/a', TEN)
    await scene.configure([remote('a'), { name: 'b', file: await scene.write('b', '198.51.100.1\n') }])
    await scene.run(['-b'])
    delete answers['/a']
    await scene.write('b', '198.51.100.2\n')
    expect((await scene.run(['-b', '--force'])).rc).toBe(1)
    expect(scene.table()?.sort()).toEqual([...TEN.trim().split('\n'), '198.51.100.2'].sort())
  })

  test('a failing list without any copy: the others go on, and nothing is sent for it', async () => {
    await scene.configure([remote('a'), { name: 'b', file: await scene.write('b', '198.51.100.1\n') }])
    const run = await scene.run(['-b', '-d'])
    expect(run.rc).toBe(1)
    expect(run.sent).toEqual(['b;"SPAM %A";inet;1;198.51.100.1/32\n'])
    expect(run.stderr).toMatch(/^Getting http:\/\/.*\/a\nspamd-setup: Could not add blacklist a: .*404\n/)
    expect(run.stderr).toMatch(/\nblacklist b 1 entries\n$/)
  })

  test('before our first complete run a failing list takes nothing out of the table', async () => {
    await writeFile(scene.path('pfctl-state'), JSON.stringify({ tables: { spamd: ['203.0.113.9'] } }))
    await scene.configure([remote('a'), { name: 'b', file: await scene.write('b', '198.51.100.1\n') }])
    for (let runs = 0; runs < 2; runs += 1) {
      expect((await scene.run(['-b'])).rc).toBe(1)
      expect(scene.table()?.sort()).toEqual(['198.51.100.1', '203.0.113.9'])
    }
    says('/a', TEN)
    expect((await scene.run(['-b', '--force'])).rc).toBe(0)
    expect(scene.table()).toHaveLength(11)
  })

  test('exceptions that the table held before our first run stay exceptions', async () => {
    const spamd = ['203.0.113.0/28', '!203.0.113.8/29', '203.0.113.12/31', '!203.0.113.13']
    await writeFile(scene.path('pfctl-state'), JSON.stringify({ tables: { spamd } }))
    await scene.configure([remote('a'), { name: 'b', file: await scene.write('b', '198.51.100.1\n') }])
    expect((await scene.run(['-b'])).rc).toBe(1)
    expect(scene.table()?.sort()).toEqual(['198.51.100.1', '203.0.113.0/29', '203.0.113.12'])
  })

  test('what was in the table before our first run is kept for a week at most', async () => {
    await writeFile(scene.path('pfctl-state'), JSON.stringify({ tables: { spamd: ['203.0.113.9'] } }))
    await scene.configure([remote('a'), { name: 'b', file: await scene.write('b', '198.51.100.1\n') }])
    await scene.run(['-b'])
    scene.clock.advance(7 * 86_400 - 1)
    await scene.run(['-b'])
    expect(scene.table()).toHaveLength(2)
    scene.clock.advance(1)
    expect((await scene.run(['-b'])).rc).toBe(1)
    expect(scene.table()).toEqual(['198.51.100.1'])
  })

  test('an all that names no list changes nothing', async () => {
    await scene.configure([{ name: 'a', file: await scene.write('a', TEN) }])
    await scene.run(['-b'])
    await scene.write('spamd.conf', 'all:\n\t:a:\na:black:msg="x":file=/a:\n')
    const run = await scene.run(['-b'])
    expect(run.sent).toEqual([])
    expect(run.stderr).toContain(
      'spamd.conf:2:1: this line begins with a colon but does not continue a record',
    )
    expect(scene.table()).toHaveLength(10)
  })

  test('a white list that fails never widens its black list', async () => {
    const black = { name: 'a', file: await scene.write('a', '192.0.2.0/24\n') }
    await scene.configure([black, { ...remote('w'), white: true }])
    const first = await scene.run(['-b'])
    expect(first).toMatchObject({ rc: 1, sent: [] })
    expect(first.stderr).toMatch(/Could not add whitelist w: .*; blacklist a stays as it was\n/)
    expect(scene.table()).toEqual([])

    says('/w', '192.0.2.128/25\n')
    expect(await scene.run(['-b', '--force'])).toMatchObject({ rc: 0, stderr: '' })
    expect(scene.table()).toEqual(['192.0.2.0/25'])

    delete answers['/w']
    await scene.write('a', '192.0.0.0/16\n')
    const run = await scene.run(['-b', '--force'])
    expect(run.rc).toBe(1)
    expect(run.stderr).toContain('kept the last good copy')
    expect(scene.table()).not.toContain('192.0.2.128/25')
    expect(run.sent[0]).toMatch(/^a;"SPAM %A";inet;9;192\.0\.0\.0\/23;192\.0\.2\.0\/25;/)
  })

  test('a list whose white list is gone stays as it was, in spamd and in the table', async () => {
    const black = { name: 'a', file: await scene.write('a', '192.0.2.0/24\n') }
    const white = { name: 'w', white: true, file: await scene.write('w', '192.0.2.128/25\n') }
    await scene.configure([black, white])
    await scene.run(['-b'])
    await scene.write('a', '192.0.0.0/16\n')
    await scene.configure([black])
    await writeFile(
      scene.path('spamd.conf'),
      (await readFile(scene.path('spamd.conf'), 'utf8')).replace('all:a:', 'all:a:typo:'),
    )
    const run = await scene.run(['-b'])
    expect(run).toMatchObject({ rc: 1, sent: [] })
    expect(run.stderr).toContain('Can\'t find "typo" in spamd config: No such file or directory\n')
    expect(scene.table()).toEqual(['192.0.2.0/25'])
  })

  describe('guards know exceptions', () => {
    test(':empty_ok: lets a list shrink to nothing, and clears it', async () => {
      says('/a', TEN)
      await scene.configure([remote('a', 'empty_ok:')])
      await scene.run(['-b'])
      says('/a', '# none\n')
      const run = await scene.run(['-b', '--force'])
      expect(run).toMatchObject({ rc: 0, stderr: '', sent: ['a;\n'] })
      expect(scene.table()).toEqual([])
    })

    test('--accept-shrink takes the short list once', async () => {
      says('/a', TEN)
      await scene.configure([remote('a')])
      await scene.run()
      says('/a', '192.0.2.1\n')
      expect((await scene.run(['--force'])).rc).toBe(1)
      expect(await scene.run(['--force', '--accept-shrink'])).toMatchObject({
        rc: 0,
        sent: ['a;"SPAM %A";inet;1;192.0.2.1/32\n'],
      })
      expect((await scene.run(['--force'])).rc).toBe(0)
    })

    test(':min#N: is a floor from the first run on', async () => {
      says('/a', TEN)
      await scene.configure([remote('a', 'min#11:')])
      const run = await scene.run()
      expect(run.rc).toBe(1)
      expect(run.stderr).toContain('the list has 10 entries, fewer than min#11')
    })

    test('another source under the same name is not compared with the old one', async () => {
      says('/a', TEN)
      says('/other', '192.0.2.1\n')
      await scene.configure([remote('a')])
      await scene.run()
      await scene.configure([{ name: 'a', method: 'http', file: `${server.host}/other` }])
      expect(await scene.run()).toMatchObject({ rc: 0, sent: ['a;"SPAM %A";inet;1;192.0.2.1/32\n'] })
    })

    test('a local file is taken at its word: emptied, it clears its list', async () => {
      const file = await scene.write('a', TEN)
      await scene.configure([{ name: 'a', file }])
      await scene.run(['-b'])
      await scene.write('a', '')
      expect(await scene.run(['-b'])).toMatchObject({ rc: 0, stderr: '', sent: ['a;\n'] })
      expect(scene.table()).toEqual([])
    })
  })

  describe('pace', () => {
    test('a source is asked at most once an hour, and use --force to fetch it now', async () => {
      says('/a', TEN)
      await scene.configure([remote('a')])
      await scene.run()
      scene.clock.advance(HOUR_SEC - 1)
      expect(await scene.run()).toMatchObject({ rc: 0, stderr: '', sent: [TEN_LINE] })
      expect(server.requests).toHaveLength(1)
      await scene.run(['--force'])
      expect(server.requests).toHaveLength(2)
      scene.clock.advance(HOUR_SEC)
      await scene.run()
      expect(server.requests).toHaveLength(3)
    })

    test('304 is success: the copy counts as current again', async () => {
      answers['/a'] = (response) => {
        if (response.req.headers['if-none-match'] === '"v1"') response.writeHead(304).end()
        else response.writeHead(200, { etag: '"v1"' }).end(TEN)
      }
      await scene.configure([remote('a')])
      await scene.run()
      scene.clock.advance(86_400)
      const run = await scene.run(['--json'])
      expect(run).toMatchObject({ rc: 0, sent: [TEN_LINE] })
      const report = JSON.parse(run.stdout) as {
        lists: { status: string; entries: number; current: string }[]
      }
      expect(report.lists[0]).toMatchObject({ status: 'unchanged', entries: 10 })
      expect(Date.parse(report.lists[0]!.current) / 1000).toBe(scene.clock.sec)
    })

    test('a damaged copy is not used, and 304 does not make it good', async () => {
      answers['/a'] = (response) => {
        if (response.req.headers['if-none-match'] === '"v1"') response.writeHead(304).end()
        else response.writeHead(200, { etag: '"v1"' }).end(TEN)
      }
      await scene.configure([remote('a')])
      await scene.run()
      const copy = await scene.stateFile('a.list')
      copy[copy.length - 3] = 0x39
      await writeFile(join(scene.stateDir, 'a.list'), copy)
      scene.clock.advance(86_400)
      expect(await scene.run()).toMatchObject({ rc: 0, sent: [TEN_LINE] })
      expect(server.requests.map(({ headers }) => headers['if-none-match'])).toEqual([
        undefined,
        '"v1"',
        undefined,
      ])
    })

    test('when nothing changed, the stored line is sent as it is, and made anew for any reason to', async () => {
      says('/a', TEN)
      await scene.write('w', '192.0.2.1\n')
      const lists = [remote('a'), { name: 'w', white: true, file: scene.path('w') }]
      await scene.configure(lists)
      const line = (await scene.run()).sent
      expect(line).toEqual([TEN_LINE.replace('10;192.0.2.1/32;', '9;')])
      const stored = await scene.stateFile('a.line')
      // What is sent comes from the file: the copy could not be read any more.
      await writeFile(join(scene.stateDir, 'a.list'), (await scene.stateFile('a.list')).subarray(0, 8_192))
      expect(await scene.run()).toMatchObject({ rc: 0, stderr: '', sent: line })
      await writeFile(join(scene.stateDir, 'a.line'), stored.toString().replace('192.0.2.3', '192.0.2.4'))
      expect((await scene.run(['--force'])).sent).toEqual(line)
      expect(await scene.stateFile('a.line')).toEqual(stored)
      // The white list, the message and the list itself.
      await scene.write('w', '192.0.2.3\n')
      expect((await scene.run()).sent).toEqual([TEN_LINE.replace('192.0.2.3/32;', '').replace('10;', '9;')])
      await scene.configure(lists.map((list) => ({ ...list, msg: 'other' })))
      expect((await scene.run()).sent[0]).toContain('a;"other";')
      says('/a', '198.51.100.0/24\n')
      await scene.run(['--force', '--accept-shrink'])
      expect((await scene.run()).sent).toEqual(['a;"other";inet;1;198.51.100.0/24\n'])
    })

    test('a table that holds what it should is not written, and one changed by hand is', async () => {
      says('/a', TEN)
      await scene.configure([remote('a')])
      const writes = async () =>
        (await readFile(scene.path('pfctl-calls'), 'utf8'))
          .split('\n')
          .filter((call) => call.includes('replace')).length
      expect((await scene.run(['-b'])).rc).toBe(0)
      expect(await writes()).toBe(1)
      const table = scene.table()
      expect(table).toHaveLength(10)
      // Once as quietly as cron has it, once with everything read again.
      for (const argv of [['-b'], ['-b', '-d'], ['-b', '--force']]) {
        expect(await scene.run(argv)).toMatchObject({ rc: 0 })
        expect(await writes()).toBe(1)
      }
      for (const [round, entries] of [[], table!.slice(1), [...table!, '203.0.113.9']].entries()) {
        await scene.setTable(entries)
        expect(await scene.run(['-b'])).toMatchObject({ rc: 0, stderr: '' })
        expect(await writes()).toBe(2 + round)
        expect(scene.table()?.sort()).toEqual(table?.sort())
      }
    })

    test('Cache-Control of the server is honoured', async () => {
      says('/a', TEN, { 'cache-control': 'public, max-age=86400' })
      await scene.configure([remote('a')])
      await scene.run()
      scene.clock.advance(86_399)
      await scene.run()
      expect(server.requests).toHaveLength(1)
      scene.clock.advance(1)
      await scene.run()
      expect(server.requests).toHaveLength(2)
    })

    test.each([403, 429])('%i stops asking until the next day', async (status) => {
      says('/a', TEN)
      await scene.configure([remote('a')])
      await scene.run()
      scene.clock.advance(HOUR_SEC)
      answers['/a'] = (response) => {
        response.writeHead(status).end()
      }
      expect((await scene.run()).stderr).toContain(`status ${status}; kept the last good copy`)
      scene.clock.advance(2 * HOUR_SEC)
      const waiting = await scene.run()
      expect(waiting.rc).toBe(1)
      expect(waiting.stderr).toContain('not fetched again before')
      expect(server.requests).toHaveLength(2)
      says('/a', TEN)
      scene.clock.advance(86_400)
      expect((await scene.run()).rc).toBe(0)
      expect(server.requests).toHaveLength(3)
    })

    test('--offline asks nobody and loads everything', async () => {
      says('/a', TEN)
      await scene.configure([remote('a')])
      await scene.run()
      scene.clock.advance(86_400)
      expect(await scene.run(['--offline'])).toMatchObject({ rc: 0, stderr: '', sent: [TEN_LINE] })
      expect(server.requests).toHaveLength(1)
    })
  })

  describe('spamd', () => {
    test('is told once that it is not there; copies and table are brought up to date', async () => {
      const absent = await SetupScene.create({ hasSpamd: false })
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
        await scene.configure([
          { name: 'a', file: await scene.write('a', TEN) },
          { name: 'b', file: await scene.write('b', many.join('')) },
          { name: 'c', file: await scene.write('c', '198.51.100.1\n') },
        ])
      }
      const deliveryTimeouts = { sendMs: 300, closeMs: 300 }

      test.each([
        [
          'at once',
          0,
          'a: spamd on SOCKET did not end the connection within 0.3 s: it may not have accepted the list',
          'b, c',
        ],
        ['in the middle of a list', 1, 'b: spamd on SOCKET read nothing for 0.3 s', 'c'],
      ])(
        '%s: told which list and which not at all, and the rest is done',
        async (_when, goodCount, reason, unsent) => {
          await configureThree()
          const path = scene.path('socket')
          let count = 0
          await listening({ path }, (socket) => {
            count += 1
            if (count > goodCount) return
            socket.resume().on('end', () => socket.end('{"result":"added"}\n'))
          })
          const run = await scene.run(['-b', '--config-socket', path], { deliveryTimeouts })
          expect(run).toMatchObject({
            rc: 1,
            stderr: `spamd-setup: ${reason.replace('SOCKET', path)}
spamd-setup: hint: check the program that listens there, then run spamd-setup again
spamd-setup: not sent to spamd: ${unsent}
`,
          })
          expect(count).toBe(goodCount + 1)
          expect(scene.table()).toHaveLength(60_011)
          expect(await readdir(scene.stateDir)).toEqual(
            expect.arrayContaining(['a.line', 'b.line', 'c.line', 'loaded.json']),
          )
        },
      )

      test('and one that dies between two lists', async () => {
        await configureThree()
        const path = scene.path('socket')
        await listening({ path }, (socket) => {
          rmSync(path)
          socket.resume().on('end', () => socket.end('{"result":"added"}\n'))
        })
        expect(await scene.run(['--config-socket', path], { deliveryTimeouts })).toMatchObject({
          rc: 1,
          stderr: `spamd-setup: Can't connect to spamd on ${path}: No such file or directory\nspamd-setup: not sent to spamd: b, c\n`,
        })
      })

      test('the configuration port, as the original has it', async () => {
        await scene.configure([{ name: 'a', file: await scene.write('a', TEN) }])
        const listener = await listening({ port: 0, host: '127.0.0.1' }, (socket) => void socket.resume())
        const { port } = listener.address() as AddressInfo
        const run = await scene.run(['--cfg-port', String(port)], { deliveryTimeouts })
        expect(run.rc).toBe(1)
        expect(run.stderr).toContain(`a: spamd on port ${port} did not end the connection within 0.3 s`)
      })
    })

    test('is told to clear the lists that vanished from spamd.conf', async () => {
      const a = { name: 'a', file: await scene.write('a', TEN) }
      const b = { name: 'b', file: await scene.write('b', '198.51.100.1\n') }
      await scene.configure([a, b])
      await scene.run(['-b'])
      await scene.configure([b])
      expect(await scene.run(['-b'])).toMatchObject({
        rc: 0,
        sent: ['b;"SPAM %A";inet;1;198.51.100.1/32\n', 'a;\n'],
      })
      expect(scene.table()).toEqual(['198.51.100.1'])
      expect((await scene.run(['-b'])).sent).toHaveLength(1)
      expect(await readdir(scene.stateDir)).not.toContain('a.line')
    })

    test('keeps them while "all" names a list without a usable record: a slip, not a wish', async () => {
      const a = { name: 'a', file: await scene.write('a', TEN) }
      const b = { name: 'b', file: await scene.write('b', '198.51.100.1\n') }
      await scene.configure([a, b])
      await scene.run(['-b'])
      const conf = await readFile(scene.path('spamd.conf'), 'latin1')
      for (const slip of [
        conf.replace('all:a:', 'all:aa:'),
        conf.replace(/^a:/m, 'aa:'),
        conf.replace(':black:', ':blck:'),
      ]) {
        await writeFile(scene.path('spamd.conf'), slip)
        expect(await scene.run(['-b'])).toMatchObject({
          rc: 1,
          sent: ['b;"SPAM %A";inet;1;198.51.100.1/32\n'],
        })
        expect(scene.table()).toHaveLength(11)
        expect(await readdir(scene.stateDir)).toContain('a.line')
      }
      await scene.configure([b])
      expect((await scene.run(['-b'])).sent).toContain('a;\n')
      expect(scene.table()).toEqual(['198.51.100.1'])
    })
  })

  test('-n touches nothing, and with -d reports what would change', async () => {
    await scene.configure([{ name: 'a', file: await scene.write('a', TEN) }])
    const first = await scene.run(['-n', '-b', '-d'])
    expect(first).toMatchObject({ rc: 0, sent: [], stderr: 'blacklist a 10 entries\n' })
    expect(first.stdout).toBe(
      'blacklist a: 10 would be added, 0 removed, 0 unchanged\ntable spamd: 10 would be added, 0 removed, 0 unchanged\n',
    )
    await expect(readdir(scene.stateDir)).rejects.toThrow()
    await scene.run(['-b'])
    const files = await readdir(scene.stateDir)
    await scene.write('a', `${TEN.slice(0, TEN.indexOf('\n') + 1)}203.0.113.0/24\n`)
    expect((await scene.run(['-nbd'])).stdout).toBe(
      'blacklist a: 1 would be added, 9 removed, 1 unchanged\ntable spamd: 1 would be added, 9 removed, 1 unchanged\n',
    )
    expect(await readdir(scene.stateDir)).toEqual(files)
    expect(scene.table()).toHaveLength(10)
  })

  test('-n and -d name the lists that would be cleared because they vanished, and touch nothing', async () => {
    const a = { name: 'a', file: await scene.write('a', TEN) }
    const b = { name: 'b', file: await scene.write('b', '198.51.100.1\n') }
    await scene.configure([a, b])
    await scene.run(['-b'])
    const stateOf = async () =>
      Promise.all((await readdir(scene.stateDir)).map(async (name) => [name, await scene.stateFile(name)]))
    const before = await stateOf()

    await scene.configure([b])
    const preview = await scene.run(['-nbd'])
    expect(preview).toMatchObject({ rc: 0, sent: [] })
    expect(preview.stdout).toBe(
      'blacklist b: 0 would be added, 0 removed, 1 unchanged\n' +
        'blacklist a: would be cleared, 10 removed: no longer a black list in "all"\n' +
        'table spamd: 0 would be added, 10 removed, 1 unchanged\n',
    )
    const json = JSON.parse((await scene.run(['-n', '--json'])).stdout) as { toClear: unknown }
    expect(json).toMatchObject({ cleared: [], toClear: [{ name: 'a', networks: 10 }] })
    expect(await stateOf()).toEqual(before)
    expect(scene.table()).toHaveLength(11)

    await writeFile(
      scene.path('spamd.conf'),
      (await readFile(scene.path('spamd.conf'), 'latin1')).replace('all:b:', 'all:b:slip:'),
    )
    expect((await scene.run(['-nbd'])).stdout).not.toContain('would be cleared')
    await writeFile(scene.path('spamd.conf'), 'all::\n')
    expect((await scene.run(['-nbd'])).stdout).not.toContain('would be cleared')
    expect(await stateOf()).toEqual(before)
  })

  test('-n and -d know a list that spamd has still to be told to clear', async () => {
    const absent = await SetupScene.create({ hasSpamd: false })
    try {
      await absent.configure([{ name: 'b', file: await absent.write('b', '198.51.100.1\n') }])
      await absent.run()
      const index = JSON.parse(String(await absent.stateFile('loaded.json'))) as object
      await writeFile(join(absent.stateDir, 'loaded.json'), JSON.stringify({ ...index, toClear: ['gone'] }))
      expect((await absent.run(['-nd'])).stdout).toBe(
        'blacklist b: 0 would be added, 0 removed, 1 unchanged\n' +
          'blacklist gone: would be cleared: no longer a black list in "all"\n',
      )
    } finally {
      await absent.close()
    }
  })

  test('--output writes the union, whole or not at all', async () => {
    await scene.configure([
      { name: 'a', file: await scene.write('a', '192.0.2.0/25\n2001:db8::1\n') },
      { name: 'b', file: await scene.write('b', '192.0.2.128/25\n') },
    ])
    await scene.run(['-n', '--output', scene.path('out')])
    expect(await readFile(scene.path('out'), 'utf8')).toBe('192.0.2.0/24\n2001:db8::1/128\n')
    const outputs = await Promise.all(
      ['pf', 'nft', 'ipset', 'json'].map((format) => scene.run(['-n', '--output', '-', '--format', format])),
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
    const refused = await scene.run(['-n', '--output', '/nonexistent/out'])
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
    await scene.configure([{ ...remote('a'), msg: evil.replaceAll('"', '\\"').replaceAll(':', '') }])
    const run = await scene.run(['-b', '-d'])
    expect(run.rc).toBe(0)
    expect(run.sent).toHaveLength(1)
    expect(scene.table()).toEqual([...TEN.trim().split('\n'), '192.0.2.99', '203.0.113.9'])
    await expect(readFile('/tmp/h4-evil')).rejects.toThrow()
  })

  test('list names of any bytes stay within the state folder', async () => {
    await scene.configure([
      { name: '../../evil', file: await scene.write('a', '192.0.2.1\n') },
      { name: `n${'x'.repeat(300)}`, file: scene.path('a') },
    ])
    expect((await scene.run()).rc).toBe(0)
    expect((await readdir(scene.dir)).sort()).toEqual(['a', 'spamd.conf', 'state'])
    expect(await scene.run(['--offline'])).toMatchObject({ rc: 0 })
  })

  test('a state folder that everybody may write to is refused', async () => {
    await scene.configure([{ name: 'a', file: await scene.write('a', TEN) }])
    await mkdir(scene.stateDir)
    await chmod(scene.stateDir, 0o777)
    const run = await scene.run()
    expect(run).toMatchObject({ rc: 1, sent: [] })
    expect(run.stderr).toBe(
      `spamd-setup: ${scene.stateDir}: every user may write to this folder\nspamd-setup: hint: chmod o-w ${scene.stateDir}\n`,
    )
  })

  test('five sources at once and the order of all', async () => {
    const names = ['e', 'd', 'c', 'b', 'a']
    for (const [index, name] of names.entries()) says(`/${name}`, `192.0.2.${index + 1}\n`)
    await scene.configure(names.map((name) => remote(name)))
    const run = await scene.run(['-d'])
    expect(run.stderr).toBe(
      names.map((name) => `Getting http://${server.host}/${name}\nblacklist ${name} 1 entries\n`).join(''),
    )
    expect(run.sent.map((line) => line[0])).toEqual(names)
  })
})
