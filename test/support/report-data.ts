/** Invented data for `spamdctl report`: a month of an ordinary gateway, and one in which every text is hostile. */
import type { AdvisedLosing, LosingRow } from '../../src/app/losing/advise-senders.js'
import type { ReportData } from '../../src/app/report/report-data.js'
import { COLUMNS, type Column } from '../../src/app/stats.js'

const DAY = 86_400
export const MADE = 1_795_000_000
const SINCE = MADE - 30 * DAY

/** Texts that would act as script, markup, style or change of reading direction if not escaped. */
export const HOSTILE = [
  '<script>document.title="owned"</script>',
  '"><img src=http://192.0.2.1/x onerror=document.title="owned">',
  "' onmouseover='document.title=1",
  '</style><style>*{display:none}</style>',
  '</title><svg onload=document.title="owned">',
  '<a href="javascript:document.title=1">x</a>',
  '&lt;b&gt; &amp; &#60;script&#62;',
  '\u202egnp.exe\u2066\u0007\u001b[2J',
  'url(http://192.0.2.1/x)',
  'x'.repeat(400),
  '{{7*7}}<%= 7*7 %>',
] as const

function madeLosing(word: (usual: string) => string): AdvisedLosing {
  const addresses = (network: string, count: number) =>
    Array.from({ length: count }, (_, at) => ({
      ip: `${network}${at + 1}`,
      helo: word(`out-${at}.bigmail.example`),
    }))
  const sender: LosingRow = {
    domain: word('bigmail.example'),
    mails: 12,
    tries: 40,
    firstSec: MADE - 2 * DAY,
    lastSec: MADE - 1200,
    recipients: [word('ann@example.org'), word('ben@example.org')],
    clients: addresses('203.0.113.', 17),
    addressCount: 17,
    networks: ['203.0.113.0/24'],
    releasedBy: undefined,
    allowedBy: undefined,
    identity: {
      spf: { state: 'usable', passing: 17 },
      names: { asked: 16, unanswered: 0, named: 16, greeting: 15, example: word('out-0.bigmail.example') },
    },
    command: word('spamdctl allow add bigmail.example'),
  }
  return {
    senders: [
      sender,
      {
        ...sender,
        domain: word('shop.example'),
        mails: 1,
        tries: 3,
        recipients: [word('ann@example.org')],
        clients: addresses('198.51.100.', 3),
        addressCount: 3,
        networks: ['198.51.100.0/24'],
        identity: {
          spf: { state: 'unusable', reason: word('no SPF record') },
          names: { asked: 3, unanswered: 0, named: 0, greeting: 0, example: undefined },
        },
        command: word('spamdctl release --from shop.example --to ann@example.org --for 1d --pool'),
      },
      {
        ...sender,
        domain: word('lists.example'),
        releasedBy: 'k3v9x2ab',
        identity: undefined,
        command: undefined,
      },
    ],
    isCut: false,
    history: 'full',
    isIdentified: true,
  }
}

/** The report with each text that clients, lists, peers or systems supply replaced by the result of `word`. */
export function madeReport(word: (usual: string) => string = (usual) => usual): ReportData {
  const steps = Array.from({ length: 30 }, (_, day) => Math.floor((SINCE + (day + 1) * DAY) / DAY) * DAY)
  const counts = (day: number): Record<Column, number> => {
    const wave = 1 + Math.sin(day / 2) / 3
    const values: Partial<Record<Column, number>> = {
      new: Math.round(14_000 * wave),
      passed: Math.round(1_900 * wave),
      lost: Math.round(11_600 * wave),
      trapped: day % 5 === 0 ? 210 : 40,
      refused: day === 12 ? 800 : 3,
    }
    return Object.fromEntries(COLUMNS.map((name) => [name, values[name] ?? 0])) as Record<Column, number>
  }
  const rows = steps.map((startSec, day) => ({ startSec, counts: counts(day) }))
  const totals = Object.fromEntries(
    COLUMNS.map((name) => [name, rows.reduce((sum, row) => sum + row.counts[name], 0)]),
  ) as Record<Column, number>
  const top = (...words: string[]): [string, number][] =>
    words.map((text, index) => [word(text), Math.round(9000 / (index + 1))])
  return {
    madeSec: MADE,
    sinceSec: SINCE,
    stepSec: DAY,
    host: word('mx1.example.org'),
    version: '0.1.0',
    passSec: 1500,
    status: {
      timeSec: MADE,
      spamd: {
        state: 'running',
        status: {
          connections: { total: 214, black: 160 },
          sync: {
            peers: [
              { name: word('mx2.example.org'), address: '192.0.2.12' },
              { name: word('mx3.example.org'), address: '192.0.2.13' },
            ],
            heard: [{ address: '192.0.2.12', lastSec: MADE - 40, skewSec: 0 }],
          },
        },
      } as unknown as ReportData['status']['spamd'],
      spamlogd: { state: 'running' } as ReportData['status']['spamlogd'],
      database: { path: '', reason: '', isDenied: false, isUnneeded: false },
      tables: { kind: 'unseen', reason: '' },
      lists: undefined,
      troubles: [],
    },
    findings: [
      { id: 'spamd', level: 'ok', message: 'answers', fix: undefined },
      {
        id: 'list.age',
        level: 'warning',
        message: word('list nixspam is 3d 4h old: connection refused'),
        fix: word('spamd-setup -n -D nixspam'),
      },
      {
        id: 'pf.log',
        level: 'error',
        message: word('the rule for WHITE hosts does not log: spamlogd sees nothing'),
        fix: word('pfctl -f /etc/pf.conf'),
      },
    ],
    database: {
      counts: { GREY: 18_400, WHITE: 96_210, TRAPPED: 1_204, SPAMTRAP: 85, POOL: 12 },
      waiting: [
        { fromSec: 0, toSec: 300, count: 410 },
        { fromSec: 300, toSec: 900, count: 820 },
        { fromSec: 900, toSec: 1500, count: 790 },
        { fromSec: 1500, toSec: 3600, count: 2_900 },
        { fromSec: 3600, toSec: 7200, count: 4_800 },
        { fromSec: 7200, toSec: 14_400, count: 8_680 },
        { fromSec: 14_400, toSec: undefined, count: 0 },
      ],
      stats: {
        rows,
        totals,
        delays: { p50: 31, p90: 62, p99: 180 },
        histogram: Array.from({ length: 160 }, (_, at): [number, number] => [
          at + 25,
          Math.round(900 * Math.exp(-at / 18)) + (at % 15 === 5 ? 120 : 0),
        ]),
        funnel: {
          grey: totals.new,
          white: totals.passed,
          lostOnce: Math.round(totals.lost * 0.9),
          lostRetried: Math.round(totals.lost * 0.1),
        },
        topSinceSec: SINCE + 20 * DAY,
        top: {
          networks: top('192.0.2.0/24', '198.51.100.0/24', '2001:db8:77::/48'),
          helos: top('ylmf-pc', 'mail.sender.example', 'localhost'),
          senderDomains: top('sender.example', 'lists.example.net', '<>'),
          trappedRecipients: top('trap@example.org', 'old.name@example.org'),
        },
      },
      tarpit: steps.map((startSec, day) => ({ startSec, seconds: 90_000 + 30_000 * Math.cos(day / 3) })),
      losing: madeLosing(word),
      losingSec: 3 * 86_400,
    },
    lists: [
      {
        name: word('uatraps'),
        hits: 41_220,
        tarpitSec: 2_400_000,
        addresses: 9_120,
        ageSec: 3_000,
        lastError: undefined,
        overlaps: [{ name: word('nixspam'), share: 0.42 }],
      },
      {
        name: word('nixspam'),
        hits: 0,
        tarpitSec: 0,
        addresses: 61_000,
        ageSec: 273_600,
        lastError: word('connection refused'),
        overlaps: [],
      },
    ],
  }
}

/** Every text hostile, using the hostile texts in turn. */
export function hostileReport(): ReportData {
  let at = 0
  return madeReport(() => HOSTILE[at++ % HOSTILE.length]!)
}
