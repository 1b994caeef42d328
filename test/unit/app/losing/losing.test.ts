/** Who is losing mail, and the command that helps. */
import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { findLosing } from '../../../../src/app/losing/find-losing.js'
import { commandFor } from '../../../../src/app/losing/losing-command.js'
import { groupLosing, type LosingSender } from '../../../../src/app/losing/losing-senders.js'
import { makeRelease, planRelease } from '../../../../src/app/release/release-mail.js'
import { losingCheck, losingJson, renderLosing } from '../../../../src/cli/losing/render-losing.js'
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
const senderOf = (changes: Partial<LosingSender> = {}): LosingSender => ({
  ...groupLosing([mailOf()], () => undefined, [], NOW)[0]!,
  ...changes,
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
    const senders = groupLosing(mails, () => undefined, [], NOW)
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
    const senders = groupLosing([mailOf(changes)], (ip) => (ip === host?.ip ? host : undefined), [], NOW)
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
      groupLosing(mails, () => undefined, [release], nowSec)[0]!.releasedBy
    expect(releasedBy([mailOf()])).toBe(release.id)
    expect(releasedBy([mailOf(), mailOf({ to: '<b@example.net>' })])).toBeUndefined()
    expect(releasedBy([mailOf()], NOW + 60)).toBeUndefined()
  })
})

describe('the command', () => {
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
    expect(commandFor(senderOf(changes))).toBe(command)
  })

  test('for a hostile domain gives a shell its words, and runs nothing', () => {
    const domain = "x';id;'.$home`id`!!&|#.example"
    const command = commandFor(senderOf({ domain, recipients: ['a@x.net', 'b@x.net'] }))!
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
    return await findLosing(store, QUERY)
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
    expect(renderLosing({ senders: [], isCut: false, history: 'full' }, FRAME, PLAIN)).toBe(
      'nobody is losing mail in the last 3d\n',
    )
  })

  test('tells of a release, and of a history that is not kept', async () => {
    const report = await losing('off', true)
    const text = renderLosing(report, FRAME, PLAIN)
    expect(text).toContain('command     none is needed: release abcdefgh names this mail\n')
    expect(text).toContain('note: the history is "off"')
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
