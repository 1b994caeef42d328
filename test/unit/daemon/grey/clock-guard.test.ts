import { expect, test } from 'vitest'
import { ClockGuard } from '../../../../src/daemon/grey/clock-guard.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { MemoryLogger } from '../../../support/memory-logger.js'

function guarded() {
  const clock = new ManualClock(1000)
  const logger = new MemoryLogger()
  return { clock, logger, guard: new ClockGuard(clock, logger) }
}

test('time that passes, however long, is no step', () => {
  const { clock, logger, guard } = guarded()
  clock.advance(86_400)
  expect(guard.read()).toEqual({ nowSec: 87_400, passedSec: 87_400, mayExpire: true, doubt: undefined })
  expect(logger.lines).toEqual([])
})

test('after a step of an hour forward nothing expires for ten minutes, then the time is believed', () => {
  const { clock, logger, guard } = guarded()
  clock.step(3600)
  expect(guard.read().mayExpire).toBe(false)
  clock.advance(599)
  expect(guard.read().mayExpire).toBe(false)
  clock.advance(1)
  expect(guard.read()).toMatchObject({ nowSec: 5200, passedSec: 5200, mayExpire: true })
  expect(logger.lines.map(({ level, message }) => `${level} ${message}`)).toEqual([
    'warning clock jumped forward by 3600 seconds, nothing expires for 10 minutes',
  ])
})

test('a step forward that is taken back at once expires nothing', () => {
  const { clock, guard } = guarded()
  clock.step(3600)
  expect(guard.read().mayExpire).toBe(false)
  clock.step(-3600)
  expect(guard.read()).toEqual({ nowSec: 1000, passedSec: 4600, mayExpire: true })
})

test('after a step of an hour back what passed before it still counts as passed', () => {
  const { clock, logger, guard } = guarded()
  clock.advance(60)
  guard.read()
  clock.step(-3600)
  expect(guard.read()).toEqual({ nowSec: -2540, passedSec: 1060, mayExpire: true })
  expect(logger.lines.at(-1)?.message).toBe('clock jumped back by 3600 seconds')
})

test('two minutes are no step, one second more is', () => {
  const { clock, guard } = guarded()
  clock.step(120)
  expect(guard.read().mayExpire).toBe(true)
  clock.step(121)
  expect(guard.read().mayExpire).toBe(false)
})

test.each([
  [0, undefined],
  [1000, undefined],
  [1120, undefined],
  [1121, 'the clock is 121 seconds before the newest recorded change'],
  [1000 - 86_400, undefined],
  [1000 - 86_401, 'the newest recorded change is 86401 seconds old'],
])('at a start at second 1000, the newest change is of second %i', (newestSec, doubt) => {
  const { guard } = guarded()
  guard.compareWith(newestSec)
  expect(guard.doubt).toBe(doubt)
  expect(guard.read().doubt).toBe(doubt)
})

test('a doubt ends after an hour, and when the clock is accepted, which is told once', () => {
  const { clock, guard } = guarded()
  guard.compareWith(5000)
  clock.advance(3599)
  expect(guard.read().doubt).toBeDefined()
  clock.advance(1)
  expect([guard.read().doubt, guard.doubt]).toEqual([undefined, undefined])
  clock.step(3600)
  expect(guard.read()).toMatchObject({ mayExpire: false })
  expect([guard.accept(), guard.accept()]).toEqual([true, false])
  expect(guard.read()).toMatchObject({ mayExpire: true, doubt: undefined })
  clock.step(-200)
  expect(guard.read().doubt).toBeUndefined()
  expect(guard.accept()).toBe(false)
})

test('a step back of two minutes is none, one second more is told and ends a doubt', () => {
  const { clock, logger, guard } = guarded()
  guard.compareWith(5000)
  clock.step(-120)
  expect(guard.read().doubt).toBeDefined()
  expect(logger.lines).toEqual([])
  clock.step(-121)
  expect(guard.read().doubt).toBeUndefined()
  expect(logger.lines.map(({ message }) => message)).toEqual(['clock jumped back by 121 seconds'])
})

test('a step forward that is taken back in part is doubted as before, until it is taken back or accepted', () => {
  const { clock, guard } = guarded()
  clock.step(365 * 86_400)
  guard.read()
  clock.advance(300)
  clock.step(-325 * 86_400)
  expect(guard.read()).toMatchObject({
    mayExpire: false,
    doubt: `the clock jumped back by ${325 * 86_400} seconds and is still ${40 * 86_400} seconds ahead`,
  })
  // Held for ten minutes, doubted for an hour from then on.
  clock.advance(599)
  expect(guard.read().mayExpire).toBe(false)
  clock.advance(1)
  expect(guard.read().mayExpire).toBe(true)
  clock.step(-39 * 86_400)
  expect(guard.read()).toMatchObject({ mayExpire: true, doubt: expect.stringContaining('still 86400') })
  clock.step(-86_400 + 120)
  expect(guard.read()).toMatchObject({ mayExpire: true, doubt: undefined })
  clock.step(3600)
  guard.read()
  clock.step(3600)
  guard.read()
  clock.step(-3600)
  expect(guard.read().doubt).toContain('still 3600')
  guard.accept()
  clock.step(-200)
  expect(guard.read().doubt).toBeUndefined()
})

test('a clock that was doubted at the start stays so if it is set back by less', () => {
  const { clock, guard } = guarded()
  guard.compareWith(1000 - 40 * 86_400)
  clock.step(-86_400)
  expect(guard.read()).toMatchObject({ mayExpire: true, doubt: expect.stringContaining('still') })
  clock.step(-38 * 86_400)
  expect(guard.read().doubt).toBeUndefined()
})
