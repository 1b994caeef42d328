import type { OptionSpec } from '../getopt.js'
import { PLACE_OPTIONS } from './operation-options.js'

/** Options of `spamdctl metrics`; a test compares them with its manual page. */
export const METRICS_OPTIONS: readonly OptionSpec[] = [
  {
    long: 'textfile',
    value: 'FILE',
    summary: 'replace this file whole, for the textfile collector of node_exporter',
  },
  ...PLACE_OPTIONS,
]
