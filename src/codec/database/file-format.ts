/**
 * The type of a database file of greylisting software, recognised by its first bytes, so that an import can read it
 * or say what it is.
 *
 *   SQLite        "SQLite format 3\0" at 0; big-endian application id at 68 (sqlite.org/fileformat2.html)
 *   Berkeley DB   1.85: magic at 0, any byte order; 2 and later: magic at 12 (dbopen(3), db_page.h of Berkeley DB)
 *   UTF-16        a byte order mark, or a NUL in every second byte
 *   UTF-32        a byte order mark
 *   binary        any other NUL: no text of greylisting software has one at its start
 *   compressed    the magic of xz, zstd, bzip2, zip; a tar has "ustar" at 257
 */

export type FileFormat =
  | { type: 'text' }
  | { type: 'berkeley-hash' }
  | { type: 'sqlite'; applicationId: number }
  /** A format that is recognised but not read. */
  | { type: 'foreign'; name: string; hint: string }

/** Number of bytes that `detectFileFormat` needs, if the file has that many. */
export const FORMAT_BYTES = 512

const HASH_MAGIC = 0x00061561
const BTREE_MAGIC = 0x00053162
const QUEUE_MAGIC = 0x00042253
const NEW_MAGIC_OFFSET = 12
const APPLICATION_ID_OFFSET = 68

const BY_TEXT =
  'import its text: on the host that wrote it, run "spamdb | ..." or "greydb | ..."; for postgrey "db_dump -p postgrey_clients.db | spamdctl import -"'

/** Formats that contain a listing: position and bytes of the magic, name, fix. */
const PACKED = [
  [0, '\xfd7zXZ\0', 'compressed by xz(1)', 'xz -dc FILE | spamdctl import -'],
  [0, '\x28\xb5\x2f\xfd', 'compressed by zstd(1)', 'zstd -dc FILE | spamdctl import -'],
  [0, 'BZh', 'compressed by bzip2(1)', 'bzip2 -dc FILE | spamdctl import -'],
  [0, 'PK\x03\x04', 'a zip archive', 'unzip -p FILE | spamdctl import -'],
  [257, 'ustar', 'a tar archive', 'tar -xOf FILE | spamdctl import -'],
] as const

/** The format of a file that begins with `start`. */
export function detectFileFormat(start: Uint8Array): FileFormat {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.byteLength)
  if (bytes.toString('latin1', 0, 16) === 'SQLite format 3\0') {
    const hasId = bytes.length >= APPLICATION_ID_OFFSET + 4
    return { type: 'sqlite', applicationId: hasId ? bytes.readUInt32BE(APPLICATION_ID_OFFSET) : 0 }
  }
  const encoding = encodingOf(bytes)
  if (encoding !== undefined) {
    return {
      type: 'foreign',
      name: `${encoding} text`,
      hint: 'save it as UTF-8, or convert it with iconv(1)',
    }
  }
  for (const [at, magic, name, hint] of PACKED) {
    if (bytes.toString('latin1', at, at + magic.length) === magic) return { type: 'foreign', name, hint }
  }
  if (hasMagic(bytes, 0, HASH_MAGIC)) return { type: 'berkeley-hash' }
  if (hasMagic(bytes, 0, BTREE_MAGIC)) {
    return {
      type: 'foreign',
      name: 'a Berkeley DB 1.85 btree file (spamd before OpenBSD 4.1)',
      hint: BY_TEXT,
    }
  }
  for (const [magic, kind] of [
    [HASH_MAGIC, 'hash'],
    [BTREE_MAGIC, 'btree'],
    [QUEUE_MAGIC, 'queue'],
  ] as const) {
    if (!hasMagic(bytes, NEW_MAGIC_OFFSET, magic)) continue
    return {
      type: 'foreign',
      name: `a ${kind} file of Berkeley DB 2 or later (greyd, postgrey, FreeBSD)`,
      hint: BY_TEXT,
    }
  }
  if (bytes.includes(0)) return { type: 'foreign', name: 'binary data, not text', hint: BY_TEXT }
  return { type: 'text' }
}

/** The encoding of text in two or four bytes for a character. */
function encodingOf(bytes: Buffer): string | undefined {
  const mark = bytes.toString('latin1', 0, 4)
  if (mark === '\xff\xfe\0\0' || mark === '\0\0\xfe\xff') return 'UTF-32'
  if (mark.startsWith('\xff\xfe') || mark.startsWith('\xfe\xff')) return 'UTF-16'
  const isHalfNul = (first: number): boolean =>
    bytes.length >= 4 && bytes.every((byte, index) => (byte === 0) === (index % 2 === first))
  return isHalfNul(0) || isHalfNul(1) ? 'UTF-16' : undefined
}

function hasMagic(bytes: Buffer, offset: number, magic: number): boolean {
  if (bytes.length < offset + 4) return false
  return bytes.readUInt32BE(offset) === magic || bytes.readUInt32LE(offset) === magic
}
