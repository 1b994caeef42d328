/** The thread in which a daemon's database lives; see store-in-worker.ts. */
import { parentPort } from 'node:worker_threads'
import { type OpenStoreOptions, openStore } from '../../db/open-store.js'
import type { Store } from '../../db/store.js'
import { AppError, errnoOf } from '../../platform/app-error.js'
import { systemClock } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import { freeMemorySoon } from '../../platform/free-memory.js'
import { isPostgresLocation } from '../../platform/postgres-location.js'
import { GatewayStore } from './gateway-store.js'
import {
  CALLS_WITH_OUTCOMES_ONLY,
  type DaemonStoreCall,
  type StoreWorkerMessage,
  type StoreWorkerRequest,
} from './store-worker-messages.js'

/** The open database as its calls see it. */
interface OpenedDatabase {
  call(name: DaemonStoreCall, parameters: readonly unknown[]): Promise<unknown>
  close(): Promise<void>
}

/** A change must take effect within a second; noticing it may take half of that. */
const LOOK_MS = 500

/** Longest wait for a server that does not answer: what comes in meanwhile waits in the queues of the daemon. */
const SERVER_TIMEOUT_MS = 5000

let database: OpenedDatabase | undefined

function post(message: StoreWorkerMessage): void {
  parentPort?.postMessage(message)
}

async function open({
  path,
  options,
}: Extract<StoreWorkerRequest, { call: 'open' }>): Promise<OpenedDatabase> {
  const { gateway, tellsChanges, ...storeOptions } = options
  const watched: OpenStoreOptions = {
    ...storeOptions,
    onSlowCall: ({ call, durationMs }) => post({ kind: 'slow', call, durationMs }),
    onNotice: (text) => post({ kind: 'notice', text }),
  }
  if (gateway !== undefined && isPostgresLocation(path)) {
    return GatewayStore.open({
      openServer: () =>
        openStore(path, {
          queryTimeoutMs: SERVER_TIMEOUT_MS,
          ...watched,
          onAlarm: () => post({ kind: 'alarm' }),
        }),
      local: await openLocal(gateway.localPath, watched),
      policy: gateway.policy,
      name: gateway.name,
      nowSec: systemClock.nowSec,
      onNotice: (text) => post({ kind: 'notice', text }),
      onAlone: (sinceSec) => post({ kind: 'alone', sinceSec }),
    })
  }
  const store = await openStore(path, watched)
  const stopLooking = tellsChanges === true ? lookForChanges(store) : () => undefined
  return {
    call: (name, parameters) =>
      (store[name] as (...parameters: readonly unknown[]) => Promise<unknown>).apply(store, [...parameters]),
    close: () => {
      stopLooking()
      return store.close()
    },
  }
}

/** Checks twice a second whether the journal has grown; otherwise only this thread wakes up. */
function lookForChanges(store: Store): () => void {
  let newest: number | undefined
  const look = async (): Promise<void> => {
    // The woken reader finds out why it cannot be read.
    const found = await store.readJournal(0, 0).then(
      (slice) => slice.newest,
      () => undefined,
    )
    if (found === undefined || (newest !== undefined && found !== newest)) post({ kind: 'alarm' })
    newest = found
  }
  const timer = setInterval(() => void look(), LOOK_MS)
  return () => clearInterval(timer)
}

/** An error about the local file must not look like one of the server, so it has no errno of its own. */
async function openLocal(path: string, options: OpenStoreOptions): Promise<Store> {
  try {
    return await openStore(path, { ...options, create: true })
  } catch (error) {
    throw new AppError('ERR_DB_OPEN', `${path}, used while the server is unreachable: ${reasonOf(error)}`, {
      hint: 'its folder must exist and belong to the user of the daemons; SPAMD_LOCAL_DB names another file',
    })
  }
}

async function perform(request: StoreWorkerRequest): Promise<unknown> {
  if (request.call === 'open') {
    database = await open(request)
    freeMemorySoon()
    return undefined
  }
  if (request.call === 'close') {
    await database?.close()
    database = undefined
    return undefined
  }
  if (database === undefined) throw new AppError('ERR_DB_GONE', 'the database is closed')
  const result = await database.call(request.call, request.parameters)
  return hasOutcomesOnly(request.call) ? { outcomes: (result as { outcomes: unknown }).outcomes } : result
}

function hasOutcomesOnly(call: DaemonStoreCall): boolean {
  return (CALLS_WITH_OUTCOMES_ONLY as readonly DaemonStoreCall[]).includes(call)
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

/** One after the other: answers are matched to calls only by their order. */
let lastAnswer: Promise<void> = Promise.resolve()

parentPort?.on('message', (request: StoreWorkerRequest) => {
  lastAnswer = lastAnswer.then(async () => post(await answer(request)))
})
