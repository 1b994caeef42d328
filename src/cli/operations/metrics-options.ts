import type { OptionSpec } from '../getopt.js'
import { PLACE_OPTIONS } from './operation-options.js'

/** Options of `spamdctl metrics`; a test compares them with its manual page. */
export const METRICS_OPTIONS: readonly OptionSpec[] = [
  {
    long: 'textfile',
    value: 'FILE',
    summary: "write to this file, replacing it atomically, for node_exporter's textfile collector",
  },
  ...PLACE_OPTIONS,
]
