/** How each local event changes the registers of an address; see merge.ts for how two gateways merge them. */
import type { HandMark, HostMarks } from './held.js'
import { compareStamps, laterStamp, type Stamp } from './stamp.js'

/** The latest stamp of an address; undefined when it has none. */
export function latestMark(marks: HostMarks | undefined): Stamp | undefined {
  if (marks === undefined) return undefined
  const { reset, white, trap, hand } = marks
  const seen = laterStamp(laterStamp(white?.grant, white?.stamp), trap)
  return laterStamp(laterStamp(reset, hand?.stamp), seen)
}

/** The same marks with other stamps; the same object if no stamp changes. */
export function mapMarks(
  marks: HostMarks | undefined,
  change: (stamp: Stamp) => Stamp,
): HostMarks | undefined {
  const last = latestMark(marks)
  if (marks === undefined || last === undefined || change(last) === last) return marks
  const { reset, white, trap, hand } = marks
  return {
    ...marks,
    reset: reset && change(reset),
    white: white && { grant: white.grant && change(white.grant), stamp: change(white.stamp) },
    trap: trap && change(trap),
    hand: hand && { ...hand, stamp: change(hand.stamp) },
  }
}

/** Everything before `stamp` is void. */
export function resetMarks(stamp: Stamp): HostMarks {
  return { reset: stamp }
}

/** WHITE by promotion or by the first sighting. */
export function grantedMarks(marks: HostMarks | undefined, stamp: Stamp): HostMarks {
  if (marks === undefined) return { white: { grant: stamp, stamp } }
  return { ...keptByHand(marks), reset: marks?.reset, white: { grant: stamp, stamp } }
}

/** A WHITE entry that was seen again. */
export function refreshedMarks(marks: HostMarks | undefined, stamp: Stamp): HostMarks {
  if (marks === undefined) return { white: { stamp } }
  return { ...marks, white: { grant: marks?.white?.grant, stamp } }
}

/** TRAPPED by a trap. A WHITE granted before does not come back. */
export function trappedMarks(marks: HostMarks | undefined, stamp: Stamp): HostMarks {
  return { ...keptByHand(marks), reset: marks?.reset, trap: stamp }
}

/** WHITE or TRAPPED by hand: a reset and its register in one. */
export function manualMarks(
  kind: 'WHITE' | 'TRAPPED',
  stamp: Stamp,
  hand: Omit<HandMark, 'stamp' | 'kind'> | undefined,
): HostMarks {
  return {
    reset: stamp,
    ...(kind === 'WHITE' ? { white: { grant: stamp, stamp } } : { trap: stamp }),
    ...(hand === undefined ? {} : { hand: { stamp, kind, ...hand } }),
  }
}

/**
 * What remains of an address whose entry has expired: its reset, while other gateways may have older entries.
 */
export function expiredMarks(
  marks: HostMarks | undefined,
  now: number,
  keepSec: number,
): HostMarks | undefined {
  const reset = marks?.reset
  return reset === undefined || reset.time / 1000 + keepSec <= now ? undefined : { reset }
}

/** A comment survives changes of kind, as long as nothing reset it. */
function keptByHand(marks: HostMarks | undefined): Pick<HostMarks, 'hand'> {
  const hand = marks?.hand
  return hand === undefined || compareStamps(hand.stamp, marks?.reset) < 0 ? {} : { hand }
}
