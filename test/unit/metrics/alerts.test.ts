/** docs/examples/prometheus and grafana: every rule fires when it should and not otherwise; every metric exists. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { familyNames } from '../../support/metric-names.js'
import { NO_PROMTOOL, runPromtool } from '../../support/promtool.js'

const EXAMPLES = fileURLToPath(new URL('../../../docs/examples/', import.meta.url))
const ALERTS = join(EXAMPLES, 'prometheus/alerts.yml')
const alertsText = readFileSync(ALERTS, 'utf8')
const blocks = alertsText.split(/^ {6}- alert: /m).slice(1)

/** Samples by series, one a minute: `promtool test rules` writes 0x60 for sixty-one zeros, 0+5x60 for rising ones. */
type Series = Record<string, string>

/** For each rule: series with which it fires after eight hours, and others with which it does not. */
const CASES: Record<string, { fires: Series; quiet: Series }> = {
  SpamdDown: {
    fires: { 'up{job="spamd"}': '0x500' },
    quiet: { 'up{job="spamd"}': '1x500', spamd_up: '1x500' },
  },
  SpamdNotReady: { fires: { spamd_ready: '0x500' }, quiet: { spamd_ready: '1x476 0x9' } },
  SpamlogdDown: { fires: { spamlogd_up: '0x500' }, quiet: { spamlogd_up: '1x470 0x4 1x20' } },
  SpamlogdLosesPackets: {
    fires: { spamlogd_packets_lost_total: '0+1x500' },
    quiet: { spamlogd_packets_lost_total: '5x500', spamlogd_packets_total: '0+9x500' },
  },
  SpamdDatabaseFails: { fires: { spamd_store_up: '0x500' }, quiet: { spamd_store_up: '1x500' } },
  SpamdScanLate: {
    fires: { spamd_expiry_lag_seconds: '301x500', spamd_scan_interval_seconds: '60x500' },
    quiet: { spamd_expiry_lag_seconds: '300x500', spamd_scan_interval_seconds: '60x500' },
  },
  SpamdTableFails: {
    fires: { 'spamd_table_failures_total{table="spamd-white"}': '0+1x500' },
    quiet: { 'spamd_table_failures_total{table="spamd-white"}': '7x500' },
  },
  SpamdTableShort: {
    fires: {
      'spamd_firewall_table_entries{table="spamd-white"}': '0x500',
      'spamd_database_entries{kind="WHITE"}': '3x500',
    },
    quiet: {
      'spamd_firewall_table_entries{table="spamd-white"}': '950x500',
      'spamd_firewall_table_entries{table="spamd"}': '0x500',
      'spamd_database_entries{kind="WHITE"}': '1000x500',
    },
  },
  SpamdCrowded: {
    fires: {
      'spamd_smtp_connections{class="black"}': '300x500',
      'spamd_smtp_connections{class="grey"}': '450x500',
      spamd_smtp_connections_limit: '800x500',
    },
    quiet: {
      'spamd_smtp_connections{class="black"}': '300x500',
      'spamd_smtp_connections{class="grey"}': '400x500',
      spamd_smtp_connections_limit: '800x500',
    },
  },
  SpamdTurnsAway: {
    fires: { 'spamd_smtp_connections_refused_total{reason="full"}': '0+9x500' },
    quiet: {
      'spamd_smtp_connections_refused_total{reason="full"}': '90x500',
      'spamd_smtp_connections_refused_total{reason="per_ip"}': '0+9x500',
    },
  },
  SpamdDescriptorsShort: {
    fires: { spamd_smtp_accept_pauses_total: '0+1x500' },
    quiet: { spamd_smtp_accept_pauses_total: '4x500' },
  },
  SpamdAttemptsDropped: {
    fires: { 'spamd_tuples_total{result="dropped"}': '0+1x500' },
    quiet: {
      'spamd_tuples_total{result="dropped"}': '1x500',
      'spamd_tuples_total{result="new"}': '0+9x500',
    },
  },
  SpamdTuplesEvicted: {
    fires: { spamd_tuples_evicted_total: '0+1x500' },
    quiet: { spamd_tuples_evicted_total: '9x500' },
  },
  SpamdNobodyPasses: {
    fires: {
      'spamd_tuples_total{result="new"}': '0+1x500',
      'spamd_tuples_total{result="promoted"}': '5x500',
    },
    quiet: {
      'spamd_tuples_total{result="new"}': '0+1x500',
      'spamd_tuples_total{result="promoted"}': '0+1x500',
    },
  },
  SpamdClockDoubted: {
    fires: { spamd_scan_clock_doubted: '1x500' },
    quiet: { spamd_scan_clock_doubted: '0x500' },
  },
  SpamdListOld: {
    fires: { 'spamd_list_age_seconds{list="drop"}': '260000x500' },
    quiet: { 'spamd_list_age_seconds{list="drop"}': '250000x500' },
  },
  SpamdListNeverReceived: {
    fires: { 'spamd_list_last_success_timestamp_seconds{list="drop"}': '0x500' },
    quiet: { 'spamd_list_last_success_timestamp_seconds{list="drop"}': '1x500' },
  },
  SpamdSyncRefused: {
    fires: { 'spamd_sync_refused_total{reason="signature"}': '0+1x500' },
    quiet: { 'spamd_sync_refused_total{reason="own"}': '0+9x500' },
  },
  SpamdSyncPeerSilent: {
    fires: { spamd_sync_longest_silent_timestamp_seconds: '1000x500' },
    quiet: { spamd_sync_longest_silent_timestamp_seconds: '0+60x500' },
  },
  SpamdSlow: {
    fires: { spamd_event_loop_delay_p99_seconds: '0.6x500' },
    quiet: { spamd_event_loop_delay_p99_seconds: '0.4x500' },
  },
  SpamdMetricsOld: {
    fires: { spamd_metrics_timestamp_seconds: '1000x500' },
    quiet: { spamd_metrics_timestamp_seconds: '0+60x500' },
  },
}

/** A test file of promtool; JSON is YAML. */
function ruleTest(alert: string, series: Series, isFiring: boolean): unknown {
  const withInstance = (name: string): string =>
    name.includes('{') ? name.replace('{', '{instance="gw",') : `${name}{instance="gw"}`
  return {
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: withInstance(name), values })),
    promql_expr_test: [
      {
        expr: `count(ALERTS{alertname="${alert}",alertstate="firing",instance="gw"})`,
        eval_time: '8h',
        exp_samples: isFiring ? [{ labels: '{}', value: 1 }] : [],
      },
    ],
  }
}

test('every rule has a case, a meaning and a command', () => {
  expect(blocks.map((block) => block.split('\n', 1)[0])).toEqual(Object.keys(CASES))
  for (const block of blocks) {
    for (const name of ['summary', 'description', 'command']) {
      expect(block).toMatch(new RegExp(`^ {10}${name}: \\S`, 'm'))
    }
    expect(block).toMatch(/severity: (?:critical|warning) /)
  }
})

describe.skipIf(NO_PROMTOOL !== '')(`promtool${NO_PROMTOOL}`, () => {
  test('accepts the rules and the configuration', () => {
    for (const words of [
      ['check', 'rules', ALERTS],
      ['check', 'config', join(EXAMPLES, 'prometheus/prometheus.yml')],
    ]) {
      expect(runPromtool(words)).toMatchObject({ status: 0 })
    }
  })

  test('sees each rule fire, and not fire', () => {
    const folder = mkdtempSync(join(tmpdir(), 'alert-rules-'))
    try {
      const tests = Object.entries(CASES).flatMap(([alert, { fires, quiet }]) => [
        ruleTest(alert, fires, true),
        ruleTest(alert, quiet, false),
      ])
      const path = join(folder, 'tests.json')
      writeFileSync(path, JSON.stringify({ rule_files: [ALERTS], evaluation_interval: '5m', tests }))
      expect(runPromtool(['test', 'rules', path]).output).toMatch(/^Unit Testing: {2}.*\n {2}SUCCESS\n\s*$/)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }, 120_000)
})

describe('metrics that are asked for', () => {
  const asked = (text: string): string[] => [
    ...new Set(text.match(/\b(?:spamd|spamlogd|process)_[a-z0-9_]+/g)),
  ]

  test('exist, in rules and dashboard', async () => {
    const known = await familyNames()
    const dashboard = JSON.parse(readFileSync(join(EXAMPLES, 'grafana/spamd.json'), 'utf8')) as {
      panels: { title: string; targets: { expr: string }[] }[]
    }
    const expressions = [
      ...blocks.map((block) => block.slice(block.indexOf('expr:'), block.indexOf('annotations:'))),
      ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ]
    for (const expression of expressions) {
      const names = asked(expression)
      expect(expression.includes('up{') || names.length > 0).toBe(true)
      expect(names.filter((name) => !known.has(name))).toEqual([])
    }
    // The check itself: a name that nobody exports is found.
    expect(known.has('spamd_nonsense_total')).toBe(false)
    expect(known.has('spamd_retry_delay_seconds_bucket')).toBe(true)
  })
})
