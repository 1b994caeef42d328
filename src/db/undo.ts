import { Draft } from '../domain/draft.js'
import {
  decideUndo,
  NOTHING_TO_UNDO,
  refuseUndo,
  selectUndo,
  type UndoOutcome,
  type UndoRefusal,
} from '../domain/history.js'
import { HybridClock } from '../domain/stamp.js'
import { AppError } from '../platform/app-error.js'
import type { Connection } from './connection.js'
import type { Transactions } from './transactions.js'

/** See `Store.undo`. */
export function undoEvent(
  connection: Connection,
  transactions: Transactions,
  wanted: number | 'last',
  options: { force: boolean; isDryRun: boolean; actor: string | undefined },
  now: number,
): UndoOutcome & { event: number } {
  const { event, steps } = connection.read('undo', () => {
    const found = wanted === 'last' ? transactions.history.lastUndoable() : wanted
    if (found === undefined) throw undoError(NOTHING_TO_UNDO)
    const known = transactions.history.stepsOf(found)
    const refusal = refuseUndo(found, known)
    if (refusal !== undefined) throw undoError(refusal)
    return { event: found, steps: known.steps }
  })
  const selection = selectUndo(steps)
  if (options.isDryRun) {
    const draft = new Draft(new HybridClock(0, { time: 0, counter: 0 }), now)
    connection.read('undo', () => transactions.load(selection, draft))
    return { event, ...decideUndo(draft, steps, options) }
  }
  const { outcomes } = transactions.decide('undo', now, selection, (draft) =>
    decideUndo(draft, steps, options),
  )
  return { event, ...outcomes }
}

/** The error that says why an event is not undone. */
export function undoError({ message, hint }: UndoRefusal): AppError {
  return new AppError('ERR_HISTORY_EVENT', message, { hint })
}
