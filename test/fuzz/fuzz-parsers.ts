/**
 * Feeds mutated lists and spamd.conf files to their parsers and stops at the first broken rule, keeping the
 * input in test/corpus. Not part of `npm test`: `npx tsx test/fuzz/fuzz-parsers.ts [INPUTS [SEED]]`.
 */
import { checkConf, checkList } from './check-parsers.js'
import { runFuzz } from './run-fuzz.js'

const TOKENS = {
  lists: [
    '\n',
    '\r\n',
    '/',
    '-',
    ' - ',
    '.',
    ':',
    '::',
    '#',
    ';',
    '!',
    '"',
    ',',
    '\t',
    '0',
    '255',
    '32',
    '/0',
    '{',
    '}',
    'add x ',
    '\0',
    '\xff',
    '::ffff:',
    '128',
    '1.2.3.4',
    '1.2.3.4/24\n',
    ' nomatch',
  ],
  getcap: [
    '\n',
    '\\\n',
    '\\',
    ':',
    '|',
    '"',
    '@',
    '#',
    '=',
    '^',
    'tc=',
    'all:',
    ':black:',
    ':white:',
    ':msg="',
    ':file=/',
    ':method=',
    '\t',
    ' ',
    '\\c',
    '\\0',
    '\0',
    '\xe9',
    'a',
  ],
}

runFuzz('lists', TOKENS.lists, (bytes, random) => {
  checkList(bytes, random(4096), random(4) === 0 ? 1 + random(3) : undefined)
})
runFuzz('getcap', TOKENS.getcap, checkConf)
