/** Whether the local sources in spamd.conf exist, and can be read by the user of spamd-setup. */
import { accessSync, constants, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { reasonOf } from '../../platform/errno-text.js'
import { findUser, isRoot, type SystemUser } from '../../platform/privileges.js'
import type { ConfiguredList, Problem } from './configured-list.js'
import type { ListSource } from './list-source.js'

/** Problems with files of method `file` and programs of method `exec`, each source once. */
export async function checkSources(lists: readonly ConfiguredList[], feedUser: string): Promise<Problem[]> {
  const user = isRoot() ? await findUser(feedUser) : undefined
  const problems = new Map<string, Problem>()
  for (const { source } of lists) {
    if (source === undefined) continue
    const problem = checkSource(source, user)
    if (problem !== undefined) problems.set(`${source.method} ${source.location}`, problem)
  }
  return [...problems.values()]
}

/** How a local source is used: the access that it needs, the bit of the mode for it, and the words for messages. */
const USES = {
  file: { access: constants.R_OK, bit: 4, verb: 'read' },
  exec: { access: constants.X_OK, bit: 1, verb: 'run' },
} as const

function checkSource(source: ListSource, user: SystemUser | undefined): Problem | undefined {
  const { method, location, name } = source
  if (method !== 'file' && method !== 'exec') return undefined
  const { access, bit, verb } = USES[method]
  const file = method === 'file' ? location : (location.split(/[ \t]+/).find((word) => word !== '') ?? '')
  // A program without a slash is searched in PATH, which need not be ours.
  if (method === 'exec' && !file.includes('/')) return undefined
  const path = resolve('/', file)
  try {
    accessSync(path, access)
  } catch (error) {
    const what = method === 'file' ? `Can't open ${file} by file method` : `cannot run ${file}`
    return { message: `${what}: ${reasonOf(error)}`, hint: `list ${name} of spamd.conf`, isError: true }
  }
  if (user === undefined || source.isAsRoot === true || isAllowed(path, user, bit)) return undefined
  return {
    message: `${user.name}, the user of spamd-setup, may not ${verb} ${path}`,
    hint: `let others ${verb} it, or add :as_root: to list ${name}`,
    isError: true,
  }
}

/** True if the mode of a file has the bit for this user. */
function isAllowed(path: string, user: SystemUser, bit: number): boolean {
  if (user.uid === 0) return true
  const { uid, gid, mode } = statSync(path)
  const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0
  return ((mode >> shift) & bit) !== 0
}
