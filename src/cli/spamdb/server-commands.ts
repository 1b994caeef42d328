/** What `spamdctl init-db` does for a database on a server. */
import { initServerDatabase } from '../../app/database/open-database.js'
import { escapeControl } from '../../codec/escape.js'
import { AppError } from '../../platform/app-error.js'
import type { OptionValues } from '../base-command.js'
import { EXIT } from '../report-error.js'
import type { SpamdbParts } from './spamdb-main.js'

const MAX_PARTITIONS = 1024

/** Makes the tables or brings them up to date, and prints what each gateway is to be granted. */
export async function runInitServer(
  location: string,
  options: OptionValues,
  parts: SpamdbParts,
): Promise<number> {
  if (options.has('mode')) {
    throw new AppError('ERR_USAGE', '--mode goes with a database in a file')
  }
  const { isChanged, version, grants } = await initServerDatabase(
    location,
    partitionsOf(options.last('partitions')),
  )
  const lines = [
    `${escapeControl(location)}: ${isChanged ? 'tables made' : 'is there already'} (version ${version})`,
    'grant each role of the server what it needs:',
    ...grants.map((grant) => `  ${grant}`),
  ]
  const report = JSON.stringify({ location, created: isChanged, version, grants })
  parts.writeOut(Buffer.from(options.has('json') ? `${report}\n` : `${lines.join('\n')}\n`))
  return EXIT.ok
}

function partitionsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const count = Number(text)
  if (!/^[0-9]+$/.test(text) || count < 1 || count > MAX_PARTITIONS) {
    throw new AppError(
      'ERR_USAGE',
      `--partitions: "${escapeControl(text)}" is not a number from 1 to ${MAX_PARTITIONS}`,
    )
  }
  return count
}
