import type { SystemProbe } from '../../platform/system-probe.js'
import { outputOf } from './context.js'
import { parseUnit } from './daemon-checks.js'

/** Where cron(8) keeps tables, on all systems. */
const CRON_TABLES = [
  '/etc/crontab',
  '/etc/cron.d/spamd-setup',
  '/etc/cron.d/spamdctl',
  '/usr/local/etc/cron.d/spamdctl',
  '/var/cron/tabs/root',
  '/var/spool/cron/crontabs/root',
]

/** What runs a command regularly: `unseen` when no table names it and one cannot be read. */
export async function findSchedule(
  probe: Pick<SystemProbe, 'system' | 'run' | 'readFile'>,
  { timer, command }: { timer: string; command: RegExp },
): Promise<'timer' | 'cron' | 'unseen' | 'none'> {
  if (probe.system === 'linux') {
    const unit = parseUnit(outputOf(await probe.run('systemctl', ['show', timer])))
    if (unit?.get('ActiveState') === 'active') return 'timer'
  }
  const tables = CRON_TABLES.map((path) => probe.readFile(path))
  if (tables.some((table) => table.kind === 'text' && command.test(table.text))) return 'cron'
  return tables.some(({ kind }) => kind === 'unreadable') ? 'unseen' : 'none'
}

/** The command that adds a line to root's crontab, and keeps what is in it. */
export function addToCrontab(line: string): string {
  return `(crontab -l; echo '${line}') | crontab -`
}
