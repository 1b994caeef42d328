import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatSpamdConf } from '../../../../src/codec/spamd-conf/format-spamd-conf.js'
import {
  MAX_CONF_BYTES,
  parseSpamdConf,
  type SpamdConf,
} from '../../../../src/codec/spamd-conf/spamd-conf.js'
import type { ListEntry } from '../../../../src/codec/spamd-conf/spamd-list.js'

const parse = (text: string): SpamdConf =>
  parseSpamdConf(Buffer.from(text, 'latin1'), { fileName: 'spamd.conf' })
const BLACK = ':black:msg="x":file=/b:'
const WHITE = ':white:file=/w:'
/** `SEVERITY LINE:COLUMN MESSAGE`, one for each finding. */
const findingsOf = (conf: SpamdConf) =>
  conf.diagnostics.map(({ severity, line, column, message }) => `${severity} ${line}:${column} ${message}`)
const NOT_FOUND = (name: string) => `Can't find "${name}" in spamd config: No such file or directory`

test('a whole file in the order of all', () => {
  const conf = parse(
    [
      '# lists',
      'all:\\',
      '\t:drop:override:table:',
      '',
      'drop|spamhaus:\\',
      '\t:black:\\',
      '\t:msg="Your address %A is listed\\n\\',
      '\tSee http://www.example.org/":\\',
      '\t:method=https:\\',
      '\t:file=www.example.org\\c8080/drop.json:',
      'override:white:method=file:file=/etc/mail/override.txt:',
      'table:black:msg=/etc/mail/message:method=exec:file=/bin/cat /x:column#0x2:min#010:empty_ok:as_root:comment=mine:',
    ].join('\n'),
  )
  expect(conf.diagnostics).toEqual([])
  expect(conf.lists).toEqual([
    {
      isUsable: true,
      name: 'drop',
      colour: 'black',
      message: { kind: 'text', text: 'Your address %A is listed\n\tSee http://www.example.org/' },
      method: 'https',
      location: 'www.example.org:8080/drop.json',
      column: undefined,
      minEntries: undefined,
      isEmptyOk: false,
      isAsRoot: false,
      isPrivateAllowed: false,
      isWideOk: false,
      isNever: false,
      isException: false,
      appliesTo: undefined,
      position: { line: 3, column: 3 },
    },
    {
      isUsable: true,
      name: 'override',
      colour: 'white',
      message: undefined,
      method: 'file',
      location: '/etc/mail/override.txt',
      column: undefined,
      minEntries: undefined,
      isEmptyOk: false,
      isAsRoot: false,
      isPrivateAllowed: false,
      isWideOk: false,
      isNever: false,
      isException: true,
      appliesTo: 'drop',
      position: { line: 3, column: 8 },
    },
    {
      isUsable: true,
      name: 'table',
      colour: 'black',
      message: { kind: 'file', path: '/etc/mail/message' },
      method: 'exec',
      location: '/bin/cat /x',
      column: 2,
      minEntries: 8,
      isEmptyOk: true,
      isAsRoot: true,
      isPrivateAllowed: false,
      isWideOk: false,
      isNever: false,
      isException: false,
      appliesTo: undefined,
      position: { line: 3, column: 17 },
    },
  ])
})

test('records of lists that all does not name are told, and templates of tc= are not', () => {
  const conf = parse(
    [
      'all:a:',
      'a:black:msg="x":file=/a:tc=common:',
      'override|friends:white:file=/b:',
      'old:black:msg="x":file=/c:',
      'common:black:column#1:',
      'note:comment=no list at all:',
    ].join('\n'),
  )
  expect(findingsOf(conf)).toEqual([
    'warning 3:1 white list "override" is not named in "all"',
    'warning 4:1 black list "old" is not named in "all"',
  ])
})

test.each([
  ['exec', '/bin/cat /var/db/spews-1.txt'],
  ['exec', '/usr/local/bin/fetch-nixspam -q'],
  ['file', '/var/db/spews/list.txt'],
  ['https', 'lists.example/spews/today.txt'],
  ['https', 'lists.example/www.openbl.org/x'],
  ['https', 'notopenbl.org/x'],
  ['https', 'lists.example/spews/'],
  ['https', 'lists.example/nixspam/today'],
  ['https', 'openbsd.org/other/list.gz'],
  ['https', 'spamhaus.org/x/drop/edrop.txt'],
])('no dead source is seen in %s %s', (method, location) => {
  expect(parse(`all:a:\na:black:msg="x":method=${method}:file=${location}:\n`).diagnostics).toEqual([])
})

test.each([
  'lists.example/lists/nixspam.gz',
  'lists.example/nixspam.gz?today#x/y',
  'user@NIXSPAM.example:8080/x',
  'lists.example/a/b/spews2.txt',
  'sub.okean.com/x',
  'mirror.example/x/chinacidr.txt',
  'ftp.openbsd.org/x/y/traplist.gz',
])('one is seen in https %s: its host, or its file', (location) => {
  const found = findingsOf(
    parse(`all:a:\na:black:msg="x":method=https:file=${location.replaceAll(':', '\\c')}:\n`),
  )
  expect(found).toHaveLength(1)
  expect(found[0]).toMatch(/^warning 2:30 .*(?:was shut down|is gone|been gone since)/)
})

test('a dead source is seen in the URL that a command fetches', () => {
  const conf = parse('all:a:\na:black:msg="x":method=exec:file=/usr/bin/curl https\\c//www.openbl.org/x:\n')
  expect(findingsOf(conf)[0]).toContain('openbl was shut down in 2017')
})

/** Files that are refused as a whole or in one list: the place, the message, and what the original says. */
const refused: { name: string; conf: string; finding: string; original: string | undefined }[] = [
  {
    name: 'an empty file',
    conf: '',
    finding: 'error 1:1 there is no record "all"',
    original: NOT_FOUND('all'),
  },
  {
    name: 'all: and a backslash, and nothing more',
    conf: '# c\nall:\\\n',
    finding: 'error 2:5 there is nothing after the backslash of "all"',
    original: NOT_FOUND('all'),
  },
  {
    name: 'a blank behind all',
    conf: `all :a:\na${BLACK}\n`,
    finding: 'error 1:1 this record is named "all ", so there is no record "all"',
    original: NOT_FOUND('all'),
  },
  {
    name: 'ALL',
    conf: `ALL:a:\na${BLACK}\n`,
    finding: 'error 1:1 this record is named "ALL", so there is no record "all"',
    original: NOT_FOUND('all'),
  },
  {
    name: 'a list that is missing',
    conf: `all:\\\n\t:a:zz:\na${BLACK}\n`,
    finding: 'error 2:5 "all" names "zz", but there is no such record',
    original: NOT_FOUND('zz'),
  },
  {
    name: 'a colour without its colon',
    conf: 'all:a:\na:\\\n\t:black\\\n\t:msg="x":\\\n\t:file=/a:\n',
    finding: 'error 3:2 "black" is not ended by a colon',
    original: 'Must have "black" or "white" in a',
  },
  {
    name: 'a message that is not joined',
    conf: 'all:a:\na:\\\n\t:black:\\\n\t:msg="one\\n\n\ttwo":\\\n\t:file=/a:\n',
    finding: 'warning 4:13 this line ends within double quotes',
    original: 'No file given for blacklist a',
  },
  {
    name: 'a list that a message cuts off',
    conf: 'all:a:\na:\\\n\t:black:\\\n\t:msg="one\\n\n\ttwo":\\\n\t:file=/a:\n',
    finding: 'error 4:13 list "a" ends within double quotes',
    original: 'No file given for blacklist a',
  },
  {
    name: 'a blank behind a backslash',
    conf: `all:\\ \n\t:a:\na${BLACK}\n`,
    finding: 'error 1:5 "all" names "\\", but there is no such record',
    original: NOT_FOUND('\\'),
  },
  {
    name: 'all that runs on into the next record',
    conf: `all:\\\na:\\\n\t:black:\\\n\t:msg="x":\\\n\t:file=/a:\n`,
    finding: 'error 3:3 "all" continues into the next record: "black" is not a list name',
    original: NOT_FOUND('a'),
  },
  {
    name: 'tc= in all that is missing',
    conf: `all:a:tc=more:\na${BLACK}\n`,
    finding: 'error 1:7 tc= includes "more", but there is no such record',
    original: NOT_FOUND('all'),
  },
  {
    name: 'tc= that is missing',
    conf: `all:a:\na${BLACK}tc=common:\n`,
    finding: 'error 2:25 tc= includes "common", but there is no such record',
    original: NOT_FOUND('a'),
  },
  {
    name: 'tc= in a loop',
    conf: `all:a:\na${BLACK}tc=b:\nb:tc=a:\n`,
    finding: 'error 3:3 tc= includes "a" in a loop',
    original: NOT_FOUND('a'),
  },
  {
    name: 'no colour',
    conf: 'all:a:\na:black=1:msg="x":file=/a:\n',
    finding: 'error 2:1 list "a" is neither black nor white',
    original: 'Must have "black" or "white" in a',
  },
  {
    name: 'a cancelled colour',
    conf: 'all:a:\na:black@:black:msg="x":file=/a:\n',
    finding: 'error 2:1 list "a" is neither black nor white',
    original: 'Must have "black" or "white" in a',
  },
  {
    name: 'no msg',
    conf: 'all:a:\na:black:file=/a:\n',
    finding: 'error 2:1 black list "a" has no msg',
    original: 'No msg for blacklist "a"',
  },
  {
    name: 'a cancelled msg',
    conf: 'all:a:\na:black:msg@:msg="x":file=/a:\n',
    finding: 'error 2:9 black list "a" has no msg',
    original: 'No msg for blacklist "a"',
  },
  {
    name: 'no file',
    conf: 'all:a:\na:black:msg="x":\n',
    finding: 'error 2:1 black list "a" has no file',
    original: 'No file given for blacklist a',
  },
  {
    name: 'no file of a white list',
    conf: `all:b:a:\nb${BLACK}\na:white:\n`,
    finding: 'error 3:1 white list "a" has no file',
    original: 'No file given for whitelist a',
  },
  {
    name: 'an empty file',
    conf: 'all:a:\na:black:msg="x":file=:\n',
    finding: 'error 2:17 file= of "a" is empty or contains a NUL byte',
    original: "Can't open  by file method: No such file or directory",
  },
  {
    name: 'a NUL byte in a file name',
    conf: 'all:a:\na:black:msg="x":file=/a\\000b:\n',
    finding: 'error 2:17 file= of "a" is empty or contains a NUL byte',
    original: undefined,
  },
  {
    name: 'an empty msg',
    conf: 'all:a:\na:black:msg=:file=/a:\n',
    finding: 'error 2:9 the msg of "a" is empty or contains a NUL byte',
    original: "Can't open message from : No such file or directory",
  },
  {
    name: 'an odd quote',
    conf: 'all:a:\na:black:msg=abc":file=/a:\n',
    finding:
      'error 2:9 the msg of "a" has an odd number of double quotes, so it includes the fields after it',
    original: 'No file given for blacklist a',
  },
  {
    name: 'a message of one quote',
    conf: 'all:a:\na:black:file=/a:msg="\n',
    finding: 'error 2:17 the msg is a single double quote',
    original: undefined,
  },
  {
    name: 'an unknown method',
    conf: 'all:a:\na:black:msg="x":method=gopher:file=/a:\n',
    finding: 'error 2:17 unknown method "gopher"',
    original: 'Unknown method gopher',
  },
  {
    name: 'an empty method',
    conf: 'all:a:\na:white:method=:file=/a:\n',
    finding: 'error 2:9 unknown method ""',
    original: 'Unknown method ',
  },
  {
    name: 'a URL whose colon ends the field',
    conf: 'all:a:\na:black:msg="x":method=http:file=http://www.example.org/x:\n',
    finding: 'error 2:29 file= contains only "http", because the colon of a URL ends it',
    original: undefined,
  },
  {
    name: 'a semicolon in a name',
    conf: `all:a;b:\na;b${BLACK}\n`,
    finding: 'error 1:5 the list name "a;b" contains a character that ends it in spamd\'s protocol',
    original: undefined,
  },
  {
    name: 'a column that is no number',
    conf: `all:a:\na${BLACK}column#x:\n`,
    finding: 'error 2:25 column#x is not a number from 1 to 1000',
    original: undefined,
  },
  {
    name: 'a number written as text',
    conf: `all:a:\na${BLACK}min=5:\n`,
    finding: 'error 2:25 min is a number, which is written with #, not =',
    original: undefined,
  },
]
describe('refused', () => {
  test.each(refused)('$name', ({ conf: text, finding, original }) => {
    const conf = parse(text)
    expect(findingsOf(conf)).toContain(finding)
    const error = conf.diagnostics.find(({ severity }) => severity === 'error')!
    const first = conf.lists.find((list) => !list.isUsable)?.diagnostic ?? error
    expect(first.original).toBe(original)
    expect(first.fix).not.toBe('')
    expect(first.fileName).toBe('spamd.conf')
  })

  test('a list that is refused keeps its place, and the others are read', () => {
    const conf = parse(`all:a:zz:w:b:\na${BLACK}\nw:white:\nb${BLACK}\n`)
    expect(
      conf.lists.map((list: ListEntry) => [list.name, list.isUsable, list.colour, list.appliesTo]),
    ).toEqual([
      ['a', true, 'black', undefined],
      ['zz', false, undefined, 'a'],
      ['w', false, 'white', 'a'],
      ['b', true, 'black', undefined],
    ])
  })
})

const warned: { name: string; conf: string; finding: string }[] = [
  {
    name: 'all and a backslash before an empty line',
    conf: 'all:\\\n\n',
    finding: 'warning 1:1 the line after "all:\\" names no list',
  },
  {
    name: 'a white list before any black list',
    conf: `all:w:a:\na${BLACK}\nw${WHITE}\n`,
    finding: 'warning 1:5 white list "w" comes before any black list and has no effect',
  },
  {
    name: 'a black list twice',
    conf: `all:a:a:\na${BLACK}\n`,
    finding: 'warning 1:7 "a" is named twice; spamd uses the last one',
  },
  {
    name: 'a record twice',
    conf: `all:a:\na${BLACK}\na${BLACK}\n`,
    finding: 'warning 3:1 a record "a" is already defined on line 2; this one is not used',
  },
  {
    name: 'both colours',
    conf: `all:a:\na:white${BLACK}\n`,
    finding: 'warning 2:1 list "a" is both black and white; it is used as black',
  },
  {
    name: 'a message without quotes',
    conf: 'all:a:\na:black:msg=Your address %A is bad:file=/etc/list:\n',
    finding: 'warning 2:9 msg is not in double quotes, so it names a file: "Your address %A is bad"',
  },
  {
    name: 'quotes of a word processor, shown as they are',
    conf: 'all:a:\na:black:msg=\xe2\x80\x9cbad\xe2\x80\x9d:file=/etc/list:\n',
    finding: 'warning 2:9 msg is not in double quotes, so it names a file: "\u201cbad\u201d"',
  },
  {
    name: 'a message without its closing quote',
    conf: 'all:a:\na:black:file=/etc/list:msg="bad:\n',
    finding: 'warning 2:24 msg is not in double quotes, so it names a file: ""bad:"',
  },
  {
    name: 'a host name with method=file',
    conf: 'all:a:\na:black:msg="x":method=file:file=spamd.example.org/list.gz:\n',
    finding: 'warning 2:29 "spamd.example.org/list.gz" looks like a host, but the method is file',
  },
  {
    name: 'a host name without a method',
    conf: 'all:a:\na:black:msg="x":file=lists.example.org/a:\n',
    finding: 'warning 2:17 "lists.example.org/a" looks like a host, but the method is file',
  },
  {
    name: 'a relative path',
    conf: 'all:a:\na:black:msg="x":file=etc/list:\n',
    finding: 'warning 2:17 "etc/list" is relative to the root directory',
  },
  {
    name: 'a path with method=http',
    conf: 'all:a:\na:black:msg="x":method=http:file=/etc/list:\n',
    finding: 'warning 2:29 "/etc/list" begins with / but should be a host and a path',
  },
  {
    name: 'a scheme in the URL',
    conf: 'all:a:\na:black:msg="x":method=http:file=http\\c//h/x:\n',
    finding: 'warning 2:29 the URL "http://h/x" has a scheme, which method= gives',
  },
  {
    name: 'quotes around a file name',
    conf: 'all:a:\na:black:msg="x":method=http:file="h:80/x":\n',
    finding: 'warning 2:29 the double quotes are part of the file name',
  },
  {
    name: 'a misspelt capability',
    conf: `all:a:\na${BLACK}mesg="y":\n`,
    finding: 'warning 2:25 "mesg="y"" is not a capability and has no effect',
  },
  {
    name: 'a blank before a capability',
    conf: `all:a:\na${BLACK} empty_ok:\n`,
    finding: 'warning 2:25 " empty_ok" is not a capability and has no effect',
  },
  {
    name: 'a port that ends the field',
    conf: 'all:a:\na:black:msg="x":method=http:file=h.example.org:8080/x:\n',
    finding: 'warning 2:48 "8080/x" is not a capability and has no effect',
  },
  {
    name: 'a capability twice',
    conf: `all:a:\na${BLACK}file=/c:\n`,
    finding: 'warning 2:25 file is given twice; the first one is used',
  },
  {
    name: 'a capability behind an include that has it',
    conf: 'all:a:\nx:black:msg="from x":\na:tc=x:msg="own":file=/a:\n',
    finding: 'warning 3:8 msg is given twice; the first one is used',
  },
  {
    name: 'a comment inside a record',
    conf: 'all:\\\n# no comment\\\n\t:a:\n',
    finding:
      'warning 2:1 a # inside a record does not start a comment: the line is read as part of the record',
  },
  {
    name: 'a comment that swallows a line',
    conf: `# c \\\nall:b:\nall:a:\na${BLACK}\n`,
    finding: 'warning 2:1 this line belongs to the comment above, which ends in a backslash: "all:b:"',
  },
  {
    name: 'a line that lost its backslash',
    conf: 'all:a:\na:\\\n\t:black:\n\t:msg="x":file=/a:\n',
    finding: 'warning 4:1 this line begins with a colon but does not continue a record',
  },
  {
    name: 'a blank behind a backslash',
    conf: 'all:a:\na:black:msg="x":\\ \n\t:file=/a:\n',
    finding: 'warning 2:17 a blank after the backslash keeps it from joining the next line',
  },
  {
    name: 'an indented record',
    conf: `all:a:\na${BLACK}\n  b${BLACK}\n`,
    finding: 'warning 3:1 the blanks before "b" are part of the name',
  },
  ...[
    ['https', 'www.openbsd.org/spamd/nixspam.gz', 'nixspam was shut down on 2025-01-16'],
    ['http', 'www.openbsd.org/spamd/traplist.gz', 'uatraps has been gone since 2016'],
    ['http', 'www.openbsd.org/spamd/spews_list_level1.txt.gz', 'spews has been gone since 2006'],
    [
      'http',
      'www.openbsd.org/spamd/chinacidr.txt.gz',
      'the okean mirror of Chinese and Korean networks is gone',
    ],
    ['ftp', 'www.openbsd.org/spamd/SBL.cidr.gz', 'the openbsd.org mirror of block lists is gone'],
    ['http', 'www.openbl.org/lists/base.txt', 'openbl was shut down in 2017'],
    [
      'https',
      'www.spamhaus.org/drop/edrop.txt',
      'the Spamhaus EDROP list was merged into DROP on 2024-04-10 and is empty',
    ],
    [
      'https',
      'www.spamhaus.org/drop/drop.lasso',
      'the Spamhaus DROP list under its old name drop.lasso is gone',
    ],
    ['http', 'www.urlvir.com/export-ip-addresses/', 'urlvir has been gone since 2019'],
    ['file', 'spamd.vasily.me/anabarblack.gz', 'anabar is gone'],
    [
      'https',
      'raw.githubusercontent.com/firehol/blocklist-ipsets/master/x.netset',
      'the FireHOL mirror on GitHub has not been updated since 2026-03-30',
    ],
  ].map(([method, location, fate]) => ({
    name: `the dead source ${location}`,
    conf: `all:a:\na:black:msg="x":method=${method}:file=${location}:\n`,
    finding: `warning 2:${24 + method!.length + 1} ${fate}: ${location}`,
  })),
]
describe('warned about and loaded', () => {
  test.each(warned)('$name', ({ conf: text, finding }) => {
    const conf = parse(text)
    expect(findingsOf(conf)).toContain(finding)
    for (const { fix, original } of conf.diagnostics) {
      expect(fix).not.toBe('')
      if (original === undefined) continue
      expect(text).toMatch(/no comment|\\ \n|\t:black:\n\t|:\\ /)
    }
  })
})

test.each([
  ['living sources', 'https', 'lists.blocklist.de/lists/mail.txt'],
  ['a local copy with an old name', 'file', '/var/db/nixspam.txt'],
  ['a command', 'exec', '/usr/local/bin/make-list --for spamd'],
])('no finding for %s', (_name, method, location) => {
  expect(parse(`all:a:\na:black:msg="x":method=${method}:file=${location}:\n`).diagnostics).toEqual([])
})

test('all: alone asks for no list and is no mistake', () => {
  expect(parse('# greylisting only\nall:\n')).toEqual({ lists: [], diagnostics: [] })
})

test('a comment in all is told as such', () => {
  const conf = parse('all:\\\n# none yet\n')
  expect(conf.diagnostics.map(({ fix }) => fix)).toContain(
    'move the comment above the record: inside it, # does not start one',
  )
})

test('what is shown of the file is safe for a terminal', () => {
  const conf = parse('all:\u001b[2J:h\xc3\xa9:\n')
  expect(findingsOf(conf)).toEqual([
    'error 1:5 "all" names "\\x1b[2J", but there is no such record',
    'error 1:10 "all" names "h\u00e9", but there is no such record',
  ])
})

describe('bounds', () => {
  test('a file over the cap', () => {
    expect(findingsOf(parse('#'.repeat(MAX_CONF_BYTES + 1)))).toEqual([
      `error 1:1 the file has more than ${MAX_CONF_BYTES} bytes`,
    ])
    expect(findingsOf(parse('#'.repeat(MAX_CONF_BYTES)))).toEqual(['error 1:1 there is no record "all"'])
  })

  test('more lists than there can be', () => {
    const names = (count: number) => Array.from({ length: count }, (_, index) => `l${index}`)
    expect(parse(`all:${names(4096).join(':')}\n`).lists).toHaveLength(4096)
    const conf = parse(`all:${names(4097).join(':')}\n`)
    expect(conf.lists).toHaveLength(0)
    expect(conf.diagnostics[0]!.message).toBe('"all" names more than 4096 lists')
  })

  test('findings are cut off', () => {
    expect(parse(`all:a:\na${BLACK}\n${'a:x\n'.repeat(3000)}`).diagnostics).toHaveLength(1000)
  })

  test('includes that double with each level', () => {
    const levels = Array.from({ length: 30 }, (_, level) => `r${level}:tc=r${level + 1}:tc=r${level + 1}:`)
    const conf = parse(`all:r0:\n${levels.join('\n')}\nr30${BLACK}\n`)
    expect(conf.lists[0]).toMatchObject({ isUsable: false })
    expect(conf.diagnostics[0]!.message).toBe('more than 16384 fields including those of tc=')
  })

  test('includes nest 32 deep and no deeper', () => {
    const chain = (depth: number) =>
      Array.from({ length: depth }, (_, level) => `r${level}:tc=r${level + 1}:`).join('\n')
    const conf = (depth: number) => parse(`all:r0:\n${chain(depth)}\nr${depth}${BLACK}\n`)
    expect(conf(32).lists[0]!.isUsable).toBe(true)
    expect(findingsOf(conf(33))[0]).toContain('tc= is nested more than 32 deep')
  })

  test('a file as large as can be, of anything, is read at once', () => {
    for (const piece of ['\\\n', ':', '"', '\n', 'a|', '#\\\n', 'all:a:\n', 'x:tc=x:\n', ' \t', '^\\']) {
      const text = `all:a:\n${piece.repeat(MAX_CONF_BYTES / piece.length - 8)}`
      expect(parse(text).lists).toHaveLength(1)
    }
  })
})

test('earlier fields win over included ones, and the text :tc= in a message is text', () => {
  const conf = parse(
    'all:a:\nx:black:msg="from x":\ny:msg="from y":file=/y:\na:tc=x:tc=y:min#3:\nb:black:msg="see :tc=nowhere:":file=/b:\n' +
      'all:b:\n',
  )
  expect(conf.lists[0]).toMatchObject({ message: { text: 'from x' }, location: '/y', minEntries: 3 })
  // That is what tc= is for: no mistake.
  expect(conf.diagnostics.filter(({ message }) => message.includes('given again'))).toEqual([])
  const quoted = parse('all:b:\nb:black:msg="see :tc=nowhere:":file=/b:\n')
  expect(quoted.diagnostics).toEqual([])
  expect(quoted.lists[0]).toMatchObject({ message: { text: 'see :tc=nowhere:' } })
})

const byteText = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString('latin1'))
const listArbitrary = fc.record({
  name: fc.stringMatching(/^[a-z0-9][a-z0-9_.-]{0,8}$/).filter((name) => name !== 'all'),
  colour: fc.constantFrom('black' as const, 'white' as const),
  message: fc.oneof(
    byteText(40).map((text) => ({ kind: 'text' as const, text })),
    fc.string({ unit: 'grapheme' }).map((path) => ({ kind: 'file' as const, path: `/${path}` })),
  ),
  method: fc.constantFrom('file', 'exec', 'http', 'https', 'ftp'),
  location: fc.string({ unit: 'grapheme' }).map((text) => `/${text}`),
  column: fc.option(fc.integer({ min: 1, max: 1000 }), { nil: undefined }),
  minEntries: fc.option(fc.nat(), { nil: undefined }),
  isEmptyOk: fc.boolean(),
  isAsRoot: fc.boolean(),
  isPrivateAllowed: fc.boolean(),
  isWideOk: fc.boolean(),
  never: fc.constantFrom('no', 'also', 'only'),
})

test('what formatSpamdConf writes is read back the same', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(listArbitrary, { selector: ({ name }) => name, minLength: 1, maxLength: 5 }),
      (written) => {
        let black: string | undefined
        const lists = written.map(({ never, ...list }) => {
          if (list.colour === 'black') black = list.name
          const message = list.colour === 'black' ? list.message : undefined
          const isNever = list.colour === 'white' && never !== 'no'
          const isException = list.colour === 'white' && never !== 'only'
          const appliesTo = isException ? black : undefined
          const position = { line: 1, column: 1 }
          return { ...list, isUsable: true as const, message, isNever, isException, appliesTo, position }
        }) as ListEntry[]
        const read = parse(formatSpamdConf(lists)).lists
        expect(read.map((list) => ({ ...list, position: { line: 1, column: 1 } }))).toEqual(lists)
      },
    ),
    { numRuns: 200 },
  )
})

test('any bytes return, and every finding has its place in the file', () => {
  const token = fc.constantFrom(
    ':',
    '|',
    '"',
    '\\',
    '\n',
    '\\\n',
    'all',
    'a',
    'tc=',
    'black',
    'msg=',
    'file=',
    '@',
    '#',
    '^',
    ' ',
    '\t',
    '\r\n',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(token).map((tokens) => tokens.join('')),
        byteText(200),
      ),
      (text) => {
        const lines = text.split('\n')
        for (const { line, column, message, fix } of parse(text).diagnostics) {
          expect(line).toBeLessThanOrEqual(lines.length)
          expect(column).toBeLessThanOrEqual((lines[line - 1] ?? '').length + 1)
          expect(`${message}${fix}`).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/)
        }
      },
    ),
    { numRuns: 2000 },
  )
})

test('the example of spamd.conf(5) has no mistake', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/man/spamd.conf.5'), 'utf8')
  const example = page.slice(page.indexOf('all:\\e'), page.indexOf('.Ed')).replaceAll('\\e', '\\')
  const conf = parse(example)
  expect(conf.diagnostics).toEqual([])
  expect(conf.lists.map(({ name }) => name)).toEqual(['drop', 'override', 'mine'])
})

test('double quotes are letters in all, so a colon between them ends a name', () => {
  const conf = parse(`all:"a:b:c":\nb${BLACK}\n`)
  expect(conf.lists.map(({ name, isUsable }) => [name, isUsable])).toEqual([
    ['"a', false],
    ['b', true],
    ['c"', false],
  ])
})

test.each([
  ['a|b', true],
  ['b|c', true],
  ['a|b|c', true],
  ['a|c', false],
  ['a|', false],
  ['|b', false],
  ['b', true],
])('tc=%s finds the record a|b|c: %s', (name, isFound) => {
  const conf = parse(`all:x:\nx:black:msg="x":tc=${name}:\na|b|c:file=/f:\n`)
  expect(conf.lists[0]!.isUsable).toBe(isFound)
})
