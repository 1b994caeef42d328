import { setTimeout as pause } from 'node:timers/promises'
import { AppError } from '../../platform/app-error.js'

/** How long to wait before retrying a database locked by another program, and how often. */
const RETRY_MS = 250
const MAX_RETRIES = 40

/** Calls a store again while another program has locked the database, for ten seconds or until `isStopped`. */
export async function retryWhileBusy<Result>(
  action: () => Promise<Result>,
  isStopped: () => boolean,
): Promise<Result> {
  for (let retries = 0; ; retries += 1) {
    try {
      return await action()
    } catch (error) {
      const isBusy = error instanceof AppError && error.code === 'ERR_DB_BUSY'
      if (!isBusy || retries === MAX_RETRIES || isStopped()) throw error
    }
    await pause(RETRY_MS)
  }
}
