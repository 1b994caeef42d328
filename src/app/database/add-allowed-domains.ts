import { appendFileSync, readFileSync } from 'node:fs'
import type { WireText } from '../../domain/entry.js'
import { AppError, isSystemError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { inRightsFor } from '../../platform/lesser-rights.js'

/**
 * Appends to a file of allowed domains (one suffix a line) those that are missing, ignoring case; a missing
 * file is created. Returns how many were added. Throws `AppError` `ERR_IMPORT_OUTPUT`.
 */
export async function addAllowedDomains(path: string, domains: readonly WireText[]): Promise<number> {
  try {
    return await inRightsFor(path, () => append(path, domains))
  } catch (error) {
    const isUnsafe = error instanceof AppError && error.code === 'ERR_UNSAFE_FOLDER'
    if (!isSystemError(error) && !isUnsafe) throw error
    throw new AppError('ERR_IMPORT_OUTPUT', `cannot add domains to ${path}: ${reasonOf(error)}`, {
      hint: 'the entries are imported; import again with a writable file',
      cause: error,
    })
  }
}

function append(path: string, domains: readonly WireText[]): number {
  const old = readIfThere(path)
  const known = new Set(old.split('\n').map((line) => line.trim().toLowerCase()))
  const fresh: WireText[] = []
  for (const domain of domains) {
    if (known.has(domain.toLowerCase())) continue
    known.add(domain.toLowerCase())
    fresh.push(domain)
  }
  if (fresh.length === 0) return 0
  const start = old === '' || old.endsWith('\n') ? '' : '\n'
  appendFileSync(path, Buffer.from(`${start}${fresh.join('\n')}\n`, 'latin1'), { mode: 0o644 })
  return fresh.length
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return ''
    throw error
  }
}
