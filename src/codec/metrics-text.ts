/**
 * The text format of Prometheus (version 0.0.4): families of samples to text. Pure.
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/
 */

/** Media type of the text. */
export const METRICS_MEDIA_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export interface MetricSample {
  /** Suffix of the family name: `_bucket`, `_sum`, `_count` of histograms and summaries. */
  suffix?: string
  labels?: Readonly<Record<string, string>>
  value: number
}

/** All samples of one name. Names and labels are ours; values of labels may be any text. */
export interface MetricFamily {
  name: string
  type: 'counter' | 'gauge' | 'histogram' | 'summary'
  help: string
  samples: readonly MetricSample[]
}

/** The text of all families, without those that have no sample and without repeated names. */
export function formatMetrics(families: readonly MetricFamily[]): string {
  const seen = new Set<string>()
  let text = ''
  for (const { name, type, help, samples } of families) {
    if (samples.length === 0 || seen.has(name)) continue
    seen.add(name)
    text += `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n`
    for (const { suffix = '', labels, value } of samples) {
      text += `${name}${suffix}${formatLabels(labels)} ${formatValue(value)}\n`
    }
  }
  return text
}

/** A family with one sample, or with none if there is no value. */
export function single(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: number | undefined,
): MetricFamily {
  return { name, type, help, samples: value === undefined ? [] : [{ value }] }
}

/** A family with one sample for each value of a label, without undefined samples and repeated label values. */
export function byLabel(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  label: string,
  values: Iterable<readonly [string, number | undefined]>,
): MetricFamily {
  const samples: MetricSample[] = []
  const seen = new Set<string>()
  for (const [text, value] of values) {
    const shown = escapeLabel(text)
    if (value === undefined || seen.has(shown)) continue
    seen.add(shown)
    samples.push({ labels: { [label]: text }, value })
  }
  return { name, type, help, samples }
}

function formatLabels(labels: Readonly<Record<string, string>> = {}): string {
  const texts = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return texts.length === 0 ? '' : `{${texts.join(',')}}`
}

/** Half of a surrogate pair cannot be written in UTF-8. */
function escapeLabel(value: string): string {
  return value
    .replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd')
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('\n', '\\n')
}

function formatValue(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  if (value === Number.NEGATIVE_INFINITY) return '-Inf'
  return String(value)
}
