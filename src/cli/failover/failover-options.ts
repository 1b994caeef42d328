import type { OptionSpec } from '../getopt.js'

/** Options of `spamdctl failover plan`. */
export const FAILOVER_PLAN_OPTIONS: readonly OptionSpec[] = [
  { long: 'node', value: 'NAME', summary: 'plan only this node, as if run on it' },
  { long: 'root', value: 'DIR', summary: 'compare with the files below DIR instead of /' },
  { long: 'show-passphrase', summary: 'show the CARP passphrase in the printed files' },
  { long: 'json', summary: 'print one JSON object with the text of every file' },
]
