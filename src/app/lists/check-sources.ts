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

function checkSource(source: ListSource, user: SystemUser | undefined): Problem | undefined {
  const { method, location } = source
  if (method !== 'file' && method !== 'exec') return undefined
  const program = location.split(/[ \t]+/).find((word) => word !== '') ?? ''
  // A program without a slash is searched in PATH, which need not be ours.
  if (method === 'exec' && !program.includes('/')) return undefined
  const path = resolve('/', method === 'file' ? location : program)
  try {
    accessSync(path, method === 'file' ? constants.R_OK : constants.X_OK)
  } catch (error) {
    const what = method === 'file' ? `Can't open ${location} by file method` : `cannot run ${program}`
    return {
      message: `${what}: ${reasonOf(error)}`,
      hint: `list ${source.name} of spamd.conf`,
      isError: true,
    }
  }
  if (user === undefined || user.uid === 0 || source.isAsRoot === true) return undefined
  const { uid, gid, mode } = statSync(path)
  const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0
  if (((mode >> shift) & (method === 'file' ? 4 : 1)) !== 0) return undefined
  const verb = method === 'file' ? 'read' : 'run'
  return {
    message: `${user.name}, the user of spamd-setup, may not ${verb} ${path}`,
    hint: `let others ${verb} it, or add :as_root: to list ${source.name}`,
    isError: true,
  }
}
