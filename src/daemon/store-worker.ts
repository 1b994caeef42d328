/** The thread in which spamlogd's database lives; see store-in-worker.ts. */
import { parentPort } from 'node:worker_threads'
import { openStore } from '../db/open-store.js'
import type { SightingOutcome, Store } from '../db/store.js'
import { AppError } from '../platform/app-error.js'
import { reasonOf } from '../platform/errno-text.js'
import type { StoreWorkerAnswer, StoreWorkerRequest } from './store-worker-messages.js'

let store: Store | undefined

async function perform(request: StoreWorkerRequest): Promise<SightingOutcome[]> {
  if (request.call === 'open') {
    const { busyTimeoutMs } = request
    store = await openStore(request.path, { mode: 'write', durability: 'normal', busyTimeoutMs })
    return []
  }
  if (request.call === 'close') {
    await store?.close()
    store = undefined
    return []
  }
  if (store === undefined) throw new AppError('ERR_DB_GONE', 'the database is closed')
  return store.recordSightings(request.sightings, request.options, request.now)
}

async function answer(request: StoreWorkerRequest): Promise<StoreWorkerAnswer> {
  try {
    return { ok: true, outcomes: await perform(request) }
  } catch (error) {
    const code = error instanceof AppError ? error.code : 'ERR_DB_IO'
    const hint = error instanceof AppError ? error.hint : undefined
    return { ok: false, error: { code, message: reasonOf(error), hint } }
  }
}

parentPort?.on('message', (request: StoreWorkerRequest) => {
  void answer(request).then((result) => parentPort?.postMessage(result))
})
