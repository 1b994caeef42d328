import { describe, expect, test } from 'vitest'
import { ConfigLineDecoder } from '../../../../src/codec/config-line/config-line-decoder.js'
import { HostGatherer } from '../../../../src/daemon/grey/host-gatherer.js'
import { BlockLists, MAX_LISTS } from '../../../../src/daemon/lists/block-lists.js'
import { EMPTY_SET } from '../../../../src/ip/ip-range-set.js'
import { MemoryDebugOutput } from '../../../support/memory-debug-output.js'
import { MemoryLogger } from '../../../support/memory-logger.js'

/** As the original has them. */
const TRAP_LIST_NAME = 'spamd-greytrap'
const TRAP_LIST_MESSAGE = 'Your address %A has mailed to spamtraps here\\n'

function loaded(...lines: string[]) {
  const logger = new MemoryLogger()
  const debug = new MemoryDebugOutput()
  const lists = new BlockLists({ logger, debug })
  const outcomes: unknown[] = []
  const decoder = new ConfigLineDecoder((line) => outcomes.push(lists.apply(line)))
  decoder.push(Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1'))
  decoder.end()
  return { lists, outcomes, logger, shown: () => debug.lines.map(({ line }) => line) }
}
const names = (lists: BlockLists, ip: string) => lists.match(ip).map(({ listName }) => listName)

describe('matching', () => {
  test('all lists that hold the client, in the order in which they were first received', () => {
    const { lists } = loaded(
      'b;"two";inet;1;127.5.6.0/24',
      'a;"one";inet;1;127.5.0.0/16',
      'b;"new two";inet;2;127.0.0.0/8;10.0.0.0/8',
    )
    expect(lists.match('127.5.6.7')).toEqual([
      { listName: 'b', message: 'new two' },
      { listName: 'a', message: 'one' },
    ])
  })
  test('overlapping blocks in any order hide nothing', () => {
    const { lists } = loaded('bl;"m";inet;4;127.9.0.0/16;127.0.0.0/8;127.5.6.0/24;127.10.0.0/16')
    expect(
      ['127.5.9.1', '127.200.9.1', '126.255.255.255', '128.0.0.0'].map((ip) => names(lists, ip)),
    ).toEqual([['bl'], ['bl'], [], []])
  })
  test('IPv6, host bits, and both families on one line', () => {
    const { lists, shown } = loaded('bl;"m";inet6;1;2001:db8::ffff/32;inet;1;192.0.2.77/30')
    expect(['2001:db8:1::', '2001:db9::', '192.0.2.76', '192.0.2.80'].map((ip) => names(lists, ip))).toEqual([
      ['bl'],
      [],
      ['bl'],
      [],
    ])
    // As received, the families in order.
    expect(shown()).toEqual(['adding list bl; 2 entries', 'added 192.0.2.77/30', 'added 2001:db8::ffff/32'])
  })
  test('a cleared list holds nobody and keeps its place', () => {
    const { lists, outcomes, shown } = loaded(
      'a;"m";inet;1;127.0.0.0/8',
      'b;"m";inet;1;127.0.0.0/8',
      'a;',
      'zz;',
      'a;"m";inet;1;127.0.0.0/8',
    )
    expect(names(lists, '127.0.0.1')).toEqual(['a', 'b'])
    expect(outcomes.slice(2, 4)).toEqual([
      { result: 'cleared', name: 'a', isKnown: true },
      { result: 'cleared', name: 'zz', isKnown: false },
    ])
    expect(shown().filter((line) => line.startsWith('clearing'))).toEqual(['clearing list a'])
  })
  test('the trap list is no reason to take a white address away', () => {
    const { lists } = loaded('bl;"m";inet;1;192.0.2.1/32')
    const trapped = new HostGatherer()
    trapped.add('192.0.2.2')
    trapped.add('2001:db8::2')
    lists.replaceSet(TRAP_LIST_NAME, TRAP_LIST_MESSAGE, trapped.takeSet(), 2)
    expect(names(lists, '2001:db8::2')).toEqual(['spamd-greytrap'])
    expect([lists.isListed('192.0.2.1'), lists.isListed('192.0.2.2')]).toEqual([true, false])
  })
})

describe('what is trapped between two scans', () => {
  test('is on the trap list alone, is counted by the next scan, and is off it when it is let go', () => {
    const { lists } = loaded('bl;"m";inet;1;192.0.2.1/32')
    lists.noteTrap('192.0.2.9', 'trapped')
    expect(names(lists, '192.0.2.9')).toEqual([TRAP_LIST_NAME])
    expect(names(lists, '192.0.2.1')).toEqual(['bl'])
    expect(lists.summaries().at(-1)).toEqual({ name: TRAP_LIST_NAME, entryCount: 0 })
    lists.noteTrap('192.0.2.9', 'free')
    lists.noteTrap('192.0.2.1', 'free')
    expect(names(lists, '192.0.2.9')).toEqual([])
    expect(names(lists, '192.0.2.1')).toEqual(['bl'])
  })
  test('is kept by a scan that had begun before, and left to one that begins after', () => {
    const { lists } = loaded()
    lists.beginTrapScan()
    lists.noteTrap('192.0.2.9', 'trapped')
    lists.replaceTrapList(EMPTY_SET, 0)
    expect(names(lists, '192.0.2.9')).toEqual([TRAP_LIST_NAME])
    lists.beginTrapScan()
    lists.replaceTrapList(EMPTY_SET, 0)
    expect(names(lists, '192.0.2.9')).toEqual([])
  })
})

describe('bad lines', () => {
  test('leave the list as it was and are logged', () => {
    const { lists, logger, shown } = loaded(
      'bl;"m";inet;1;127.5.0.0/16',
      'bl;"n";inet;2;127.6.0.0/16;foo\u001b/8',
    )
    expect(lists.match('127.5.6.7')).toEqual([{ listName: 'bl', message: 'm' }])
    expect(logger.lines.map(({ level, message }) => `${level} ${message}`)).toEqual([
      'warning bad config line for list "bl": not an address with prefix length: "foo\\x1b/8", the list is unchanged',
    ])
    expect(shown()).toEqual([
      'adding list bl; 1 entries',
      'added 127.5.0.0/16',
      'replacing list bl; 2 new entries',
      'added 127.6.0.0/16',
      'sdl_add: parse error, "foo\\x1b/8"',
    ])
  })
  test('with bad structure print what the original prints', () => {
    const { shown, logger } = loaded('bl;"m";inet;0')
    expect(shown()).toEqual([
      'no addresses',
      "bogus config line - need 'tag;message;af;count;a/m;a/m;a/m...'",
    ])
    expect(logger.lines[0]?.message).toBe('bad config line for list "bl": no addresses')
  })
  test('the number of lists is bounded', () => {
    const lines = Array.from({ length: MAX_LISTS + 1 }, (_, index) => `l${index};"m";inet;1;10.0.0.1/32`)
    const { lists, outcomes } = loaded(...lines)
    expect(lists.summaries()).toHaveLength(MAX_LISTS)
    expect(outcomes.at(-1)).toEqual({
      result: 'refused',
      name: `l${MAX_LISTS}`,
      reason: `more than ${MAX_LISTS} lists`,
    })
  })
})

test('an empty trap list is not announced before it was ever filled', () => {
  const { lists, shown } = loaded()
  lists.replaceSet(TRAP_LIST_NAME, TRAP_LIST_MESSAGE, EMPTY_SET, 0)
  expect(shown()).toEqual([])
  expect(lists.summaries()).toEqual([])
})
