import { afterEach, describe, expect, test, vi } from 'vitest'
import { parseAllowedDomains } from '../../../../src/app/allowed-domains.js'
import { Greylister, type GreylisterOptions } from '../../../../src/daemon/grey/greylister.js'
import type { Store, TupleAttempt, TupleOutcome } from '../../../../src/db/store.js'
import { AppError } from '../../../../src/platform/app-error.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { MemoryDebugOutput } from '../../../support/memory-debug-output.js'
import { MemoryLogger } from '../../../support/memory-logger.js'
import { POLICY } from '../../../support/scratch-database.js'

const recipient = {
  clientIp: '192.0.2.1',
  destinationIp: '198.51.100.1',
  helo: 'mx.example.org',
  from: '<a@example.org>',
  to: '<B@example.net>',
}

interface Call {
  attempts: readonly TupleAttempt[]
  now: number
}

function harness(
  outcome: TupleOutcome['result'] | ((attempt: TupleAttempt) => Partial<TupleOutcome>) = 'new',
  options: Partial<GreylisterOptions> = {},
) {
  const clock = new ManualClock()
  const logger = new MemoryLogger()
  const debug = new MemoryDebugOutput()
  const calls: Call[] = []
  const failures: AppError[] = []
  const announced: string[] = []
  const promoted: string[] = []
  const store: Pick<Store, 'recordAttempts'> = {
    async recordAttempts(attempts, _policy, now) {
      const failure = failures.shift()
      if (failure !== undefined) throw failure
      calls.push({ attempts, now })
      const outcomes = attempts.map((attempt) => ({
        result: typeof outcome === 'string' ? outcome : 'new',
        isNewHost: true,
        evictedCount: 0,
        trapExpire: now + 500,
        ...(typeof outcome === 'string' ? {} : outcome(attempt)),
      }))
      return { outcomes, changes: [] }
    },
  }
  const greylister = new Greylister({
    useStore: (action) => action(store as Store),
    databasePath: '/db',
    policy: POLICY,
    clock,
    logger,
    debug,
    blockLists: { match: () => [], overlaps: () => false },
    sync: {
      announceGrey: ({ ip, to }) => announced.push(`grey ${ip} ${to}`),
      announceHost: (ip, entry) => announced.push(`${entry?.kind} ${ip} ${entry?.expire}`),
    },
    onPromoted: (ip) => promoted.push(ip),
    ...options,
  })
  const logged = () => logger.lines.map(({ level, message }) => `${level} ${message}`)
  const shown = () => debug.lines.map(({ stream, line }) => `${stream} ${line}`)
  return { clock, calls, failures, announced, promoted, greylister, logged, shown }
}

afterEach(() => {
  vi.useRealTimers()
})

describe('what is counted', () => {
  const NONE = {
    submitted: 0, recorded: 0, created: 0, repeated: 0, promoted: 0, opened: 0, trapped: 0, refused: 0, dropped: 0,
    unstored: 0, evicted: 0,
  } // biome-ignore format: one list

  test('nothing at a start', () => {
    expect(harness().greylister.counters).toEqual(NONE)
  })

  test.each([
    ['new', { created: 1 }],
    ['repeated', { repeated: 1 }],
    ['promoted', { promoted: 1 }],
    ['trapped', { trapped: 1 }],
    ['trapped-mx', { trapped: 1 }],
    ['trapped-spf', { trapped: 1 }],
  ] as const)('a tuple with the outcome %s', async (outcome, counted) => {
    const { greylister } = harness(outcome)
    await greylister.submit(recipient)
    expect(greylister.counters).toEqual({ ...NONE, submitted: 1, recorded: 1, ...counted })
    await greylister.submit(recipient)
    expect(greylister.counters).toMatchObject({ submitted: 2, recorded: 2 })
  })

  test('one without HELO, which is neither submitted nor recorded', async () => {
    const { greylister } = harness()
    await greylister.submit({ ...recipient, helo: '' })
    expect(greylister.counters).toEqual({ ...NONE, refused: 1 })
  })
})

describe('what is said about a tuple', () => {
  test('a new one', async () => {
    const { greylister, logged, shown, announced } = harness('new')
    await greylister.submit(recipient)
    expect(logged()).toEqual([
      'debug new entry 192.0.2.1 from <a@example.org> to <B@example.net>, helo mx.example.org',
    ])
    expect(shown()).toEqual([
      'err Got Grey HELO mx.example.org, IP 192.0.2.1 from <a@example.org> to <B@example.net>',
      'err added  192.0.2.1',
      'err mx.example.org',
      'err <a@example.org>',
      'err <B@example.net>',
    ])
    expect(announced).toEqual(['grey 192.0.2.1 <B@example.net>'])
  })
  test('a known one', async () => {
    const { greylister, logged, shown, announced } = harness('repeated')
    await greylister.submit(recipient)
    expect(logged()).toEqual([])
    expect(shown()[1]).toBe('err updated 192.0.2.1')
    expect(announced).toEqual(['grey 192.0.2.1 <B@example.net>'])
  })
  test('one that is promoted is handed to the table at once', async () => {
    const { greylister, logged, promoted, shown } = harness('promoted')
    await greylister.submit(recipient)
    expect(logged()).toEqual(['debug queueing add of 192.0.2.1', 'debug whitelisting 192.0.2.1 in /db'])
    expect(shown().at(-1)).toBe('err whitelisted 192.0.2.1')
    expect(promoted).toEqual(['192.0.2.1'])
  })
  test('one that passed for an address that is WHITE already is no whitelisting', async () => {
    const { greylister, logged, promoted, shown } = harness(() => ({ result: 'promoted', isNewHost: false }))
    await greylister.submit(recipient)
    expect(logged()).toEqual([])
    expect(shown().at(-1)).toBe('err whitelisted 192.0.2.1')
    expect(promoted).toEqual(['192.0.2.1'])
  })
  test('one that traps, told to peers with the end of the trap', async () => {
    const { greylister, logged, shown, announced } = harness('trapped')
    await greylister.submit(recipient)
    expect(logged()).toEqual([
      'debug Trapping 192.0.2.1 for tuple 192.0.2.1\\x0amx.example.org\\x0a<a@example.org>\\x0a<B@example.net>',
      'debug new greytrap entry 192.0.2.1 from <a@example.org> to <B@example.net>, helo mx.example.org',
      'debug sync_trap 192.0.2.1',
    ])
    expect(shown()[1]).toBe('err added greytrap entry for 192.0.2.1')
    // What the store says, whatever the trap time is.
    expect(announced).toEqual(['TRAPPED 192.0.2.1 1700000500'])
  })
  test('one that traps again and one that tried the low-priority MX first', async () => {
    const { greylister, logged, shown } = harness(() => ({ result: 'trapped-mx', isNewHost: false }))
    await greylister.submit(recipient)
    expect(logged()[0]).toMatch(
      /^debug Trapping 192\.0\.2\.1 for trying 198\.51\.100\.1 first for tuple 192\.0\.2\.1/,
    )
    expect(shown().at(-1)).toBe('err updated 192.0.2.1')
  })
  test('one of a peer is never sent on', async () => {
    const { greylister, announced } = harness('new')
    await greylister.receive({ ip: '192.0.2.9', helo: 'h', from: '<a@b>', to: '<c@d>' })
    expect(announced).toEqual([])
  })
})

describe('what is recorded', () => {
  test('the tuple keeps case and brackets, the trap key does not', async () => {
    const { greylister, calls } = harness()
    await greylister.submit(recipient)
    expect(calls[0]?.attempts[0]).toEqual({
      tuple: { ip: '192.0.2.1', helo: 'mx.example.org', from: '<a@example.org>', to: '<B@example.net>' },
      clientIp: '192.0.2.1',
      trapKey: 'b@example.net',
      isDomainTrap: false,
      isLowPriorityMx: false,
      mayOpenAround: true,
      mayPromote: true,
    })
  })
  test('fields are cut to 1023 bytes', async () => {
    const { greylister, calls } = harness()
    await greylister.submit({
      ...recipient,
      helo: 'h'.repeat(1024),
      from: 'f'.repeat(5000),
      to: 't'.repeat(1023),
    })
    const { tuple } = calls[0]!.attempts[0]!
    expect([tuple.helo.length, tuple.from.length, tuple.to.length]).toEqual([1023, 1023, 1023])
  })
  test('never without HELO', async () => {
    const { greylister, calls, logged } = harness()
    await greylister.submit({ ...recipient, helo: '' })
    expect(calls).toEqual([])
    expect(logged()).toEqual(['debug tuple of 192.0.2.1 not recorded: no HELO'])
    expect(greylister.counters.refused).toBe(1)
  })
  test.each([
    [{ helo: 'a\nIP:192.0.2.66' }, { helo: 'a\\x0aIP:192.0.2.66' }],
    [{ from: '<a\u0000@b>' }, { from: '<a\\x00@b>' }],
    [{ to: '<a\u007f@b>' }, { to: '<a\\x7f@b>' }],
    [{ to: `<${'\u0001'.repeat(1023)}` }, { to: `<${'\\x01'.repeat(256)}`.slice(0, 1023) }],
  ])('control characters are recorded escaped: %j', async (part, recorded) => {
    const { greylister, calls, announced } = harness()
    await greylister.submit({ ...recipient, ...part })
    expect(calls[0]!.attempts[0]!.tuple).toMatchObject(recorded)
    await greylister.receive({ ip: '192.0.2.9', helo: 'h', from: '<a@b>', to: '<c@d>', ...part })
    expect(calls[1]!.attempts[0]!.tuple).toMatchObject(recorded)
    expect(announced).toHaveLength(1)
  })
  test('bytes above 0x7f are names in UTF-8', async () => {
    const { greylister, calls } = harness()
    await greylister.submit({ ...recipient, from: '<\u00c3\u00a4@b>' })
    expect(calls).toHaveLength(1)
  })
  test('where told, attempts have the key of their network beside their own', async () => {
    const { greylister, calls, promoted } = harness('promoted', { greyPrefix4: 24, greyPrefix6: 64 })
    await greylister.submit(recipient)
    await greylister.submit({ ...recipient, clientIp: '2001:db8:0:1::25' })
    expect(
      calls.flatMap(({ attempts }) =>
        attempts.map(({ tuple, clientIp, pools }) => [tuple.ip, clientIp, pools]),
      ),
    ).toEqual([
      ['192.0.2.1', '192.0.2.1', [{ key: { kind: 'network', network: '192.0.2.0/24' }, mayOpen: true }]],
      [
        '2001:db8:0:1::25',
        '2001:db8:0:1::25',
        [{ key: { kind: 'network', network: '2001:db8:0:1::/64' }, mayOpen: true }],
      ],
    ])
    expect(promoted).toEqual(['192.0.2.1', '2001:db8:0:1::25'])
  })
  test('a client on a block list is counted but not promoted', async () => {
    const { greylister, calls } = harness('repeated', {
      blockLists: {
        match: (ip) => (ip === '192.0.2.1' ? [{ listName: 'bl', message: '' }] : []),
        overlaps: () => false,
      },
    })
    await greylister.submit(recipient)
    expect(calls[0]?.attempts[0]?.mayPromote).toBe(false)
  })
  test('recipients outside of the allowed domains trap, until the list is lifted', async () => {
    const allowedDomains = parseAllowedDomains(Buffer.from('example.org\n'), '/etc/domains')
    const { greylister, calls } = harness('trapped', { allowedDomains })
    await greylister.submit(recipient)
    greylister.replaceAllowedDomains(undefined)
    await greylister.submit(recipient)
    expect(calls.map(({ attempts }) => attempts[0]!.isDomainTrap)).toEqual([true, false])
  })
  test('-M applies to its address, a minute after the start, and not to peers', async () => {
    const { greylister, calls, clock } = harness('new', { lowPriorityMx: ['198.51.100.1', '2001:db8::2'] })
    await greylister.submit(recipient)
    clock.advance(60)
    await greylister.submit(recipient)
    clock.advance(1)
    await greylister.submit(recipient)
    await greylister.submit({ ...recipient, destinationIp: '198.51.100.2' })
    await greylister.submit({ ...recipient, destinationIp: '2001:db8::2' })
    await greylister.receive({ ip: '192.0.2.9', helo: 'h', from: '<a@b>', to: '<c@d>' })
    expect(calls.flatMap(({ attempts }) => attempts.map((attempt) => attempt.isLowPriorityMx))).toEqual([
      false,
      false,
      true,
      false,
      true,
      false,
    ])
  })
  test('what arrives together is written together', async () => {
    const { greylister, calls } = harness()
    await Promise.all(
      Array.from({ length: 4500 }, (_, index) => greylister.submit({ ...recipient, to: `<${index}@b>` })),
    )
    expect(calls.map(({ attempts }) => attempts.length)).toEqual([2000, 2000, 500])
  })
  test('evictions are counted and logged once a minute', async () => {
    const { greylister, logged, clock } = harness(() => ({ result: 'new', evictedCount: 2 }))
    await greylister.submit(recipient)
    await greylister.submit(recipient)
    clock.advance(60)
    await greylister.submit(recipient)
    expect(greylister.counters.evicted).toBe(6)
    expect(logged().filter((line) => line.startsWith('notice'))).toEqual([
      'notice too many tuples: evicting those of the busiest networks (2 so far)',
      'notice too many tuples: evicting those of the busiest networks (6 so far) (1 more since the last such line)',
    ])
  })
})

describe('a database that fails', () => {
  const busy = () => new AppError('ERR_DB_BUSY', 'database is locked')

  test('the client is answered, the attempt is kept with its time, and one line a minute says so', async () => {
    vi.useFakeTimers()
    const { greylister, calls, failures, logged, clock } = harness()
    failures.push(...Array.from({ length: 12 }, busy))
    await greylister.submit(recipient)
    expect(greylister.waitingCount).toBe(1)
    for (let second = 0; second < 30; second += 1) {
      clock.advance(1)
      await vi.advanceTimersByTimeAsync(1000)
    }
    await greylister.submit({ ...recipient, to: '<late@example.net>' })
    await greylister.close()
    expect(calls.map(({ attempts, now }) => [attempts[0]!.tuple.to, now])).toEqual([
      ['<B@example.net>', 1_700_000_000],
      ['<late@example.net>', 1_700_000_030],
    ])
    expect(logged().filter((line) => line.startsWith('err'))).toEqual([
      "err can't add tuples to /db (database is locked), 1 waiting",
    ])
  })
  test('the queue is bounded: the newest of the busiest source go, counted', async () => {
    vi.useFakeTimers()
    const { greylister, failures, calls, logged } = harness('new', {
      queueLimits: { maxCount: 3, maxBytes: 1_000_000 },
    })
    failures.push(...Array.from({ length: 3 }, busy))
    for (let index = 0; index < 5; index += 1) {
      const submitted = greylister.submit({ ...recipient, to: `<${index}@b>` })
      if (index < 3) await Promise.race([submitted, vi.advanceTimersByTimeAsync(0)])
    }
    await vi.advanceTimersByTimeAsync(10_000)
    expect(greylister.counters.dropped).toBe(2)
    expect(calls.flatMap(({ attempts }) => attempts.map(({ tuple }) => tuple.to))).toEqual([
      '<0@b>',
      '<1@b>',
      '<2@b>',
    ])
    expect(logged()).toContain(
      'err too many tuples are waiting for /db: dropping those of the busiest sources',
    )
  })
  test('without a limit of its own a queue holds 60,000 attempts and 64 MiB', async () => {
    vi.useFakeTimers()
    const waitingOf = async (length: number, count: number) => {
      const { greylister, failures } = harness()
      failures.push(...Array.from({ length: 100 }, busy))
      const text = 'x'.repeat(length)
      for (let index = 0; index < count; index += 1)
        void greylister.submit({ ...recipient, helo: text, from: text, to: text })
      await vi.advanceTimersByTimeAsync(0)
      return greylister.waitingCount
    }
    expect(await waitingOf(1, 60_500)).toBe(60_000)
    const waiting = await waitingOf(1000, 24_000)
    // Each with its three texts and a little beside them.
    expect(waiting * 3_000).toBeLessThan(64 * 1024 * 1024)
    expect(waiting * 4_000).toBeGreaterThan(64 * 1024 * 1024)
  })

  test('the bytes of the queue are bounded too', async () => {
    vi.useFakeTimers()
    const { greylister, failures } = harness('new', { queueLimits: { maxCount: 100, maxBytes: 2500 } })
    failures.push(...Array.from({ length: 100 }, busy))
    for (let index = 0; index < 4; index += 1) {
      const submitted = greylister.submit({ ...recipient, helo: 'h'.repeat(1000) })
      await Promise.race([submitted, vi.advanceTimersByTimeAsync(0)])
    }
    expect(greylister.waitingCount).toBe(2)
  })
  test.each([
    ['a second', '/db', 1000],
    ['300 ms', 'postgres://gw@db1,db2/spamd', 300],
  ])(
    'a slow one holds an answer for %s at most, counted and logged (%s)',
    async (_, databasePath, holdMs) => {
      vi.useFakeTimers()
      let store = (): void => undefined
      const gate = new Promise<void>((resolve) => {
        store = resolve
      })
      const { greylister, logged, calls } = harness('new', {
        databasePath,
        useStore: async (action) => {
          await gate
          return action({
            recordAttempts: async () => ({
              outcomes: [{ result: 'new', isNewHost: false, evictedCount: 0 }],
              changes: [],
            }),
          } as unknown as Store)
        },
      })
      let isAnswered = false
      void greylister.submit(recipient).then(() => {
        isAnswered = true
      })
      await vi.advanceTimersByTimeAsync(holdMs - 1)
      expect([isAnswered, greylister.counters.unstored]).toEqual([false, 0])
      await vi.advanceTimersByTimeAsync(1)
      expect([isAnswered, greylister.counters.unstored]).toEqual([true, 1])
      expect(logged()).toEqual([
        `warning ${databasePath} is slow or fails: sending 451 before the tuple is stored (1 so far)`,
      ])
      expect(calls).toEqual([])
      store()
    },
  )
  test('closing tries once more and says what is lost', async () => {
    const { greylister, failures, logged } = harness()
    failures.push(...Array.from({ length: 2 }, () => new AppError('ERR_DB_FULL', 'No space left on device')))
    await greylister.submit(recipient)
    await greylister.close()
    expect(logged().at(-1)).toBe('err 1 tuple could not be recorded and is lost')
  })
  test('closing waits for a lock', async () => {
    const { greylister, failures, calls } = harness()
    failures.push(busy(), busy(), busy())
    await greylister.submit(recipient)
    await greylister.close()
    expect(calls).toHaveLength(1)
  })
  test('what peers send takes turns as one source, and pushes out no local client', async () => {
    vi.useFakeTimers()
    const { greylister, failures, calls } = harness('new', {
      queueLimits: { maxCount: 4, maxBytes: 1_000_000 },
    })
    failures.push(busy())
    await greylister.submit(recipient)
    for (let index = 0; index < 5; index += 1) {
      void greylister.receive({ ip: `203.0.113.${index}`, helo: 'h', from: '<a@b>', to: '<c@d>' })
    }
    await greylister.submit({ ...recipient, clientIp: '198.51.100.7' })
    await vi.advanceTimersByTimeAsync(1_000)
    const stored = calls.flatMap(({ attempts }) => attempts.map(({ clientIp }) => clientIp))
    expect(stored).toContain('198.51.100.7')
    expect(stored).toHaveLength(4)
    expect(greylister.counters.dropped).toBe(3)
  })
})

describe('recipients in another spelling', () => {
  test('reach the store under every text that a spamtrap may have', async () => {
    const { greylister, calls } = harness('new', { recipientDelimiter: '+' })
    await greylister.submit({ ...recipient, to: '<"trap', toArgument: '<"trap+x" (c) @example.org.>' })
    await greylister.receive({ ip: '192.0.2.9', helo: 'h', from: '<a@b>', to: '<\\trap@example.org>' })
    expect(calls.map(({ attempts }) => [attempts[0]!.trapKey, attempts[0]!.otherTrapKeys])).toEqual([
      ['trap+x@example.org', ['trap@example.org', '"trap']],
      ['trap@example.org', ['\\trap@example.org']],
    ])
    expect(calls[0]!.attempts[0]!.tuple.to).toBe('<"trap')
  })
  test('are compared with the allowed domains by what a mail server would make of them', async () => {
    const allowedDomains = parseAllowedDomains(Buffer.from('@example.net\n'), '/etc/domains')
    const { greylister, calls } = harness('new', { allowedDomains })
    const isTrap = async (to: string): Promise<boolean> => {
      await greylister.submit({ ...recipient, to })
      return calls.at(-1)!.attempts[0]!.isDomainTrap
    }
    for (const to of [
      '<a@example.net>',
      '<a@EXAMPLE.net.>',
      '<@relay.example:a@example.net>',
      '<"a"@example.net>',
      '<a%example.org@example.net>',
      '<example.org!a@example.net>',
      '<a@example.org@example.net>',
      '<postmaster>',
      '<Postmaster>',
      '<>',
    ]) {
      expect([to, await isTrap(to)]).toEqual([to, false])
    }
    for (const to of [
      '<a@example.org>',
      '<@example.net:a@example.org>',
      '<a@example.net@example.org>',
      '<a%example.net@example.org>',
      '<a@example.org(@example.net)>',
      '<other>',
    ]) {
      expect([to, await isTrap(to)]).toEqual([to, true])
    }
  })
})
