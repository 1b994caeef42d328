/**
 * Feeds mutated SMTP dialogues and PROXY headers to spamd's code and stops at the first broken rule, keeping the
 * input in test/corpus. Not part of `npm test`: `npx tsx test/fuzz/fuzz-smtp.ts [INPUTS [SEED]]`.
 */
import { checkDialogue, checkProxyHeader } from './check-smtp.js'
import { runFuzz } from './run-fuzz.js'

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

runFuzz('proxy', TOKENS.proxy, checkProxyHeader)
runFuzz('smtp', TOKENS.smtp, (bytes, random) => checkDialogue(bytes, random(4096)))
