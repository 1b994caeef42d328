/** File systems allow 255 bytes; suffix and temporary names need space too. */
const MAX_NAME_LENGTH = 160

/**
 * A file name for a list of any name: letters, digits, `_` and `-` stay, a dot stays except as the first
 * character, every other byte becomes `%XX`; a name that gets too long ends in a part of its SHA-256.
 * Different lists never share a name.
 */
export function listFileName(listName: string): string {
  let name = ''
  for (const byte of Buffer.from(listName, 'utf8')) {
    const character = String.fromCharCode(byte)
    const isPlain = /[A-Za-z0-9_-]/.test(character) || (character === '.' && name !== '')
    name += isPlain ? character : `%${byte.toString(16).padStart(2, '0').toUpperCase()}`
  }
  if (name.length > 0 && name.length <= MAX_NAME_LENGTH) return name
  // Loaded here so that the usual short names cost nothing. No other name contains a tilde.
  const { createHash } = process.getBuiltinModule('node:crypto')
  return `${name.slice(0, 100)}~${createHash('sha256').update(listName, 'utf8').digest('hex').slice(0, 32)}`
}
