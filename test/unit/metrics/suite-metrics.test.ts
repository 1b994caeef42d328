/** `spamdctl metrics`: what can be seen from outside, and the file for node_exporter. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { askForMetrics, suiteMetrics } from '../../../src/app/metrics/suite-metrics.js'
import { readStatus } from '../../../src/app/status.js'
import { writeTrustedFile } from '../../../src/app/write-trusted-file.js'
import { formatMetrics, single } from '../../../src/codec/metrics-text.js'
import { type DoctorScene, healthyScene } from '../../support/doctor-scene.js'
import { temporaryFolder } from '../../support/program-run.js'
import { NO_PROMTOOL, runPromtool } from '../../support/promtool.js'

const parent = temporaryFolder('suite-metrics')

/** The text for a scene whose spamd answers both requests on a real socket. */
async function textOf(scene: DoctorScene): Promise<string> {
  const server = createServer((socket) => {
    socket.once('data', (line: Buffer) => {
      const { request } = JSON.parse(line.toString()) as { request: string }
      const result =
        request === 'metrics' ? [single('spamd_ready', 'gauge', 'Of the daemon.', 1)] : scene.status
      socket.end(`${JSON.stringify({ ok: true, result })}\n`)
    })
  })
  await new Promise<void>((resolve) => server.listen(scene.settings.controlSocket, resolve))
  try {
    const status = await readStatus(scene.probe, scene.settings)
    return formatMetrics([...(await askForMetrics(scene.settings.controlSocket)), ...suiteMetrics(status)])
  } finally {
    server.close()
  }
}

test('a healthy gateway: daemon, log watcher, database, tables and the age of each list', async () => {
  const text = await textOf(await healthyScene('linux', parent))
  for (const line of [
    'spamd_ready 1',
    'spamd_up 1',
    'spamlogd_up 1',
    'spamd_database_readable 1',
    'spamd_database_entries{kind="WHITE"} 3',
    'spamd_firewall_table_entries{table="spamd-white"} 3',
    'spamd_troubles{level="critical"} 0',
    'spamd_list_entries{list="drop"} 1',
    'spamd_list_age_seconds{list="drop"} 600',
    'spamd_list_failed{list="drop"} 0',
  ]) {
    expect(text.split('\n')).toContain(line)
  }
  // What is written by hand has no age.
  expect(text).not.toMatch(/age_seconds\{list="own"\}/)
})

test('nothing runs: still metrics, which say so', async () => {
  const scene = await healthyScene('linux', parent)
  scene.probe.edit('ps', /^.*spam.*\n/gm, '')
  rmSync(scene.settings.db)
  const status = await readStatus(scene.probe, scene.settings)
  const text = formatMetrics([
    ...(await askForMetrics(scene.settings.controlSocket)),
    ...suiteMetrics(status),
  ])
  for (const line of ['spamd_up 0', 'spamlogd_up 0', 'spamd_database_readable 0']) {
    expect(text.split('\n')).toContain(line)
  }
  expect(text).not.toContain('spamd_database_size_bytes')
})

test.skipIf(NO_PROMTOOL !== '')(`promtool finds nothing${NO_PROMTOOL}`, async () => {
  const text = await textOf(await healthyScene('openbsd', parent))
  expect(runPromtool(['check', 'metrics'], text)).toEqual({ status: 0, output: '' })
})

test('the file is replaced whole, and a folder that cannot be written is told', async () => {
  const folder = join(parent, 'textfiles')
  mkdirSync(folder, { mode: 0o755 })
  const path = join(folder, 'spamd.prom')
  await writeTrustedFile(path, 'a 1\n', 'ERR_METRICS_WRITE')
  await writeTrustedFile(path, 'a 2\n', 'ERR_METRICS_WRITE')
  expect(readFileSync(path, 'latin1')).toBe('a 2\n')
  expect(statSync(path).mode & 0o777).toBe(0o644)
  expect(readdirSync(folder)).toEqual(['spamd.prom'])
  await expect(
    writeTrustedFile(join(folder, 'no', 'spamd.prom'), '', 'ERR_METRICS_WRITE'),
  ).rejects.toMatchObject({
    code: 'ERR_METRICS_WRITE',
    message: `cannot write ${join(folder, 'no', 'spamd.prom')}: No such file or directory`,
  })
})

const isRoot = process.getuid?.() === 0
const notRoot = isRoot ? '' : ' (skipped: not root)'
test.skipIf(!isRoot)(`root writes in no folder that others can write${notRoot}`, async () => {
  const folder = join(parent, 'open')
  mkdirSync(folder)
  chmodSync(folder, 0o777)
  await expect(writeTrustedFile(join(folder, 'spamd.prom'), '', 'ERR_METRICS_WRITE')).rejects.toMatchObject({
    message: expect.stringContaining('can be written by every user') as string,
    hint: expect.stringContaining('run this as the owner of') as string,
  })
  expect(readdirSync(folder)).toEqual([])
})
