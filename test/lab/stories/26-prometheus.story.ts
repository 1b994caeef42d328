/**
 * Story 26: Prometheus and its node_exporter from Debian look at a live gateway with the shipped alert rules. While all is
 * well no alert is raised; when spamlogd is stopped the alert for it fires, and ends when it runs again.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Gateway } from '../support/gateway.js'
import { CHECKOUT, whyNoLab } from '../support/machine.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('prometheus', 'prometheus-node-exporter')
const EXAMPLES = join(CHECKOUT, 'docs/examples/prometheus')
const TEXT_FOLDER = '/var/lib/spamd-metrics'

interface Alert {
  labels: { alertname: string }
  state: string
}

describe.skipIf(skipReason !== undefined)('story 26: Prometheus watches a gateway', () => {
  const gateway = new Gateway(
    { packages: ['prometheus', 'prometheus-node-exporter'], spamd: ['--metrics', '127.0.0.1:9112'] },
    'watched',
  )
  const { machine } = gateway

  /** What Prometheus answers to a question of its HTTP interface. */
  async function ask<T>(path: string): Promise<T> {
    const script = `fetch(process.argv[1]).then(async (r) => console.log(await r.text()))`
    const text = await machine.run('node', '-e', script, `http://127.0.0.1:9090/api/v1/${path}`)
    return (JSON.parse(text) as { data: T }).data
  }

  async function value(query: string): Promise<number | undefined> {
    const { result } = await ask<{ result: { value: [number, string] }[] }>(
      `query?query=${encodeURIComponent(query)}`,
    )
    return result[0] === undefined ? undefined : Number(result[0].value[1])
  }

  /** Gathers the metrics as the cron job of docs/operations.md does, and asks for the alerts. */
  async function alerts(): Promise<Alert[]> {
    await machine.run('spamdctl', 'metrics', '--textfile', `${TEXT_FOLDER}/spamd.prom`)
    return (await ask<{ alerts: Alert[] }>('alerts')).alerts
  }

  async function loadedRules(): Promise<{ name: string; health: string }[]> {
    const { groups } = await ask<{ groups: { rules: { name: string; health: string }[] }[] }>('rules')
    return groups.flatMap((group) => group.rules)
  }

  async function state(name: string): Promise<string> {
    return (await alerts()).find(({ labels }) => labels.alertname === name)?.state ?? 'inactive'
  }

  beforeAll(async () => {
    await machine.create()
    await machine.boot()
    await gateway.install()
    await gateway.start()
    const shipped = readFileSync(join(EXAMPLES, 'prometheus.yml'), 'utf8')
    // The shipped configuration, at the pace of a test and with the second way of operations.md beside it.
    await machine.write(
      '/etc/prometheus-lab/prometheus.yml',
      `global:\n  evaluation_interval: 1s\n${shipped
        .replaceAll('192.0.2.1:9112', '127.0.0.1:9112')
        .replace('scrape_interval: 60s', 'scrape_interval: 1s')}  - job_name: node
    scrape_interval: 1s
    static_configs:
      - targets: ["127.0.0.1:9100"]
`,
    )
    const rules = readFileSync(join(EXAMPLES, 'alerts.yml'), 'utf8')
    await machine.write('/etc/prometheus-lab/alerts.yml', rules.replace(/\bfor: \d+[mh]$/gm, 'for: 3s'))
    await machine.run('install', '-d', '-m', '0755', TEXT_FOLDER)
    // The file is there before node_exporter looks for it.
    await machine.run('spamdctl', 'metrics', '--textfile', `${TEXT_FOLDER}/spamd.prom`)
    machine.spawn(
      'prometheus-node-exporter',
      '--web.listen-address=127.0.0.1:9100',
      '--collector.disable-defaults',
      '--collector.textfile',
      `--collector.textfile.directory=${TEXT_FOLDER}`,
    )
    machine.spawn(
      'prometheus',
      '--config.file=/etc/prometheus-lab/prometheus.yml',
      '--storage.tsdb.path=/var/lib/prometheus-lab',
      '--web.listen-address=127.0.0.1:9090',
    )
    let seen = ''
    await until(
      async () => {
        const { activeTargets } = await ask<{ activeTargets: object[] }>('targets').catch(() => ({
          activeTargets: [],
        }))
        seen = JSON.stringify(activeTargets)
        return activeTargets.length === 2 && !/"health":"(?!up)/.test(seen)
      },
      () => `both targets: ${seen}`,
    )
  })
  afterAll(() => machine.remove())

  test('every rule is loaded and can be evaluated', async () => {
    const rules = await loadedRules()
    const named = [...readFileSync(join(EXAMPLES, 'alerts.yml'), 'utf8').matchAll(/- alert: (\S+)/g)]
    expect(rules.map(({ name }) => name).sort()).toEqual(named.map(([, name]) => name).sort())
    await until(
      async () => (await loadedRules()).every(({ health }) => health === 'ok'),
      () => 'healthy rules',
    )
  })

  test('what is scraped is what runs', async () => {
    expect(await value('spamd_ready')).toBe(1)
    expect(await value('spamd_build_info')).toBe(1)
    await until(
      async () => (await value('spamlogd_up')) === 1,
      () => 'spamlogd_up by node_exporter',
    )
    expect(await value('count({__name__=~"spamd_.+"})')).toBeGreaterThan(40)
  })

  test('the alert for spamlogd fires when it is stopped, and ends when it runs again', async () => {
    expect(await state('SpamlogdDown')).toBe('inactive')
    await machine.run('systemctl', 'stop', 'spamlogd.service')
    await until(
      async () => (await state('SpamlogdDown')) === 'firing',
      () => 'the alert for spamlogd',
      120_000,
    )
    const firing = (await alerts()).filter(({ state: now }) => now === 'firing')
    expect(firing.map(({ labels }) => labels.alertname)).toEqual(['SpamlogdDown'])
    await machine.run('systemctl', 'start', 'spamlogd.service')
    await until(
      async () => (await state('SpamlogdDown')) === 'inactive',
      () => 'the end of the alert',
      120_000,
    )
  })
})
