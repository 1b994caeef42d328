/** Messages whose way through the lab can be followed, and their digests. */
import { createHash } from 'node:crypto'

/** A message and what must arrive of it: its bytes from the first header on. */
export interface LabMessage {
  id: string
  bytes: Buffer
  /** SHA-256, in hexadecimal. */
  digest: string
}

/** Lines that a mail server or a proxy may spoil. */
const AWKWARD = [
  '.',
  '..',
  '. ',
  '.hidden',
  'From the start',
  'Grüße, ö',
  '\xff\xfe raw',
  ' leading',
  'trailing ',
  '\t',
]

/** A message of about so many bytes: 8-bit, with lines that begin with dots. */
export function labMessage(id: string, size: number): LabMessage {
  const parts = [
    `X-Lab-Id: ${id}\nFrom: <writer@lab.example>\nTo: <reader@example.org>\n`,
    `Date: Thu, 26 Nov 2026 12:00:00 +0000\nMessage-Id: <${id}@lab.example>\nSubject: ${id}\n`,
    'MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n',
  ]
  let length = parts.join('').length
  for (let index = 0; length < size; index += 1) {
    const line = `${AWKWARD[index % AWKWARD.length]} ${index} ${'x'.repeat((index * 7) % 60)}\n`
    parts.push(line, '.\n')
    length += line.length + 2
  }
  const bytes = Buffer.from(parts.join(''), 'latin1')
  return { id, bytes, digest: createHash('sha256').update(bytes).digest('hex') }
}
