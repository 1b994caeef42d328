/**
 * The file of passwords: lines `HOST:PORT:DATABASE:USER:PASSWORD`, in which `*` matches anything and a
 * backslash escapes a colon or a backslash. Source: PostgreSQL manual, "The Password File".
 */
import { readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { errnoText } from '../../platform/errno-text.js'
import { openError } from '../db-error.js'
import type { Target, TargetHost } from './target.js'

/** What a line of the file is about. */
type Wanted = Pick<Target, 'database' | 'user'> & TargetHost

/** Bits of a mode that let others than the owner in. */
const OTHERS = 0o077

/**
 * The password for a server; throws `ERR_DB_OPEN` with what is wrong with the file where it has none. A folder of a socket is
 * called localhost there.
 */
export function passwordFor(wanted: Wanted, environment: NodeJS.ProcessEnv = process.env): string {
  const path = environment.PGPASSFILE ?? join(environment.HOME ?? homedir(), '.pgpass')
  const hint = `put it into ${path}, mode 0600: HOST:PORT:DATABASE:USER:PASSWORD; PGPASSFILE names another file`
  const refuse = (reason: string, cause?: unknown): never => {
    throw openError(`the server asks for a password and none is known: ${reason}`, { hint, cause })
  }
  let text = ''
  try {
    if ((statSync(path).mode & OTHERS) !== 0) refuse(`users other than its owner may read or write ${path}`)
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined || code.startsWith('ERR_')) throw error
    refuse(`${path}: ${errnoText(code)}`, error)
  }
  return findPassword(text, wanted) ?? refuse(`no line of ${path} matches this server, database and user`)
}

/** The password of the first line that matches. */
function findPassword(text: string, { host, port, database, user }: Wanted): string | undefined {
  const values = [host.startsWith('/') ? 'localhost' : host, String(port), database, user]
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue
    const fields = fieldsOf(line)
    if (
      fields.length >= 5 &&
      values.every((value, index) => fields[index] === '*' || unescaped(fields[index]!) === value)
    ) {
      return unescaped(fields[4]!)
    }
  }
  return undefined
}

/** Five fields with their backslashes; a colon in the last one needs none. */
function fieldsOf(line: string): string[] {
  const found = /^((?:\\.|[^:\\])*):((?:\\.|[^:\\])*):((?:\\.|[^:\\])*):((?:\\.|[^:\\])*):(.*)$/.exec(line)
  return found === null ? [] : found.slice(1)
}

function unescaped(field: string): string {
  return field.replaceAll(/\\(.)/g, '$1')
}
