import { getSystemErrorMap } from 'node:util'

/** Texts of strerror(3) as OpenBSD and glibc print them; libuv's own texts differ in case and wording. */
const ERRNO_TEXT: Readonly<Record<string, string>> = {
  EACCES: 'Permission denied',
  EADDRINUSE: 'Address already in use',
  EADDRNOTAVAIL: "Can't assign requested address",
  EBADF: 'Bad file descriptor',
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  EDQUOT: 'Disk quota exceeded',
  EEXIST: 'File exists',
  EFTYPE: 'Inappropriate file type or format',
  EHOSTUNREACH: 'No route to host',
  EINVAL: 'Invalid argument',
  EIO: 'Input/output error',
  EISDIR: 'Is a directory',
  ELOOP: 'Too many levels of symbolic links',
  EMFILE: 'Too many open files',
  ENAMETOOLONG: 'File name too long',
  ENFILE: 'Too many open files in system',
  ENOENT: 'No such file or directory',
  ENOEXEC: 'Exec format error',
  ENOMEM: 'Cannot allocate memory',
  ENOSPC: 'No space left on device',
  ENOTDIR: 'Not a directory',
  EPERM: 'Operation not permitted',
  EPIPE: 'Broken pipe',
  EROFS: 'Read-only file system',
  ETIMEDOUT: 'Operation timed out',
}

/** The system's text for an errno name (`ENOENT` gives `No such file or directory`). Source: errno(2). */
export function errnoText(code: string): string {
  const known = ERRNO_TEXT[code]
  if (known !== undefined) return known
  for (const [name, text] of getSystemErrorMap().values()) if (name === code) return text
  return code
}

/** The reason of any thrown value in one line: the errno text for system errors, else its message. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) {
    const code = (error as NodeJS.ErrnoException).code
    if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return errnoText(code)
    return error.message
  }
  return String(error)
}
