import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { runProcess, startProcess } from '../../../src/platform/run-process.js'
import { temporaryFolder } from '../../support/program-run.js'

const parent = temporaryFolder('run-process')

const sh = (script: string) => ({
  program: '/bin/sh',
  args: ['-c', script],
  timeoutMs: 20_000,
  maxStdoutBytes: 1e6,
})

afterEach(() => {
  vi.restoreAllMocks()
})

describe('runProcess', () => {
  test('collects stdout, the exit status and the tail of stderr', async () => {
    const result = await runProcess(sh('echo out; echo err >&2; exit 3'))
    expect(result).toMatchObject({ exitCode: 3, signal: null, hasTimedOut: false, stderrTail: 'err\n' })
    expect(result.stdout.toString()).toBe('out\n')
  })

  test('keeps only the last 8 KiB of stderr', async () => {
    const result = await runProcess(sh('i=0; while [ $i -lt 2000 ]; do echo "line $i" >&2; i=$((i+1)); done'))
    expect(result.stderrTail.length).toBe(8192)
    expect(result.stderrTail.endsWith('line 1999\n')).toBe(true)
  })

  test('feeds stdin from chunks larger than the pipe', async () => {
    const chunks = Array.from({ length: 40 }, () => Buffer.alloc(65_536, 'x'))
    const result = await runProcess({ ...sh('wc -c'), stdin: chunks })
    expect(result.stdout.toString().trim()).toBe(String(40 * 65_536))
  })

  test('a program that does not read its input ends with its own status', async () => {
    const result = await runProcess({
      ...sh('exec <&-; exit 7'),
      stdin: Array.from({ length: 64 }, () => Buffer.alloc(65_536)),
    })
    expect(result.exitCode).toBe(7)
  })

  test('is killed before its pipe closes when the source of its input fails', async () => {
    const marker = join(mkdtempSync(join(parent, 'run-process-')), 'got-end-of-input')
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('10.0.0.1\n')
      throw new Error('the list broke off')
    }
    await expect(runProcess({ ...sh(`cat >/dev/null; touch ${marker}`), stdin: failing() })).rejects.toThrow(
      'the list broke off',
    )
    expect(existsSync(marker)).toBe(false)
  })

  test('ends a program that overruns its time-out', async () => {
    const result = await runProcess({ ...sh('exec sleep 600'), timeoutMs: 50 })
    expect(result).toMatchObject({ exitCode: null, signal: 'SIGTERM', hasTimedOut: true })
  })

  test('and kills one that does not mind being asked to end', async () => {
    const result = await runProcess({ ...sh('trap "" TERM; while :; do sleep 1; done'), timeoutMs: 100 })
    expect(result).toMatchObject({ hasTimedOut: true, exitCode: null, signal: 'SIGKILL' })
  })

  test('names a missing program', async () => {
    await expect(runProcess({ ...sh(''), program: '/nonexistent/pfctl' })).rejects.toMatchObject({
      code: 'ERR_PROCESS_MISSING',
      message: 'cannot run /nonexistent/pfctl: No such file or directory',
    })
  })

  test('stops a program that prints more than allowed', async () => {
    await expect(runProcess({ ...sh('yes'), maxStdoutBytes: 100_000 })).rejects.toMatchObject({
      code: 'ERR_PROCESS_OUTPUT',
    })
  })

  test('gives the program an open file, whole', async () => {
    const path = join(mkdtempSync(join(parent, 'run-process-')), 'list')
    writeFileSync(path, 'x'.repeat(300_000))
    const fd = openSync(path, 'r')
    const result = await runProcess({ ...sh('wc -c'), stdin: { fd } })
    closeSync(fd)
    expect(result.stdout.toString().trim()).toBe('300000')
  })

  test('a time-out also ends what the program started', async () => {
    const result = await runProcess({ ...sh('sleep 600 & sleep 600'), timeoutMs: 50 })
    expect(result).toMatchObject({ hasTimedOut: true })
  })

  test('aborting kills it', async () => {
    const abort = new AbortController()
    const promise = runProcess({ ...sh('exec sleep 600'), signal: abort.signal })
    abort.abort()
    expect((await promise).signal).toBe('SIGKILL')
  })
})

test('leaving the stdout loop early kills the program', async () => {
  const folder = mkdtempSync(join(parent, 'run-process-'))
  const running = await startProcess(sh(`echo $$ > ${folder}/pid; exec yes`))
  for await (const chunk of running.stdout) {
    expect(chunk.length).toBeGreaterThan(0)
    break
  }
  expect((await running.ended).signal).toBe('SIGKILL')
  expect(readFileSync(`${folder}/pid`, 'utf8').trim()).toBe(String(running.pid))
})

test('the program is killed before its pipe is closed: it does not end by itself first', async () => {
  const order: string[] = []
  const { kill } = process
  vi.spyOn(process, 'kill').mockImplementation((...parameters) => {
    order.push('kill')
    return kill.apply(process, parameters)
  })
  const { destroy } = Socket.prototype
  vi.spyOn(Socket.prototype, 'destroy').mockImplementation(function (this: Socket, error) {
    // Its input is closed before: it is not given any.
    if (this.readable) order.push('close')
    return destroy.call(this, error)
  })
  const running = await startProcess(sh('exec yes'))
  for await (const _ of running.stdout) break
  await running.ended
  expect(order.slice(0, 2)).toEqual(['kill', 'close'])
})
