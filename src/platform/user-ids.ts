/**
 * The system calls that change users and groups. Node refuses them when it cannot tell whether io_uring is in
 * use, because one of its kernel threads would keep the previous privileges (CVE-2024-22017). A Node linked
 * with the system's libuv, such as that of Debian 13, cannot tell and always refuses; there a small native
 * module makes the calls, after making sure that io_uring is off. ADR 12.
 */
import { AppError, isSystemError } from './app-error.js'
import { loadNativeModule } from './native-module.js'

/** setgroups(2), setgid(2), setegid(2), setuid(2) and seteuid(2); each throws the error of the system. */
export interface UserIds {
  setgroups(groups: readonly number[]): void
  setgid(gid: number): void
  setegid(gid: number): void
  setuid(uid: number): void
  seteuid(uid: number): void
}

let known: UserIds | undefined

/** The calls that work here. Throws `AppError` `ERR_PRIVILEGES_DROP` if none does. */
export function userIds(): UserIds {
  known ??= refusesUserIds() ? loadNative() : ofNode()
  return known
}

function ofNode(): UserIds {
  return {
    setgroups: (groups) => process.setgroups!(groups),
    setgid: (gid) => process.setgid!(gid),
    setegid: (gid) => process.setegid!(gid),
    setuid: (uid) => process.setuid!(uid),
    seteuid: (uid) => process.seteuid!(uid),
  }
}

/**
 * Sets the ids to their current values. An error of the system names the system call; Node's own refusal does
 * not.
 */
function refusesUserIds(): boolean {
  try {
    process.seteuid!(process.geteuid!())
    return false
  } catch (error) {
    return !isSystemError(error)
  }
}

function loadNative(): UserIds {
  if (mayUseIoUring(process.versions.uv, process.env.UV_USE_IO_URING)) {
    throw new AppError(
      'ERR_PRIVILEGES_DROP',
      'Node may be using io_uring, which would keep the rights of root',
      {
        hint: 'run it with UV_USE_IO_URING=0 in the environment',
      },
    )
  }
  const native = loadNativeModule('user_ids')
  if (native === undefined) {
    throw new AppError(
      'ERR_PRIVILEGES_DROP',
      'this Node cannot change users, and the module that can is not built',
      {
        hint: 'run npm rebuild spamdctl, or use a Node with its own libuv',
      },
    )
  }
  return native as UserIds
}

/**
 * Whether libuv of this version, with this value of UV_USE_IO_URING, may use io_uring: from 1.45 on by
 * default, from 1.49 on only when enabled. Source: libuv, ChangeLog.
 * @internal Tests ask for other versions of libuv.
 */
export function mayUseIoUring(uvVersion: string, setting: string | undefined): boolean {
  const [major = 0, minor = 0] = uvVersion.split('.').map(Number)
  const version = major * 1000 + minor
  if (version < 1045) return false
  return setting === undefined ? version < 1049 : setting !== '0'
}
