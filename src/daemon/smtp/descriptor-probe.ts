import { closeSync, openSync } from 'node:fs'
import { isSystemError } from '../../platform/app-error.js'

/** Opens a file for a moment; throws the system's error when no descriptor is free. */
export function openForAMoment(): void {
  closeSync(openSync('/dev/null', 'r'))
}

/** The error that shows that descriptors ran out; undefined while some are left. */
export function descriptorShortage(probe: () => void): Error | undefined {
  try {
    probe()
  } catch (error) {
    if (isSystemError(error) && (error.code === 'EMFILE' || error.code === 'ENFILE')) return error
  }
  return undefined
}
