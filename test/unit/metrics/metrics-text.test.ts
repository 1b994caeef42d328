/** The text format of Prometheus, whatever the values are. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { byLabel, formatMetrics, single } from '../../../src/codec/metrics-text.js'
import { Histogram } from '../../../src/daemon/histogram.js'
import { NO_PROMTOOL, runPromtool } from '../../support/promtool.js'

test('families, samples and their order', () => {
  const families = [
    single('spamd_a_total', 'counter', 'First\nline \\ backslash.', 3),
    single('spamd_none', 'gauge', 'Nothing known.', undefined),
    byLabel('spamd_b', 'gauge', 'By kind.', 'kind', [
      ['GREY', 0.5],
      ['WHITE', undefined],
      ['GREY', 7],
    ]),
    single('spamd_a_total', 'counter', 'Once more.', 4),
  ]
  expect(formatMetrics(families)).toBe(
    [
      '# HELP spamd_a_total First\\nline \\\\ backslash.',
      '# TYPE spamd_a_total counter',
      'spamd_a_total 3',
      '# HELP spamd_b By kind.',
      '# TYPE spamd_b gauge',
      'spamd_b{kind="GREY"} 0.5',
      '',
    ].join('\n'),
  )
})

test('a histogram counts up to each bound, the bound included', () => {
  const histogram = new Histogram([60, 300])
  for (const seconds of [1, 60, 61, 300, 301]) histogram.add(seconds)
  expect(formatMetrics([histogram.family('spamd_h_seconds', 'H.')])).toBe(
    [
      '# HELP spamd_h_seconds H.',
      '# TYPE spamd_h_seconds histogram',
      'spamd_h_seconds_bucket{le="60"} 2',
      'spamd_h_seconds_bucket{le="300"} 4',
      'spamd_h_seconds_bucket{le="+Inf"} 5',
      'spamd_h_seconds_sum 723',
      'spamd_h_seconds_count 5',
      '',
    ].join('\n'),
  )
})

describe('any label', () => {
  test('stays one line that gives the label back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (label) => {
        const text = formatMetrics([byLabel('m', 'gauge', 'H.', 'list', [[label, 1]])])
        const lines = text.split('\n')
        expect(lines).toHaveLength(4)
        const quoted = /^m\{list="(.*)"\} 1$/s.exec(lines[2]!)![1]!
        expect(quoted.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c))).toBe(
          Buffer.from(label).toString(),
        )
      }),
    )
  })

  test.skipIf(NO_PROMTOOL !== '')(`passes promtool${NO_PROMTOOL}`, () => {
    const labels = ['"', '\\', '\n', 'ü', '\ud800', '\u0000', '\u2028', '}', '# HELP x'].map(
      (label, index): [string, number] => [label, index],
    )
    const text = formatMetrics([byLabel('spamd_list_entries', 'gauge', 'H.', 'list', labels)])
    expect(runPromtool(['check', 'metrics'], text)).toEqual({ status: 0, output: '' })
  })
})
