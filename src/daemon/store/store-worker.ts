/** The thread in which a daemon's database lives; see store-in-worker.ts. */
import { parentPort } from 'node:worker_threads'
import { openStore } from '../../db/open-store.js'
import type { Store } from '../../db/store.js'
import { AppError, errnoOf } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { StoreWorkerMessage, StoreWorkerRequest } from './store-worker-messages.js'

let store: Store | undefined

function post(message: StoreWorkerMessage): void {
  parentPort?.postMessage(message)
}

async function perform(request: StoreWorkerRequest): Promise<unknown> {
  if (request.call === 'open') {
    store = await openStore(request.path, {
      ...request.options,
      onSlowCall: ({ call, durationMs }) => post({ kind: 'slow', call, durationMs }),
    })
    return undefined
  }
  if (request.call === 'close') {
    await store?.close()
    store = undefined
    return undefined
  }
  if (store === undefined) throw new AppError('ERR_DB_GONE', 'the database is closed')
  const call = store[request.call] as (...parameters: unknown[]) => Promise<unknown>
  return call.apply(store, request.parameters)
}

async function answer(request: StoreWorkerRequest): Promise<StoreWorkerMessage> {
  try {
    return { kind: 'result', result: await perform(request) }
  } catch (error) {
    const code = error instanceof AppError ? error.code : 'ERR_DB_IO'
    const hint = error instanceof AppError ? error.hint : undefined
    return { kind: 'error', error: { code, message: reasonOf(error), hint, errno: errnoOf(error) } }
  }
}

/** One after the other: answers are told apart by their order alone. */
let lastAnswer: Promise<void> = Promise.resolve()

parentPort?.on('message', (request: StoreWorkerRequest) => {
  lastAnswer = lastAnswer.then(async () => post(await answer(request)))
})
