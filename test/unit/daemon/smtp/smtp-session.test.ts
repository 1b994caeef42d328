import { describe, expect, test } from 'vitest'
import type { BlockListMatch } from '../../../../src/daemon/seams.js'
import { type ClientClass, type SessionStep, SmtpSession } from '../../../../src/daemon/smtp/smtp-session.js'

const OK_HELO = '250 Hello, spam sender. Pleased to be wasting your time.\r\n'
const OK_MAIL = '250 You are about to try to deliver spam. Your time will be spent, for nothing.\r\n'
const OK_RCPT = '250 This is hurting you more than it is hurting me.\r\n'
const OK_DATA = '354 Enter spam, end with "." on a line by itself\r\n'
const OK_TLS = '220 glad you want to burn more CPU cycles on your spam\r\n'
const EHLO_TLS = '250-mx.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 STARTTLS\r\n'
const UNKNOWN = '500 5.5.1 Command unrecognized\r\n'
const NESTED = '503 5.5.1 Bad sequence of commands\r\n'
const LATER = '451 Temporary failure, please try again later.\r\n'
const LISTS: BlockListMatch[] = [
  { listName: 'one', message: 'one %A\\n' },
  { listName: 'two', message: 'two' },
]

function newSession(clientClass: ClientClass = 'GREY', offersTls = false): SmtpSession {
  return new SmtpSession(
    {
      hostname: 'mx.example',
      bannerName: 'spamd',
      listReplyCode: 450,
      maxRecipients: 100,
      maxCommands: 500,
    },
    { class: clientClass, ip: '192.0.2.1', lists: clientClass === 'BLACK' ? LISTS : [] },
    { offersTls },
  )
}

function say(session: SmtpSession, ...lines: string[]): SessionStep[] {
  return lines.map((line) => session.receiveLine(line))
}
const replies = (steps: SessionStep[]): string[] => steps.map(({ reply }) => reply)

test('the banner names host, software and date', () => {
  expect(newSession().banner('Sun Nov  1 07:43:59 2026')).toBe(
    '220 mx.example ESMTP spamd; Sun Nov  1 07:43:59 2026\r\n',
  )
})

describe('commands', () => {
  const cases: { name: string; lines: string[]; want: string[] }[] = [
    {
      name: 'a whole dialogue',
      lines: ['EHLO a', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA'],
      want: [OK_HELO, OK_MAIL, OK_RCPT, LATER],
    },
    {
      name: 'MAIL without HELO, RCPT without MAIL',
      lines: ['MAIL FROM:<a@b>', 'RCPT TO:<c@d>'],
      want: [OK_MAIL, OK_RCPT],
    },
    {
      name: 'HELO without a name, then with one',
      lines: ['HELO', 'EHLO a'],
      want: ['501 helo requires domain name.\r\n', OK_HELO],
    },
    { name: 'RSET before HELO is unknown', lines: ['RSET'], want: [UNKNOWN] },
    { name: 'RSET after HELO', lines: ['HELO a', 'RSET'], want: [OK_HELO, '250 Ok to start over.\r\n'] },
    {
      name: 'a second HELO resets',
      lines: ['HELO a', 'MAIL FROM:<a@b>', 'EHLO b', 'MAIL FROM:<c@d>'],
      want: [OK_HELO, OK_MAIL, OK_HELO, OK_MAIL],
    },
    {
      name: 'a second MAIL is out of order',
      lines: ['HELO a', 'MAIL FROM:<a@b>', 'MAIL FROM:<c@d>'],
      want: [OK_HELO, OK_MAIL, NESTED],
    },
    {
      name: 'MAIL after RSET',
      lines: ['HELO a', 'MAIL FROM:<a@b>', 'RSET', 'MAIL FROM:<c@d>'],
      want: [OK_HELO, OK_MAIL, '250 Ok to start over.\r\n', OK_MAIL],
    },
    {
      name: 'MAIL after a RCPT without MAIL, as the original',
      lines: ['HELO a', 'RCPT TO:<c@d>', 'MAIL FROM:<a@b>'],
      want: [OK_HELO, OK_RCPT, UNKNOWN],
    },
    {
      name: 'NOOP anywhere',
      lines: ['NOOP', 'HELO a', 'NOOP'],
      want: ['250 2.0.0 OK I did nothing\r\n', OK_HELO, '250 2.0.0 OK I did nothing\r\n'],
    },
    { name: 'STARTTLS where it is not offered', lines: ['EHLO a', 'STARTTLS'], want: [OK_HELO, UNKNOWN] },
    { name: 'QUIT', lines: ['QUIT'], want: ['221 mx.example\r\n'] },
  ]
  test.each(cases)('$name', ({ lines, want }) => {
    expect(replies(say(newSession(), ...lines))).toEqual(want)
  })

  test('the 21st bad command ends with the final reply', () => {
    for (const [clientClass, final] of [
      ['GREY', LATER],
      ['OPEN', LATER],
      ['BLACK', '450-one 192.0.2.1\r\n450 two\r\n'],
    ] as const) {
      const steps = say(newSession(clientClass), ...Array.from({ length: 21 }, (_, index) => `BAD${index}`))
      expect(steps.slice(0, 20).every(({ reply, next }) => reply === UNKNOWN && next === 'continue')).toBe(
        true,
      )
      expect(steps[20]!.reply).toBe(final)
      expect(steps[20]!.next).toMatch(/close$/)
    }
  })
})

describe('recipients', () => {
  const events = (steps: SessionStep[]) => steps.flatMap(({ event }) => (event === undefined ? [] : [event]))

  test('each RCPT with a sender is an event with the words as sent', () => {
    expect(events(say(newSession(), 'HELO A.b', 'MAIL FROM:<X@y>', 'RCPT TO:<c@d>', 'RCPT TO:e@f'))).toEqual([
      { type: 'recipient', helo: 'A.b', from: '<X@y>', to: '<c@d>' },
      { type: 'recipient', helo: 'A.b', from: '<X@y>', to: 'e@f' },
    ])
  })

  test('without sender or recipient there is none', () => {
    expect(events(say(newSession(), 'HELO a', 'RCPT TO:<c@d>'))).toEqual([])
    expect(events(say(newSession(), 'MAIL FROM:', 'RCPT TO:<c@d>', 'RCPT TO:'))).toEqual([])
  })

  test('RSET and a second HELO forget both', () => {
    for (const reset of ['RSET', 'HELO b']) {
      expect(events(say(newSession(), 'HELO a', 'MAIL FROM:<a@b>', reset, 'RCPT TO:<c@d>'))).toEqual([])
    }
  })

  test('a refused second MAIL leaves the first sender in place', () => {
    const steps = say(newSession(), 'HELO a', 'MAIL FROM:<a@b>', 'MAIL FROM:<x@y>', 'RCPT TO:<c@d>')
    expect(events(steps)).toEqual([{ type: 'recipient', helo: 'a', from: '<a@b>', to: '<c@d>' }])
  })
})

describe('message text', () => {
  test('ends at a dot; headers and body are told apart', () => {
    const steps = say(newSession('OPEN'), 'DATA', 'subject: hi', 'X: y', 'From: a', '', 'b1', '', '..', '.')
    expect(steps.map(({ reply, next, event }) => [reply, next, event])).toEqual([
      [OK_DATA, 'text', undefined],
      ['', 'continue', { type: 'header-line', line: 'subject: hi' }],
      ['', 'continue', undefined],
      ['', 'continue', { type: 'header-line', line: 'From: a' }],
      ['', 'continue', undefined],
      ['', 'continue', { type: 'body-line', line: 'b1' }],
      ['', 'continue', undefined],
      ['', 'continue', { type: 'body-line', line: '..' }],
      [LATER, 'close', undefined],
    ])
  })

  test('ends at the tenth line of the body, which is no event', () => {
    const steps = say(
      newSession('BLACK'),
      'DATA',
      '',
      ...Array.from({ length: 10 }, (_, index) => `line ${index}`),
    )
    expect(steps.filter(({ event }) => event?.type === 'body-line')).toHaveLength(9)
    expect(steps.at(-1)).toEqual({ reply: '450-one 192.0.2.1\r\n450 two\r\n', next: 'close' })
  })

  test('QUIT, RSET and the like are text', () => {
    const steps = say(newSession('BLACK'), 'DATA', 'QUIT', '', 'QUIT', 'RSET')
    expect(replies(steps)).toEqual([OK_DATA, '', '', '', ''])
  })
})

describe('STARTTLS', () => {
  test('is offered to all but BLACK clients, and once', () => {
    const session = newSession('GREY', true)
    expect(replies(say(session, 'EHLO a', 'NOOP'))[0]).toBe(EHLO_TLS)
    expect(session.receiveLine('STARTTLS')).toEqual({ reply: OK_TLS, next: 'start-tls' })
    session.tlsStarted()
    expect(replies(say(session, 'STARTTLS', 'EHLO a', 'STARTTLS'))).toEqual([UNKNOWN, OK_HELO, UNKNOWN])
    expect(replies(say(newSession('BLACK', true), 'EHLO a'))).toEqual([OK_HELO])
    expect(replies(say(newSession('GREY', true), 'HELO a'))).toEqual([OK_HELO])
  })

  test('forgets what was said in clear', () => {
    const session = newSession('GREY', true)
    say(session, 'EHLO a', 'STARTTLS')
    session.tlsStarted()
    const steps = say(session, 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>')
    expect(steps[1]!.event).toEqual({ type: 'recipient', helo: '', from: '<a@b>', to: '<c@d>' })
  })

  test('is over once a transaction began or RSET came', () => {
    for (const between of ['MAIL FROM:<a@b>', 'RSET']) {
      expect(replies(say(newSession('GREY', true), 'EHLO a', between, 'STARTTLS'))[2]).toBe(UNKNOWN)
    }
  })
})
