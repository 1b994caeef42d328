/** The key file that sync peers share: created by `spamdctl sync-key`, checked by its readers. */
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, fchownSync, fsyncSync, openSync, statSync, unlinkSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { AppError, isSystemError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { readWithoutWaiting } from '../../platform/file-io.js'

/** Random bytes of a new key: more than the 160 bits that the protocol makes of it. */
const KEY_BYTES = 32
const OWNER_ONLY = 0o600
const READABLE_BY_OTHERS = 0o004
/** A key file is a line; the originals read whatever is there whole. */
const MAX_KEY_FILE_BYTES = 1024 * 1024

/**
 * Writes a new random key, one line of hexadecimal digits, mode 0600, owned by `owner` when given, and
 * returns its fingerprint. An existing file is not changed: `AppError` `ERR_SYNC_KEY_EXISTS`;
 * `ERR_SYNC_KEY_WRITE` for everything else.
 */
export function createSyncKey(path: string, owner?: { uid: number; gid: number }): string {
  const content = Buffer.from(`${randomBytes(KEY_BYTES).toString('hex')}\n`, 'latin1')
  let descriptor: number
  try {
    descriptor = openSync(path, 'wx', OWNER_ONLY)
  } catch (error) {
    if (isSystemError(error) && error.code === 'EEXIST') {
      throw new AppError('ERR_SYNC_KEY_EXISTS', `cannot create ${path}: File exists`, {
        hint: 'all peers need the same file: copy it to them, or remove it first to create a new one',
      })
    }
    throw new AppError('ERR_SYNC_KEY_WRITE', `cannot create ${path}: ${reasonOf(error)}`, {
      cause: error,
      hint: isSystemError(error) ? hintForCreation(path, error.code) : undefined,
    })
  }
  try {
    writeSync(descriptor, content)
    if (owner !== undefined) fchownSync(descriptor, owner.uid, owner.gid)
    fsyncSync(descriptor)
  } catch (error) {
    unlinkSync(path)
    throw new AppError('ERR_SYNC_KEY_WRITE', `cannot write ${path}: ${reasonOf(error)}`, { cause: error })
  } finally {
    closeSync(descriptor)
  }
  return fingerprintOf(content)
}

function hintForCreation(path: string, code: string): string | undefined {
  if (code === 'ENOENT') return `create its folder first: mkdir -p ${dirname(path)}`
  return code === 'EACCES' ? 'run it as root, or name another file with --key' : undefined
}

/** Content of the key file; undefined when there is none. Throws `AppError` `ERR_SYNC_KEY_READ`. */
export function readSyncKeyFile(path: string): Buffer | undefined {
  let content: Buffer
  try {
    content = readWithoutWaiting(path)
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return undefined
    throw new AppError('ERR_SYNC_KEY_READ', `failed to open sync key: ${reasonOf(error)}`, {
      cause: error,
      hint: `${path} must be a file that root can read`,
    })
  }
  if (content.length > MAX_KEY_FILE_BYTES) {
    throw new AppError('ERR_SYNC_KEY_READ', `${path} is larger than ${MAX_KEY_FILE_BYTES} bytes: not a key`)
  }
  return content
}

/** Fingerprint of the key in use. Throws `AppError` `ERR_SYNC_KEY_READ`, also when there is no key. */
export function syncKeyFingerprint(path: string): string {
  const content = readSyncKeyFile(path)
  if (content !== undefined) return fingerprintOf(content)
  throw new AppError('ERR_SYNC_KEY_READ', `cannot read ${path}: No such file or directory`, {
    hint: 'create one with "spamdctl sync-key"',
  })
}

/** Identifies a key without revealing it: the start of the SHA-256 of the file, in hexadecimal. */
export function fingerprintOf(content: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(content).digest('hex').slice(0, 32)}`
}

/** What an administrator should know about the key file in use; undefined when all is well. */
export function syncKeyWarning(path: string): string | undefined {
  let mode: number
  try {
    mode = statSync(path).mode
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') {
      return `no synchronisation key in ${path}: anyone can forge messages`
    }
    return undefined
  }
  if ((mode & READABLE_BY_OTHERS) === 0) return undefined
  return `the synchronisation key ${path} can be read by every user: chmod o= ${path}`
}
