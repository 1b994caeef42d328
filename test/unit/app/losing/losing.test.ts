/** Who is losing mail, and the command that helps. */
import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { adviseSenders } from '../../../../src/app/losing/advise-senders.js'
import { findLosing } from '../../../../src/app/losing/find-losing.js'
import type { SpfFinding } from '../../../../src/app/losing/identify-senders.js'
import { commandFor } from '../../../../src/app/losing/losing-command.js'
import {
  groupLosing,
  type LosingSender,
  type LosingTerms,
} from '../../../../src/app/losing/losing-senders.js'
import { makeRelease, planRelease } from '../../../../src/app/release/release-mail.js'
import { losingCheck, losingJson, renderLosing } from '../../../../src/cli/losing/render-losing.js'
import type { AllowSource } from '../../../../src/domain/allow.js'
import type { DeferredMail } from '../../../../src/domain/deferred-mail.js'
import type { HostEntry } from '../../../../src/domain/entry.js'
import { attemptOf, NOW, POLICY, Scratch } from '../../../support/scratch-database.js'

const scratch = new Scratch()
const PLAIN = { width: undefined, hasColour: false }
const FRAME = { nowSec: NOW + 7200, forSec: 259_200, minAddresses: 3 }
const QUERY = { nowSec: NOW + 7200, sinceSec: NOW - 1000, minAddresses: 3 }

const mailOf = (changes: Partial<DeferredMail> = {}): DeferredMail => ({
  from: '<s@example.org>',
  to: '<user@example.net>',
  tries: 5,
  firstSec: NOW,
  lastSec: NOW + 3600,
  passedSec: undefined,
  addressCount: 3,
  clients: [1, 2, 3].map((n) => ({ ip: `192.0.2.${n}`, helo: 'mx' })),
  ...changes,
})
const many = (count: number) => Array.from({ length: count }, (_, n) => ({ ip: `192.0.2.${n}`, helo: 'mx' }))
const senderOf = (changes: Partial<LosingSender> = {}): LosingSender => ({
  ...groupLosing([mailOf()], () => undefined, termsOf())[0]!,
  ...changes,
})
const termsOf = (changes: Partial<LosingTerms> = {}): LosingTerms => ({
  releases: [],
  exceptions: [],
  minAddresses: 3,
  nowSec: NOW,
  ...changes,
})
const exceptionOf = (name: string, ...networks: string[]): AllowSource => ({
  name,
  first: NOW,
  expire: 0,
  checked: NOW,
  networks,
})
const white = (ip: string, pass: number): HostEntry => ({
  kind: 'WHITE',
  ip,
  first: NOW,
  pass,
  expire: 0,
  bcount: 1,
  pcount: 0,
})

describe('a sender', () => {
  test('has all mail of its domain, in any spelling', () => {
    const mails = [
      mailOf(),
      mailOf({ from: '<Other@EXAMPLE.org.>', to: '<b@example.net>', tries: 2, firstSec: NOW - 5 }),
      mailOf({ from: '<s@example.com>', tries: 9, clients: [{ ip: '2001:db8::1', helo: 'x' }] }),
    ]
    const senders = groupLosing(mails, () => undefined, termsOf())
    expect(senders).toMatchObject([
      { domain: 'example.com', tries: 9, networks: ['2001:db8::/64'], addressCount: 3 },
      {
        domain: 'example.org',
        mails: 2,
        tries: 7,
        firstSec: NOW - 5,
        recipients: ['user@example.net', 'b@example.net'],
        networks: ['192.0.2.0/24'],
      },
    ])
  })

  test.each<[string, Partial<DeferredMail>, HostEntry | undefined, number]>([
    ['passed with its last try', { passedSec: NOW + 3600 }, undefined, 0],
    ['was tried again after an address became WHITE', { passedSec: NOW + 1800 }, undefined, 1],
    ['has an address that is WHITE since', {}, white('192.0.2.2', NOW + 3600), 0],
    ['has an address that was WHITE before', {}, white('192.0.2.2', NOW + 1800), 1],
    ['has a TRAPPED address', {}, { ...white('192.0.2.2', NOW + 3600), kind: 'TRAPPED', pcount: -1 }, 1],
  ])('whose mail %s', (_name, changes, host, count) => {
    const senders = groupLosing([mailOf(changes)], (ip) => (ip === host?.ip ? host : undefined), termsOf())
    expect(senders).toHaveLength(count)
  })

  test('is released when one release names all of its mail', () => {
    const release = planRelease(
      {
        terms: { from: 'example.org', to: 'user@example.net' },
        scope: 'address',
        forSec: 60,
        actor: undefined,
      },
      NOW,
    )
    const releasedBy = (mails: DeferredMail[], nowSec = NOW) =>
      groupLosing(mails, () => undefined, termsOf({ releases: [release], nowSec }))[0]!.releasedBy
    expect(releasedBy([mailOf()])).toBe(release.id)
    expect(releasedBy([mailOf(), mailOf({ to: '<b@example.net>' })])).toBeUndefined()
    expect(releasedBy([mailOf()], NOW + 60)).toBeUndefined()
  })
})

describe('a sender with an exception', () => {
  const clients = [1, 2, 3, 4, 5].map((n) => ({ ip: `192.0.2.${n}`, helo: 'mx' }))
  const allowedBy = (...networks: string[]) =>
    groupLosing(
      [mailOf({ clients })],
      () => undefined,
      termsOf({ exceptions: [exceptionOf('example.org', ...networks)] }),
    )[0]!.allowedBy

  test.each<[string, string[], string | undefined]>([
    ['that holds all of its addresses', ['192.0.2.0/24'], 'example.org'],
    ['that leaves fewer than make a pool', ['192.0.2.0/30', '192.0.2.5'], 'example.org'],
    ['that leaves a pool', ['192.0.2.0/31'], undefined],
    ['that holds none', ['198.51.100.0/24', '2001:db8::/32'], undefined],
  ])('%s', (_name, networks, name) => {
    expect(allowedBy(...networks)).toBe(name)
  })

  test('that is not in force is told of as before', async () => {
    const store = await scratch.store({ durability: 'normal' })
    for (const n of [1, 2, 3]) await store.recordAttempts([attemptOf(`192.0.2.${n}`)], POLICY, NOW + n)
    const put = (expire: number) =>
      store.editAllowed(
        [{ operation: 'put', source: { ...exceptionOf('192.0.2.0/24', '192.0.2.0/24'), expire } }],
        NOW,
      )
    await put(0)
    expect((await findLosing(store, QUERY)).senders).toMatchObject([{ allowedBy: '192.0.2.0/24' }])
    const report = await adviseSenders(await findLosing(store, QUERY), {
      identify: undefined,
      minAddresses: 3,
    })
    expect(renderLosing(report, FRAME, PLAIN)).toContain(
      'command     none is needed: the exception 192.0.2.0/24 covers its addresses\n',
    )
    expect(losingCheck(report).isAlarm).toBe(false)
    await put(QUERY.nowSec)
    expect((await findLosing(store, QUERY)).senders).toMatchObject([{ allowedBy: undefined }])
  })
})

describe('the command', () => {
  test.each<[string, SpfFinding | undefined, Partial<LosingSender>, boolean]>([
    ['all pass SPF', { state: 'usable', passing: 3 }, {}, true],
    [
      'a pool passes, and others come in its name',
      { state: 'usable', passing: 3 },
      { clients: many(9) },
      true,
    ],
    ['two of many pass', { state: 'usable', passing: 2 }, { clients: many(9) }, false],
    ['none passes', { state: 'usable', passing: 0 }, {}, false],
    ['the record is of no use', { state: 'unusable', reason: 'too wide' }, {}, false],
    ['DNS did not answer', { state: 'unanswered' }, {}, false],
    ['DNS was not asked', undefined, {}, false],
    ['the domain cannot be named', { state: 'usable', passing: 3 }, { domain: 'x y.example' }, false],
  ])('where %s', (_name, spf, changes, isException) => {
    const command = commandFor(senderOf(changes), spf, 3)
    if (isException) expect(command).toBe('spamdctl allow add example.org')
    else expect(command).toContain('spamdctl release ')
  })

  test('says again what was said here', () => {
    const places = { db: '/var/db/a b', dns: ['192.0.2.53', '[::1]:53'] }
    const spf = { state: 'usable', passing: 3 } as const
    expect(commandFor(senderOf(), spf, 3, places)).toBe(
      "spamdctl allow add --dns 192.0.2.53 --dns '[::1]:53' --db '/var/db/a b' example.org",
    )
    expect(commandFor(senderOf(), undefined, 3, places)).toBe(
      "spamdctl release --from example.org --to user@example.net --for 1d --pool --db '/var/db/a b'",
    )
  })

  test.each<[string, Partial<LosingSender>, string | undefined]>([
    [
      'a domain',
      { recipients: ['a@x.net', 'b@x.net'] },
      'spamdctl release --from example.org --for 1d --pool',
    ],
    [
      'servers that are spread',
      { networks: ['192.0.2.0/24', '198.51.100.0/24'] },
      'spamdctl release --from example.org --to user@example.net --for 1d',
    ],
    ['one recipient', {}, 'spamdctl release --from example.org --to user@example.net --for 1d --pool'],
    ['the null sender', { domain: '' }, "spamdctl release --from '<>' --to user@example.net --for 1d --pool"],
    ['a sender without domain', { domain: 'root' }, 'spamdctl release --to user@example.net --for 1d --pool'],
    [
      'a shell',
      { domain: '$home`reboot`;.example' },
      "spamdctl release --from '$home`reboot`;.example' --to user@example.net --for 1d --pool",
    ],
    ['a name of bytes', { domain: '\xff.example' }, 'spamdctl release --to user@example.net --for 1d --pool'],
    ['a comment', { domain: '(x).example' }, 'spamdctl release --to user@example.net --for 1d --pool'],
    [
      'a name in UTF-8',
      { domain: 'b\xc3\xbccher.example' },
      "spamdctl release --from 'b\u00fccher.example' --to user@example.net --for 1d --pool",
    ],
    ['nothing that can be typed', { domain: '\x9b.example', recipients: ['\xff@x.net'] }, undefined],
    ['a wildcard', { domain: '*.example' }, 'spamdctl release --to user@example.net --for 1d --pool'],
    [
      'a word that looks like an option',
      { domain: '-x.example' },
      "spamdctl release --from '-x.example' --to user@example.net --for 1d --pool",
    ],
  ])('for %s', (_name, changes, command) => {
    expect(commandFor(senderOf(changes), undefined, 3)).toBe(command)
  })

  test('for a hostile domain gives a shell its words, and runs nothing', () => {
    const domain = "x';id;'.$home`id`!!&|#.example"
    const command = commandFor(senderOf({ domain, recipients: ['a@x.net', 'b@x.net'] }), undefined, 3)!
    const shell = spawnSync('sh', ['-c', `spamdctl() { printf '%s\\n' "$@"; }; ${command}`], {
      encoding: 'utf8',
    })
    expect(shell.stderr).toBe('')
    expect(shell.stdout.split('\n')).toEqual(['release', '--from', domain, '--for', '1d', '--pool', ''])
  })
})

describe('the report', () => {
  async function losing(mode: 'full' | 'off' = 'full', withRelease = false) {
    const store = await scratch.store({ durability: 'normal' })
    if (mode !== 'full') await store.saveHistorySettings({ ...(await store.historySettings()), mode })
    for (const n of [1, 2, 3]) await store.recordAttempts([attemptOf(`192.0.2.${n}`)], POLICY, NOW + n)
    if (withRelease) {
      const plan = planRelease(
        { terms: { from: 'example.org' }, scope: 'address', forSec: 86_400, actor: 'a' },
        NOW,
      )
      await makeRelease(store, { ...plan, id: 'abcdefgh' }, NOW)
    }
    return await adviseSenders(await findLosing(store, QUERY), { identify: undefined, minAddresses: 3 })
  }

  test('for people', async () => {
    expect(
      renderLosing(await losing(), FRAME, PLAIN),
    ).toBe(`1 sender is losing mail in the last 3d, most tries first

example.org
tries       3 of 1 mail from 3 addresses in 1 network, the first 1h 59m ago, the last 1h 59m ago
addresses   192.0.2.1 (HELO mx.example.org), 192.0.2.2 (HELO mx.example.org), 192.0.2.3 (HELO mx.example.org)
recipients  user@example.net
command     spamdctl release --from example.org --to user@example.net --for 1d --pool
`)
    expect(
      renderLosing({ senders: [], isCut: false, history: 'full', isIdentified: false }, FRAME, PLAIN),
    ).toBe('nobody is losing mail in the last 3d\n')
  })

  test('tells of a release, and of a history that is not kept', async () => {
    const report = await losing('off', true)
    const text = renderLosing(report, FRAME, PLAIN)
    expect(text).toContain('command     none is needed: release abcdefgh covers this mail\n')
    expect(text).toContain('note: history is "off"')
    expect(losingCheck(report).isAlarm).toBe(false)
  })

  test('for programs', async () => {
    expect(JSON.parse(losingJson(await losing(), FRAME))).toMatchObject({
      minAddresses: 3,
      history: 'full',
      senders: [
        { domain: 'example.org', tries: 3, addresses: [{ ip: '192.0.2.1' }, {}, {}], releasedBy: null },
      ],
    })
  })

  test('for monitoring', async () => {
    expect(losingCheck(await losing())).toEqual({
      text: 'SPAMD WARNING - 1 sender is losing mail: example.org (3 tries from 3 addresses) | losing=1;0;;0\n',
      isAlarm: true,
    })
    const report = await losing()
    const hostile = losingCheck({
      ...report,
      senders: [{ ...report.senders[0]!, domain: 'a|b\x1b[2J.example' }],
    })
    expect(hostile.text).toContain('a/b\\x1b[2J.example (3 tries')
  })
})
