/** Every check of doctor: silent on healthy gateways of all systems, and told for each thing that is broken. */
import { appendFileSync, chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Level } from '../../../../src/app/doctor/finding.js'
import { addExceptions } from '../../../support/doctor-exceptions.js'
import { type DoctorScene, healthyScene } from '../../../support/doctor-scene.js'
import { TEST_NOW, temporaryFolder } from '../../../support/program-run.js'
import { BROKEN_GATEWAYS } from './broken-gateways.js'

const parent = temporaryFolder('doctor')
const SYSTEMS = ['openbsd', 'freebsd', 'pfsense', 'linux'] as const

test.for(SYSTEMS)('a healthy gateway has no warning and no error: %s', async (system) => {
  const scene = await healthyScene(system, parent)
  const report = await scene.run()
  expect(report.findings.filter(({ level }) => level === 'warning' || level === 'error')).toEqual([])
  expect(report.counts.ok).toBeGreaterThan(20)
})

test.for(['openbsd', 'linux'] as const)('exceptions that are in order are no warning: %s', async (system) => {
  const scene = await healthyScene(system, parent)
  await addExceptions(scene)
  const { findings } = await scene.run()
  expect(findings.filter(({ level }) => level === 'warning' || level === 'error')).toEqual([])
  const told = findings
    .filter(({ id }) => /^(?:(?:nft|pf)\.)?allow/.test(id))
    .map(({ id, message }) => `${id}: ${message}`)
  expect(told).toEqual([
    system === 'linux'
      ? 'nft.allow: exceptions of spamdctl allow reach the mail server'
      : 'pf.allow: hosts in <spamd-allow> reach the mail server',
    'allow: 1 exception, oldest DNS answer 1h old',
    'allow.filled: table spamd-allow holds all 2 networks',
    `allow.schedule: ${system === 'linux' ? 'a systemd timer' : 'cron'} runs spamdctl allow sync; the oldest answer is 1h old`,
  ])
})

test('what is in order is named', async () => {
  const { findings } = await (await healthyScene('linux', parent)).run()
  const told = findings.filter(({ level }) => level === 'ok').map(({ id, message }) => `${id}: ${message}`)
  expect(told).toEqual(
    expect.arrayContaining([
      'spamd: spamd listens on 0.0.0.0 port 8025, :: port 8025',
      'failover: keepalived shares an address with another gateway',
    ]),
  )
})

test('rules that log every port log mail as well', async () => {
  const scene = await healthyScene('linux', parent)
  const port = /\{"match": [^[\]]*?"right": 25\}\}, (?=\{"match": \{"op": "in", "left": \{"ct")/g
  scene.probe.edit('nft -j -t list ruleset', port, '')
  const { findings } = await scene.run()
  expect(findings.filter(({ id }) => id === 'nft.log').map(({ level }) => level)).toEqual(['ok'])
})

describe('what is broken is told', () => {
  test.for(BROKEN_GATEWAYS)('$system: $name', async ({ system, break: breakIt, finding }) => {
    const scene = await healthyScene(system, parent)
    await breakIt(scene)
    const report = await scene.run()
    const found = report.findings.filter(({ id, level }) => id === finding.id && level === finding.level)
    expect(found.map(({ message }) => message)).toContainEqual(expect.stringContaining(finding.message))
    const { fix } = found.find(({ message }) => message.includes(finding.message))!
    if (finding.fix === undefined) expect(fix).toBeUndefined()
    else expect(fix).toContain(finding.fix)
  })
})

test('the document of operations shows what doctor prints', () => {
  const document = readFileSync(join(import.meta.dirname, '../../../../docs/operations.md'), 'utf8')
  const rows = BROKEN_GATEWAYS.filter(({ isDocumented }) => isDocumented === true)
  expect(rows.length).toBeGreaterThanOrEqual(15)
  for (const { finding } of rows) {
    expect(document).toContain(`${finding.level} ${finding.id}: ${finding.message}`)
  }
})

describe('only errors change the exit code', () => {
  const levels = async (breakIt: (scene: DoctorScene) => void): Promise<Record<Level, number>> => {
    const scene = await healthyScene('linux', parent)
    breakIt(scene)
    return (await scene.run()).counts
  }

  test('a warning alone is counted apart', async () => {
    const counts = await levels(({ settings }) => chmodSync(settings.db, 0o644))
    expect(counts).toMatchObject({ warning: 1, error: 0 })
  })
})

describe('without rights', () => {
  test('doctor does what it can and says what it could not see', async () => {
    const scene = await healthyScene('openbsd', parent)
    scene.probe.isRoot = false
    for (const command of ['pfctl -s info', 'cat /var/cron/tabs/root']) {
      scene.probe.set(command, `status 1\nstderr ${command.split(' ')[0]}: Permission denied`)
    }
    scene.context.daemon = { kind: 'silent', code: 'ERR_DAEMON_DENIED', reason: 'Permission denied' }
    const report = await scene.run()
    expect(report.counts.error).toBe(0)
    const info = report.findings.filter(({ level }) => level === 'info').map(({ id }) => id)
    expect(info).toEqual(expect.arrayContaining(['pf', 'spamd', 'schedule']))
  })
})

test('a check that fails itself is a finding, and the others go on', async () => {
  const scene = await healthyScene('linux', parent)
  scene.probe.findUser = () => Promise.reject(new Error('the directory does not answer'))
  const report = await scene.run()
  const messages = report.findings.map(({ message }) => message)
  expect(messages).toContain('cannot run these checks: the directory does not answer')
  expect(report.findings.map(({ id }) => id)).toContain('nft.redirect')
})

test('text of a peer or a list server reaches the message as it is, for the renderer to escape', async () => {
  const scene = await healthyScene('linux', parent)
  appendFileSync(scene.settings.conf, 'odd\u001b[31m:\\\n\t:black:\\\n\t:msg="x":\\\n\t:file=/dev/null:\n')
  const report = await scene.run()
  expect(report.findings.some(({ id, message }) => id === 'conf.unused' && message.includes('odd'))).toBe(
    true,
  )
})

test('block lists alone need neither database nor spamlogd nor table of white hosts', async () => {
  const scene = await healthyScene('openbsd', parent)
  scene.status.mode = 'block-lists'
  scene.status.database = undefined
  scene.status.table = undefined
  scene.status.lastScan = undefined
  rmSync(scene.settings.db)
  scene.probe.edit('ps', /^.*spamlogd.*\n/m, '')
  scene.probe.edit('pfctl -vvs Tables', /spamd-white/g, 'spamd')
  scene.probe.edit('pfctl -s rules', /<spamd-white>/g, '<known>')
  const report = await scene.run()
  const bad = report.findings.filter(({ level }) => level === 'error').map(({ id }) => id)
  expect(bad.filter((id) => !id.startsWith('pf.'))).toEqual([])
})

test('a list store of the future clock is no reason to fail', async () => {
  const scene = await healthyScene('linux', parent)
  writeFileSync(
    join(scene.settings.stateDir, 'drop.state'),
    JSON.stringify({ method: 'https', location: 'x', lastSuccessSec: TEST_NOW + 999 }),
  )
  const report = await scene.run()
  expect(report.counts.error).toBe(0)
})
