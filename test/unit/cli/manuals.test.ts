import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  ALLOW_ADD_OPTIONS,
  ALLOW_LIST_OPTIONS,
  ALLOW_REMOVE_OPTIONS,
  ALLOW_SYNC_OPTIONS,
} from '../../../src/cli/allow/allow-options.js'
import {
  DATABASE_OPTIONS,
  EXPORT_OPTIONS,
  IMPORT_OPTIONS,
} from '../../../src/cli/database/database-commands.js'
import type { OptionSpec } from '../../../src/cli/getopt.js'
import { LOSING_OPTIONS } from '../../../src/cli/losing/losing-options.js'
import { LOG_OPTIONS, UNDO_OPTIONS } from '../../../src/cli/operations/history-commands.js'
import { METRICS_OPTIONS } from '../../../src/cli/operations/metrics-options.js'
import { PLACE_OPTIONS } from '../../../src/cli/operations/operation-options.js'
import { STATS_OPTIONS } from '../../../src/cli/operations/stats-commands.js'
import {
  RELEASE_CANCEL_OPTIONS,
  RELEASE_LIST_OPTIONS,
  RELEASE_OPTIONS,
} from '../../../src/cli/release/release-options.js'
import { SPAMDB_OPTIONS, SPAMDB_USAGE } from '../../../src/cli/spamdb/spamdb-options.js'
import { SETTING_TABLE } from '../../../src/platform/settings.js'

const manual = (name: string): string =>
  readFileSync(join(import.meta.dirname, '../../../docs/man', name), 'utf8')

test.each<[string, string, readonly OptionSpec[]]>([
  ['spamdb', 'spamdb.8', SPAMDB_OPTIONS],
  ['spamdctl import', 'spamdctl.8', IMPORT_OPTIONS],
  ['spamdctl export', 'spamdctl.8', EXPORT_OPTIONS],
  ['spamdctl doctor, status and why', 'spamdctl.8', PLACE_OPTIONS.filter(({ long }) => long !== 'help')],
  ['spamdctl log', 'spamdctl.8', LOG_OPTIONS.filter(({ long }) => long !== 'help')],
  ['spamdctl undo', 'spamdctl.8', UNDO_OPTIONS.filter(({ long }) => long !== 'help')],
  [
    'spamdctl allow add, list, remove and sync',
    'spamdctl.8',
    [...ALLOW_ADD_OPTIONS, ...ALLOW_LIST_OPTIONS, ...ALLOW_REMOVE_OPTIONS, ...ALLOW_SYNC_OPTIONS].filter(
      ({ long }) => long !== 'help',
    ),
  ],
  ['spamdctl losing', 'spamdctl.8', LOSING_OPTIONS.filter(({ long }) => long !== 'help')],
  [
    'spamdctl release, release list and release cancel',
    'spamdctl.8',
    [...RELEASE_OPTIONS, ...RELEASE_LIST_OPTIONS, ...RELEASE_CANCEL_OPTIONS].filter(
      ({ long }) => long !== 'help',
    ),
  ],
  ['spamdctl stats', 'spamdctl.8', STATS_OPTIONS.filter(({ long }) => long !== 'help')],
  ['spamdctl metrics', 'spamdctl.8', METRICS_OPTIONS.filter(({ long }) => long !== 'help')],
  ['spamdctl backup, check-db and init-db', 'spamdctl.8', DATABASE_OPTIONS],
])('every option of %s is in its manual page', (_program, page, options) => {
  const text = manual(page)
  for (const { long, short } of options) {
    if (long !== undefined) expect(text).toMatch(new RegExp(`Fl -${long}\\b`))
    if (short !== undefined) expect(text).toMatch(new RegExp(`^\\.It Fl ${short}\\b`, 'm'))
  }
})

test('the usage line shows the letters of the original', () => {
  expect(SPAMDB_USAGE).toBe('usage: spamdb [-adGTt] [keys ...]')
})

test('the settings table of spamdctl(8) is that of the programs', () => {
  const text = manual('spamdctl.8')
  for (const { variable, defaults } of Object.values(SETTING_TABLE)) {
    expect(text).toMatch(new RegExp(`^\\.It Ev ${variable} Ta ${defaults.linux} Ta `, 'm'))
  }
})
