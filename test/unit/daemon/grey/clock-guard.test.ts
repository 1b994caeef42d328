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
