import { Draft } from '../domain/draft.js'
import { decideUndo, selectUndo, UNDOABLE_RULES, type UndoOutcome } from '../domain/history.js'
import { HybridClock } from '../domain/stamp.js'
import { AppError } from '../platform/app-error.js'
import type { Connection } from './connection.js'
import type { EventSteps } from './history-rows.js'
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
    if (found === undefined) {
      throw nothingToUndo()
    }
    const known = transactions.history.stepsOf(found)
    refuseEvent(found, known)
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

/** Throws for an event that does not exist or cannot be undone. */
export function refuseEvent(event: number, { rule, isWhole, reversal }: Omit<EventSteps, 'steps'>): void {
  if (rule === undefined) throw eventError(`no such event: ${event}`)
  if (reversal !== undefined) {
    const [command = '', ...others] = reversal.commands
    const more = others.length === 0 ? '' : `, and ${others.length} more like it`
    throw eventError(
      `event ${event} is ${reversal.what}: undo does not take it back`,
      `use ${command}${more}; to undo an earlier change, give its number (spamdctl log)`,
    )
  }
  if (!UNDOABLE_RULES.includes(rule)) {
    throw eventError(
      `event ${event} was made by a daemon (${rule}): only manual changes and imports can be undone`,
    )
  }
  if (!isWhole) {
    throw eventError(
      `event ${event} was too large to be kept entry by entry`,
      'restore a file made by "spamdctl backup"',
    )
  }
}

/** The history has no event that can be undone. */
export function nothingToUndo(): AppError {
  return eventError('nothing to undo: the history has no manual change or import')
}

function eventError(
  message: string,
  hint = 'list what can be undone with "spamdctl log --cause manual,import,undo"',
): AppError {
  return new AppError('ERR_HISTORY_EVENT', message, { hint })
}
