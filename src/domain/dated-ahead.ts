/**
 * Changes made while the clock was ahead, and until stamps followed the clock again, are dated in the future, and other
 * gateways would refuse them. They are sent as if they had been made now.
 */
import { isAhead, type MergeRecord } from './decide-merge.js'
import { compareStamps, isAheadOf, type Stamp } from './stamp.js'

/**
 * A record that other gateways accept; undefined if its own times, not only its stamps, are in the future. `now` is a
 * correct clock, `node` that of the database.
 */
export function datedNow(record: MergeRecord, now: number, node: number): MergeRecord | undefined {
  if (!isAhead(record, now)) return record
  const ahead = stampsOf(record)
    .filter((stamp) => isAheadOf(stamp, now))
    .sort(compareStamps)
  // Only their order and equality matter.
  const places = ahead.filter((stamp, index) => compareStamps(stamp, ahead[index - 1]) !== 0)
  const dated = <S extends Stamp | undefined>(stamp: S): S => {
    const place = stamp === undefined ? -1 : places.findIndex((one) => compareStamps(one, stamp) === 0)
    return place < 0 ? stamp : ({ time: now * 1000, counter: place, node } as S)
  }
  const told = withStamps(record, dated)
  return isAhead(told, now) ? undefined : told
}

function stampsOf(record: MergeRecord): Stamp[] {
  const stamps: Stamp[] = []
  withStamps(record, (stamp) => {
    if (stamp !== undefined) stamps.push(stamp)
    return stamp
  })
  return stamps
}

function withStamps(record: MergeRecord, dated: <S extends Stamp | undefined>(stamp: S) => S): MergeRecord {
  switch (record.kind) {
    case 'host': {
      const { reset, white, trap, hand } = record.registers
      const registers = { ...record.registers, reset: dated(reset) }
      if (white !== undefined)
        registers.white = { ...white, grant: dated(white.grant), stamp: dated(white.stamp) }
      if (trap !== undefined) registers.trap = { ...trap, stamp: dated(trap.stamp) }
      if (hand !== undefined) registers.hand = { ...hand, stamp: dated(hand.stamp) }
      return { ...record, registers }
    }
    case 'tuple': {
      const { state } = record
      return state.epoch === undefined
        ? record
        : { ...record, state: { ...state, epoch: dated(state.epoch) } }
    }
    case 'spamtrap':
    case 'release':
      return { ...record, stamp: dated(record.stamp) }
    case 'pool':
      return { ...record, reset: dated(record.reset) }
  }
}
