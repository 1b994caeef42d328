/**
 * Feeds mutated config lines to their decoder and stops at the first broken rule, keeping the input in
 * test/corpus. Not part of `npm test`: `npx tsx test/fuzz/fuzz-config-lines.ts [INPUTS [SEED]]`.
 */
import { checkConfigLines } from './check-config-lines.js'
import { runFuzz } from './run-fuzz.js'

const TOKENS = [
  ';',
  '"',
  '\\',
  '\n',
  '\r',
  '\0',
  'inet',
  'inet6',
  '/',
  '::',
  '1',
  '255',
  '4294967296',
  '0x1',
  ' ',
  '+',
  '-',
  '1.2.3.4/32',
  '::ffff:1.2.3.4/96',
]

const counts = new Map<string, number>()
runFuzz('config-line', TOKENS, (bytes, random) => {
  for (const { kind } of checkConfigLines(bytes, random(1_000))) counts.set(kind, (counts.get(kind) ?? 0) + 1)
})
process.stdout.write(`config-line: ${JSON.stringify(Object.fromEntries(counts))}\n`)
