import { readFileSync } from 'node:fs'
import { afterEach, expect, test, vi } from 'vitest'
import { startProcess } from '../../../src/platform/run-process.js'
import { PATIENCE } from '../../support/patience.js'
import { skipUnless } from '../../support/skip-unless.js'

afterEach(() => vi.useRealTimers())

/** Of `/proc/PID/stat`: its state and its group. */
const statOf = (pid: number) =>
  readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')

test.skipIf(skipUnless(process.platform === 'linux', 'processes are found in /proc of Linux'))(
  'what left the group of a program and holds its pipes is waited for two seconds',
  async () => {
    const stop = new AbortController()
    const running = await startProcess({
      program: '/bin/sh',
      args: ['-c', 'setsid sleep 600 & echo $!; exec sleep 600'],
      timeoutMs: Infinity,
      signal: stop.signal,
    })
    const stdout = running.stdout[Symbol.asyncIterator]()
    const { value } = await stdout.next()
    const left = Number(Buffer.from(value as Uint8Array).toString())
    try {
      await vi.waitFor(() => expect(Number(statOf(left)[2])).toBe(left), PATIENCE)
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      let hasEnded = false
      const ended = running.ended.finally(() => {
        hasEnded = true
      })
      stop.abort()
      // The program has ended, or is nobody's any more.
      const isGone = (): boolean => {
        try {
          return statOf(running.pid)[0] === 'Z'
        } catch {
          return true
        }
      }
      while (!isGone()) await new Promise((resolve) => setImmediate(resolve))
      vi.advanceTimersByTime(1_999)
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
      expect(hasEnded).toBe(false)
      vi.advanceTimersByTime(1)
      expect(await ended).toMatchObject({ signal: 'SIGKILL', hasTimedOut: false })
      // That its pipe was closed for it is no fault of what it printed.
      expect(await stdout.next()).toMatchObject({ done: true })
      expect(statOf(left)[0]).not.toBe('Z')
    } finally {
      process.kill(left, 'SIGKILL')
    }
  },
)
