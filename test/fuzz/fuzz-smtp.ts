/**
 * Feeds mutated SMTP dialogues and PROXY headers to spamd's code and stops at the first broken rule, keeping the
 * input in test/corpus. Not part of `npm test`: `npx tsx test/fuzz/fuzz-smtp.ts [INPUTS [SEED]]`.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkDialogue, checkProxyHeader } from './check-smtp.js'
import { makeMutator } from './mutate.js'

const CORPUS = join(import.meta.dirname, '../corpus')
const TOKENS = {
  smtp: [
    '\r\n',
    '\n',
    '\r',
    '\0',
    'HELO ',
    'EHLO a\r\n',
    'MAIL FROM:<a@b>\r\n',
    'RCPT TO:<c@d>\r\n',
    'DATA\r\n',
    '.\r\n',
    'RSET\r\n',
    'NOOP\r\n',
    'QUIT\r\n',
    'STARTTLS\r\n',
    ':',
    ' ',
    '\t',
    '\xff',
    'x'.repeat(3000),
  ],
  proxy: [
    'PROXY ',
    'TCP4 ',
    'TCP6 ',
    'UNKNOWN',
    ' ',
    '\r\n',
    '\n',
    '192.0.2.1',
    '2001:db8::1',
    '::ffff:',
    '0',
    '65535',
    '\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a',
    '\x21\x11\x00\x0c',
    '\x21\x21\x00\x24',
    '\x20\x00\x00\x00',
    '\0',
  ],
}

const inputCount = Number(process.argv[2] ?? 1_000_000)
const { random, mutate } = makeMutator(Number(process.argv[3] ?? 1))

function run(kind: 'smtp' | 'proxy', check: (bytes: Buffer) => void): void {
  const folder = join(CORPUS, kind)
  const seeds = readdirSync(folder).map((name) => readFileSync(join(folder, name)))
  const startMs = performance.now()
  for (let input = 0; input < inputCount; input += 1) {
    const bytes = mutate(seeds, TOKENS[kind])
    try {
      check(bytes)
    } catch (error) {
      const name = join(folder, `found-${createHash('sha1').update(bytes).digest('hex').slice(0, 10)}`)
      writeFileSync(name, bytes)
      throw new Error(`input ${input}, kept as ${name}`, { cause: error })
    }
  }
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0)
  process.stdout.write(`${kind}: ${inputCount} inputs in ${seconds} s, none breaks a rule\n`)
}

run('proxy', checkProxyHeader)
run('smtp', (bytes) => checkDialogue(bytes, random(4096)))
