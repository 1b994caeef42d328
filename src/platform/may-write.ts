import { accessSync, constants, statSync } from 'node:fs'

const [OWNER_WRITES, GROUP_WRITES, OTHERS_WRITE] = [0o200, 0o020, 0o002]

/**
 * True when this process may write the file or folder. access(2) checks the real user, which is still root
 * while root has changed its effective user, so the mode must be checked then.
 */
export function mayWrite(path: string): boolean {
  try {
    const uid = process.geteuid?.()
    if (uid === process.getuid?.()) {
      accessSync(path, constants.W_OK)
      return true
    }
    const status = statSync(path)
    if (status.uid === uid) return (status.mode & OWNER_WRITES) !== 0
    const isInGroup =
      process.getegid?.() === status.gid || process.getgroups?.().includes(status.gid) === true
    return (status.mode & (isInGroup ? GROUP_WRITES : OTHERS_WRITE)) !== 0
  } catch {
    return false
  }
}
