/** `spamdb -a` and `spamdb -d`: changes under keys, in order, with the original's counts of failures. */
import type { EditOutcome, ManualEdit, Store } from '../../db/store.js'
import type { Change } from '../../domain/change.js'
import type { EntryKind, WireText } from '../../domain/entry.js'
import { EXPIRE_NEVER } from '../../domain/times.js'
import { canonicalPaddedIp } from '../../ip/padded-address.js'
import { AppError } from '../../platform/app-error.js'
import { MAX_KEY_BYTES, parseTypedKey } from './typed-key.js'
import { readTypedSpamtrap } from './typed-spamtrap.js'

export interface EditRequest {
  operation: 'add' | 'delete'
  /** The kind selected by -t, -T and -G; a deletion only distinguishes GREY. */
  kind: EntryKind
  /** With a GREY deletion: every tuple of the address. */
  allTuples: boolean
  ifMissing: boolean
  /** Lifetime in seconds instead of the default, `never` to pin. */
  lifetime: number | 'never' | undefined
  comment: string | undefined
}

/** Why a key changed nothing; `key` is the text as typed. */
export type KeyFailure =
  | { reason: 'invalid-ip' | 'no-entry'; key: WireText }
  /** Ends the run: the remaining keys are not processed. */
  | { reason: 'not-email'; key: WireText }
  /** Ends the run: nothing of this batch is stored. */
  | { reason: 'storage'; error: AppError; operation: 'add' | 'delete'; keyCount: number; doneCount: number }

export interface EditResult {
  /** Keys that failed, all told. */
  failureCount: number
  /** Keys that were not empty. */
  keyCount: number
  isStoppedByBadAddress: boolean
}

/**
 * Maximum number of keys per transaction, so that readers and the daemon are served within a second or two.
 * With fewer, the pages of a large table would be written more often.
 */
const MAX_KEYS_PER_TRANSACTION = 600_000

/**
 * Edits the entries under `batches` of keys, each batch in transactions of its own and stored before the next
 * one is processed. `onFailure` is called in the order of keys. `onChanged` gets what each transaction
 * changed, after it is stored: there they are sent to other gateways. `actor` is for the history.
 */
// eslint-disable-next-line max-params -- one request in the words of spamdb, from two callers
export async function editEntries(
  store: Pick<Store, 'edit'>,
  batches: Iterable<readonly WireText[]> | AsyncIterable<readonly WireText[]>,
  request: EditRequest,
  now: number,
  onFailure: (failure: KeyFailure) => void,
  onChanged?: (changes: readonly Change[]) => void | Promise<void>,
  actor?: string,
): Promise<EditResult> {
  const result: EditResult = { failureCount: 0, keyCount: 0, isStoppedByBadAddress: false }
  let doneCount = 0
  for await (const batch of batches) {
    for (let start = 0; start < batch.length; start += MAX_KEYS_PER_TRANSACTION) {
      const keys = keysOf(batch, start)
      if (keys.length === 0) continue
      result.keyCount += keys.length
      const plan = planEdits(keys, request, now)
      let edited: Awaited<ReturnType<Store['edit']>>
      try {
        edited =
          plan.edits.length === 0
            ? { outcomes: [], changes: [] }
            : await store.edit(plan.edits, now, { actor, forgetsChanges: onChanged === undefined })
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        const { operation } = request
        onFailure({ reason: 'storage', error, operation, keyCount: keys.length, doneCount })
        result.failureCount += keys.length
        return result
      }
      doneCount += keys.length
      result.failureCount += reportFailures(keys, plan, edited.outcomes, onFailure)
      if (onChanged !== undefined) await onChanged(edited.changes)
      if (plan.isStopped) return { ...result, isStoppedByBadAddress: true }
    }
  }
  return result
}

/** The keys of one transaction. */
function keysOf(batch: readonly WireText[], start: number): readonly WireText[] {
  const isWhole = batch.length <= MAX_KEYS_PER_TRANSACTION
  const keys = isWhole ? batch : batch.slice(start, start + MAX_KEYS_PER_TRANSACTION)
  return keys.includes('') ? keys.filter((key) => key !== '') : keys
}

/** Edits for one batch of keys; there may be a million. */
interface EditPlan {
  edits: ManualEdit[]
  /** For each key, in order: the index of its edit, or the reason why it has none. */
  slots: (number | KeyFailure)[]
  isStopped: boolean
}

/** The edits for keys, checked as the original checks them. Touches no database. */
export function planEdits(keys: readonly WireText[], request: EditRequest, now: number): EditPlan {
  const plan: EditPlan = { edits: [], slots: [], isStopped: false }
  const options = addOptionsOf(request, now)
  for (const key of keys) {
    const edit = request.operation === 'add' ? planAdd(key, request.kind, options) : planDelete(key, request)
    if ('reason' in edit) {
      plan.slots.push(edit)
      if (edit.reason !== 'not-email') continue
      plan.isStopped = true
      break
    }
    plan.slots.push(plan.edits.length)
    plan.edits.push(edit)
  }
  return plan
}

type AddEdit = Extract<ManualEdit, { operation: 'add' }>

function addOptionsOf(request: EditRequest, now: number): AddEdit['options'] {
  const { ifMissing, lifetime, comment } = request
  if (!ifMissing && lifetime === undefined && comment === undefined) return undefined
  return {
    ...(ifMissing ? { ifMissing } : {}),
    ...(lifetime === undefined ? {} : { expire: lifetime === 'never' ? EXPIRE_NEVER : now + lifetime }),
    ...(comment === undefined ? {} : { comment }),
  }
}

function planAdd(key: WireText, kind: EntryKind, options: AddEdit['options']): ManualEdit | KeyFailure {
  if (kind === 'SPAMTRAP') {
    const address = readTypedSpamtrap(key)
    if (address === undefined) return { reason: 'not-email', key }
    return options === undefined
      ? { operation: 'add', kind, address }
      : { operation: 'add', kind, address, options }
  }
  const ip = canonicalPaddedIp(key)
  if (ip === undefined || kind === 'GREY' || kind === 'POOL') return { reason: 'invalid-ip', key }
  return options === undefined ? { operation: 'add', kind, ip } : { operation: 'add', kind, ip, options }
}

function planDelete(key: WireText, request: EditRequest): ManualEdit | KeyFailure {
  if (request.kind === 'GREY') {
    if (key.length > MAX_KEY_BYTES || key.includes('\0')) return { reason: 'no-entry', key }
    return { operation: 'delete-tuples', ip: canonicalPaddedIp(key) ?? key, all: request.allTuples }
  }
  const entryKey = parseTypedKey(key)
  return entryKey === undefined ? { reason: 'no-entry', key } : { operation: 'delete', key: entryKey }
}

function reportFailures(
  keys: readonly WireText[],
  { slots }: EditPlan,
  outcomes: readonly EditOutcome[],
  onFailure: (failure: KeyFailure) => void,
): number {
  let failureCount = 0
  for (let place = 0; place < slots.length; place += 1) {
    const slot = slots[place]!
    if (typeof slot !== 'number') onFailure(slot)
    else if (outcomes[slot] === 'missing') onFailure({ reason: 'no-entry', key: keys[place]! })
    else continue
    failureCount += 1
  }
  return failureCount
}
