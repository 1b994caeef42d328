/** `spamdb --dry-run`: what an edit would do, from the database as it is, changing nothing. */
import { escapeField } from '../../codec/database/spamdb-text.js'
import type { ManualEdit, Store } from '../../db/store.js'
import type { WireText } from '../../domain/entry.js'
import { type EditRequest, type EditResult, type KeyFailure, planEdits } from './edit-entries.js'

/**
 * As `editEntries`, but every change is only printed, one line each: `add WHITE 192.0.2.1`,
 * `update WHITE 192.0.2.1`, `change WHITE 192.0.2.1 to TRAPPED`, `skip ...`, `delete ...`. A key that stands
 * twice is judged as if the first change had been made.
 */
export async function previewEdits(
  store: Store,
  batches: AsyncIterable<readonly WireText[]>,
  request: EditRequest,
  now: number,
  onFailure: (failure: KeyFailure) => void,
  print: (line: WireText) => void,
): Promise<EditResult> {
  const result: EditResult = { failureCount: 0, keyCount: 0, isStoppedByBadAddress: false }
  const preview = new Preview(store)
  for await (const batch of batches) {
    const keys = batch.filter((key) => key !== '')
    result.keyCount += keys.length
    const plan = planEdits(keys, request, now)
    for (const slot of plan.slots) {
      if ('reason' in slot) {
        onFailure(slot)
        result.failureCount += 1
        continue
      }
      const lines = await preview.describe(plan.edits[slot.editIndex]!)
      if (lines.length === 0) {
        onFailure({ reason: 'no-entry', key: slot.key })
        result.failureCount += 1
      }
      for (const line of lines) print(line)
    }
    if (plan.isStopped) return { ...result, isStoppedByBadAddress: true }
  }
  return result
}

/** The database with the changes of the preview laid over it. */
class Preview {
  readonly #store: Store
  /** What is under a host or spamtrap key after the changes so far: its kind, or nothing. */
  readonly #kinds = new Map<string, string | undefined>()
  /** GREY tuples that the preview has deleted, by their line. */
  readonly #deletedTuples = new Set<string>()

  constructor(store: Store) {
    this.#store = store
  }

  /** The lines of one edit; none when there is nothing to delete. */
  async describe(edit: ManualEdit): Promise<WireText[]> {
    if (edit.operation === 'delete-tuples') return await this.#describeTuples(edit.ip, edit.all)
    if (edit.operation === 'delete') {
      const { key } = edit
      if (key.kind === 'tuple') {
        const isThere = (await this.#store.get(key)) !== undefined
        return isThere ? this.#deleteTuples([tupleLine(key)]) : []
      }
      const name = key.kind === 'host' ? key.ip : key.address
      const kind = await this.#kindUnder(key, name)
      this.#kinds.set(name, undefined)
      return kind === undefined ? [] : [`delete ${kind} ${escapeField(name)}`]
    }
    const name = edit.kind === 'SPAMTRAP' ? edit.address : edit.ip
    const key =
      edit.kind === 'SPAMTRAP'
        ? ({ kind: 'spamtrap', address: edit.address } as const)
        : ({ kind: 'host', ip: edit.ip } as const)
    const before = await this.#kindUnder(key, name)
    const shown = escapeField(name)
    if (before !== undefined && edit.options?.ifMissing === true) return [`skip ${before} ${shown}`]
    this.#kinds.set(name, edit.kind)
    if (before === undefined) return [`add ${edit.kind} ${shown}`]
    return [before === edit.kind ? `update ${before} ${shown}` : `change ${before} ${shown} to ${edit.kind}`]
  }

  async #kindUnder(key: Parameters<Store['get']>[0], name: string): Promise<string | undefined> {
    if (!this.#kinds.has(name)) this.#kinds.set(name, (await this.#store.get(key))?.kind)
    return this.#kinds.get(name)
  }

  async #describeTuples(ip: string, isAll: boolean): Promise<WireText[]> {
    const left: { line: string; first: number }[] = []
    for await (const chunk of this.#store.list({ kinds: ['GREY'], ip })) {
      for (const entry of chunk) {
        if (entry.kind !== 'GREY') continue
        const line = tupleLine(entry)
        if (!this.#deletedTuples.has(line)) left.push({ line, first: entry.first })
      }
    }
    left.sort((one, other) => one.first - other.first)
    return this.#deleteTuples((isAll ? left : left.slice(0, 1)).map(({ line }) => line))
  }

  #deleteTuples(lines: readonly string[]): WireText[] {
    const fresh = lines.filter((line) => !this.#deletedTuples.has(line))
    for (const line of fresh) this.#deletedTuples.add(line)
    return fresh.map((line) => `delete GREY ${line}`)
  }
}

function tupleLine(tuple: { ip: string; helo: WireText; from: WireText; to: WireText }): WireText {
  return [tuple.ip, tuple.helo, tuple.from, tuple.to].map(escapeField).join('|')
}
