import { describe, expect, test } from 'vitest'
import { CheckBudget } from '../../../../src/daemon/checks/check-budget.js'
import { ManualClock } from '../../../support/manual-clock.js'

const taken = (budget: CheckBudget, ip: string, tries: number): number =>
  Array.from({ length: tries }, () => budget.take(ip)).filter(Boolean).length

describe('the budget of checks', () => {
  const open = (): { budget: CheckBudget; clock: ManualClock } => {
    const clock = new ManualClock()
    const allowances = { overall: { burst: 10, perSec: 2 }, perClient: { burst: 4, perSec: 0.5 } }
    return { clock, budget: new CheckBudget(clock, allowances) }
  }

  test.each([
    ['192.0.2.1', '192.0.2.200', '192.0.3.1'],
    ['2001:db8::1', '2001:db8::ffff:1', '2001:db8:0:1::1'],
  ])('%s shares with %s, and not with %s', (one, neighbour, other) => {
    const { budget } = open()
    expect(taken(budget, one, 3)).toBe(3)
    expect(taken(budget, neighbour, 3)).toBe(1)
    expect(taken(budget, other, 5)).toBe(4)
  })

  test('all together have a budget, too, and who is refused uses none of it', () => {
    const { budget, clock } = open()
    expect(taken(budget, '192.0.2.1', 100)).toBe(4)
    expect(taken(budget, '192.0.3.1', 100)).toBe(4)
    expect(taken(budget, '192.0.4.1', 100)).toBe(2)
    expect(taken(budget, '192.0.5.1', 100)).toBe(0)
    clock.advance(1)
    expect(taken(budget, '192.0.5.1', 100)).toBe(2)
  })

  test('fills again with time, up to the burst', () => {
    const { budget, clock } = open()
    taken(budget, '192.0.2.1', 4)
    clock.advance(2)
    expect(taken(budget, '192.0.2.1', 4)).toBe(1)
    clock.advance(3600)
    expect(taken(budget, '192.0.2.1', 100)).toBe(4)
  })
})
