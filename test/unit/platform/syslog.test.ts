/** Lines on their way to syslogd by logger(1), a script here that keeps what it reads. */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LOG_LEVELS } from '../../../src/platform/log.js'
import { openLog } from '../../../src/platform/syslog.js'
import { temporaryFolder } from '../../support/program-run.js'
import { skipUnless } from '../../support/skip-unless.js'
import { waitFor } from '../../support/spamd/wait-for.js'

const parent = temporaryFolder('syslog')
const path = process.env.PATH
let folder = ''
const file = (name: string) => join(folder, name)
const read = (name: string) => (existsSync(file(name)) ? readFileSync(file(name), 'utf8') : '')

/** Puts a logger(1) of this script in front of the system's. */
function install(script: string): void {
  writeFileSync(file('logger'), `#!/bin/sh\necho "$@" >>${file('calls')}\n${script}\n`, { mode: 0o755 })
}

beforeEach(() => {
  folder = mkdtempSync(join(parent, 'run-'))
  process.env.PATH = `${folder}:${path}`
})
afterEach(() => {
  process.env.PATH = path
})

const open = (more: Partial<Parameters<typeof openLog>[0]> = {}) =>
  openLog({ program: 'spamd', format: 'classic', toStderr: false, ...more }, {})
const isElsewhere = skipUnless(process.platform === 'linux', 'needs Linux: logger(1) with --prio-prefix')

describe.skipIf(isElsewhere)('syslog', () => {
  test('one logger has all lines, each with facility daemon and its level', async () => {
    install(`exec cat >>${file('lines')}`)
    const log = open()
    for (const level of LOG_LEVELS) log.log(level, `of ${level}`)
    await log.flush()
    expect(read('lines')).toBe('<27>of err\n<28>of warning\n<29>of notice\n<30>of info\n<31>of debug\n')
    expect(read('calls')).toBe(`--tag spamd[${process.pid}] --prio-prefix --size 8192\n`)
  })

  test('lines beyond the threshold are not written', async () => {
    install(`exec cat >>${file('lines')}`)
    const log = open({ threshold: 'notice' })
    for (const level of LOG_LEVELS) log.log(level, `of ${level}`)
    await log.flush()
    expect(read('lines')).toBe('<27>of err\n<28>of warning\n<29>of notice\n')
  })

  test('as JSON a line is an object with its fields', async () => {
    install(`exec cat >>${file('lines')}`)
    const log = open({ format: 'json' })
    log.log('info', 'text', { event: 'connected', ip: '192.0.2.1' })
    await log.flush()
    const [, object] = /^<30>(.*)\n$/.exec(read('lines'))!
    expect(JSON.parse(object!)).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) as string,
      program: 'spamd',
      pid: process.pid,
      level: 'info',
      message: 'text',
      event: 'connected',
      ip: '192.0.2.1',
    })
  })

  test('one that died is started again with the next line', async () => {
    install(`read line; echo "$line" >>${file('lines')}`)
    const log = open()
    log.log('info', 'one')
    await waitFor(
      () => {
        if (read('lines') === '<30>one\n') log.log('info', 'two')
        return read('calls').split('\n').length > 2
      },
      () => 'a second logger',
    )
    await waitFor(
      () => read('lines').includes('<30>two\n'),
      () => read('lines'),
    )
    await log.flush()
  })

  test('one that stops reading costs lines beyond four megabytes, and their number is told', async () => {
    install(`while [ ! -e ${file('go')} ]; do sleep 0.05; done; exec cat >>${file('lines')}`)
    const log = open()
    const line = 'x'.repeat(1024 * 1024 - 5)
    for (let count = 0; count < 5; count += 1) log.log('info', line)
    for (let count = 0; count < 3; count += 1) log.log('info', 'lost')
    writeFileSync(file('go'), '')
    await waitFor(
      () => read('lines').length >= 5 * 1024 * 1024,
      () => `${read('lines').length} bytes`,
    )
    log.log('info', 'after')
    await log.flush()
    const written = read('lines').split('\n')
    expect(written.filter((text) => text === `<30>${line}`)).toHaveLength(5)
    expect(written.slice(5)).toEqual([
      '<28>3 log lines dropped: syslog did not accept them in time',
      '<30>after',
      '',
    ])
  })
})
