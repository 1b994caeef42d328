import { formatDuration } from '../../codec/duration.js'
import { resolveLocation } from '../../platform/postgres-location.js'
import { findService } from '../../platform/settings.js'
import type { DaemonStatus } from '../control-protocol.js'
import { type DoctorContext, findProgram, outputOf } from './context.js'
import type { Findings } from './finding.js'

/** A scan that is overdue by this much has hung. */
const OVERDUE_FACTOR = 5

/** Checks `spamd`, `spamd.database`, `spamd.scan`, `spamd.config-port`, `spamlogd`, `services`, `boot`. */
export async function checkDaemons(context: DoctorContext, findings: Findings): Promise<void> {
  checkServices(context, findings)
  await checkSpamd(context, findings)
  checkSpamlogd(context, findings)
  await checkBoot(context, findings)
}

/** The command that starts a daemon of ours on this system. */
export function startCommand(
  { probe }: DoctorContext,
  program: 'spamd' | 'spamlogd',
  verb = 'start',
): string {
  return {
    openbsd: `rcctl ${verb} spamdctl_${program}`,
    freebsd: `service spamdctl_${program} ${verb}`,
    linux: `systemctl ${verb} ${program}`,
  }[probe.system]
}

/** Where the daemons' log lines are. */
export function logCommand({ probe }: DoctorContext, program: 'spamd' | 'spamlogd'): string {
  return {
    openbsd: `grep ${program} /var/log/daemon`,
    freebsd: `grep ${program} /var/log/messages`,
    linux: `journalctl -u ${program} -n 50`,
  }[probe.system]
}

function checkServices({ probe, settings, daemon }: DoctorContext, findings: Findings): void {
  const services = probe.readFile('/etc/services')
  if (services.kind !== 'text') return
  const named = findService('spamd', 'tcp', services.text)
  if (named === undefined) {
    findings.ok('services', `services(5) names no port for spamd; port ${settings.port} is used`)
    return
  }
  const listens = daemon.kind === 'status' ? daemon.status.listen.map(({ port }) => port) : [settings.port]
  // Debian and others give the name to the daemon of SpamAssassin.
  if (named === 783) {
    const message = 'services(5) assigns the name spamd to port 783 (SpamAssassin)'
    const fix = 'set SPAMD_PORT=8025 for all programs'
    if (listens.includes(783)) findings.warning('services', `${message}, which spamd uses`, fix)
    else if (settings.port === 783) findings.warning('services', `${message}, which these programs use`, fix)
    else findings.info('services', `${message}; port ${settings.port} is configured instead`)
  } else if (listens.length > 0 && !listens.includes(named)) {
    findings.warning(
      'services',
      `services(5) names port ${named} for spamd, which listens on ${listens.join(', ')}`,
    )
  } else findings.ok('services', `services(5) names port ${named} for spamd`)
}

async function checkSpamd(context: DoctorContext, findings: Findings): Promise<void> {
  const { daemon, processes, settings, probe } = context
  const running = [...findProgram(processes, 'spamd'), ...findProgram(processes, 'spamd-child')]
  if (daemon.kind === 'silent') {
    if (running.length === 0) {
      findings.error('spamd', `spamd is not running: ${daemon.reason}`, startCommand(context, 'spamd'))
    } else if (daemon.code === 'ERR_DAEMON_DENIED') {
      findings.info(
        'spamd',
        `spamd runs (pid ${running[0]!.process.pid}), but this user may not use its socket`,
        'run doctor as root',
      )
    } else if (daemon.code === 'ERR_REQUEST_UNKNOWN') {
      findings.warning(
        'spamd',
        'the running spamd is older than this program',
        startCommand(context, 'spamd', 'restart'),
      )
    } else {
      findings.error(
        'spamd',
        `spamd runs (pid ${running[0]!.process.pid}) but does not answer: ${daemon.reason}`,
        startCommand(context, 'spamd', 'restart'),
      )
    }
    return
  }
  const { status } = daemon
  const places = status.listen.map(({ address, port }) => `${address} port ${port}`)
  if (places.length === 0) {
    findings.warning(
      'spamd',
      'spamd accepts no connections at the moment: it ran out of file descriptors',
      logCommand(context, 'spamd'),
    )
  } else findings.ok('spamd', `spamd listens on ${places.join(', ')}`)
  if (status.database !== undefined && status.database !== resolveLocation(settings.db)) {
    findings.error(
      'spamd.database',
      `spamd uses ${status.database}, these programs ${resolveLocation(settings.db)}`,
      `set SPAMD_DB=${status.database} for all programs`,
    )
  } else if (status.aloneSinceSec !== undefined) {
    findings.warning(
      'spamd.database',
      `the database server is unreachable: spamd has used its local database for ${formatDuration(probe.nowSec() - status.aloneSinceSec)}`,
      logCommand(context, 'spamd'),
    )
  } else if (status.database !== undefined) findings.ok('spamd.database', 'spamd uses the same database')
  checkScan(context, status, findings)
  const reached = await probe.answersTcp('127.0.0.1', status.configPort)
  if (reached === true)
    findings.ok('spamd.config-port', `the configuration port ${status.configPort} answers`)
  else {
    findings.error(
      'spamd.config-port',
      `no answer on the configuration port ${status.configPort}: ${reached}; spamd-setup cannot load lists`,
      startCommand(context, 'spamd', 'restart'),
    )
  }
}

function checkScan(
  context: DoctorContext,
  status: Pick<DaemonStatus, 'lastScan' | 'scanIntervalSec' | 'mode' | 'clockDoubt'>,
  findings: Findings,
): void {
  if (status.mode === 'block-lists') return
  const { lastScan, scanIntervalSec, clockDoubt } = status
  if (clockDoubt !== undefined) {
    findings.warning(
      'spamd.clock',
      `${clockDoubt}: entries do not expire until the clock is set or accepted`,
      'spamdctl accept-clock',
    )
  }
  if (lastScan?.isWaiting === true) return
  if (lastScan === undefined) findings.info('spamd.scan', 'the first scan has not finished yet')
  else if (!lastScan.isComplete) {
    findings.error(
      'spamd.scan',
      'the last scan of the database failed: no host becomes WHITE',
      logCommand(context, 'spamd'),
    )
  } else {
    const ageSec = context.probe.nowSec() - lastScan.atSec
    if (ageSec > scanIntervalSec * OVERDUE_FACTOR) {
      findings.warning('spamd.scan', `the last scan was ${ageSec} seconds ago`, logCommand(context, 'spamd'))
    } else findings.ok('spamd.scan', `the database was scanned ${ageSec} seconds ago`)
  }
}

function checkSpamlogd(context: DoctorContext, findings: Findings): void {
  const { processes, daemon, settings } = context
  if (daemon.kind === 'status' && daemon.status.mode === 'block-lists') return
  if (processes === undefined) {
    findings.info('spamlogd', 'cannot list processes', 'run doctor as root')
    return
  }
  const [running] = findProgram(processes, 'spamlogd')
  if (running === undefined) {
    findings.error(
      'spamlogd',
      'spamlogd is not running: WHITE entries expire even while their hosts send mail',
      startCommand(context, 'spamlogd'),
    )
    return
  }
  const dbAt = running.words.findIndex((word) => word === '--db' || word.startsWith('--db='))
  const given = dbAt < 0 ? undefined : (running.words[dbAt]!.split('=')[1] ?? running.words[dbAt + 1])
  if (given !== undefined && resolveLocation(given) !== resolveLocation(settings.db)) {
    findings.error(
      'spamlogd',
      `spamlogd uses ${given}, these programs ${resolveLocation(settings.db)}`,
      `start spamlogd with --db ${resolveLocation(settings.db)}`,
    )
  } else findings.ok('spamlogd', `spamlogd runs (pid ${running.process.pid})`)
}

type DaemonName = 'spamd' | 'spamlogd'

/** Which daemons start at boot, and daemons of the base system that would use the same ports. */
interface BootState {
  enabled: string[]
  rivals: string[]
}

/** Reads the state of the given daemons; undefined if the system does not show it. */
const READ_BOOT_STATE: Readonly<
  Record<
    DoctorContext['probe']['system'],
    (
      context: DoctorContext,
      names: readonly DaemonName[],
      findings: Findings,
    ) => Promise<BootState | undefined>
  >
> = {
  openbsd: async ({ probe }, names) => {
    const isOn = outputOf(await probe.run('rcctl', ['ls', 'on']))?.split('\n')
    return (
      isOn && {
        enabled: names.filter((name) => isOn.includes(`spamdctl_${name}`)),
        rivals: names.filter((name) => isOn.includes(name)),
      }
    )
  },
  freebsd: async (context, names) => {
    const state: BootState = { enabled: [], rivals: [] }
    for (const name of names) {
      if (await isSet(context, `spamdctl_${name}_enable`)) state.enabled.push(name)
      if (await isSet(context, `ob${name}_enable`)) state.rivals.push(`ob${name}`)
    }
    return state
  },
  linux: async ({ probe }, names, findings) => {
    const state: BootState = { enabled: [], rivals: [] }
    for (const name of names) {
      const unit = parseUnit(outputOf(await probe.run('systemctl', ['show', `${name}.service`])))
      if (unit === undefined) return undefined
      if (unit.get('UnitFileState')?.startsWith('enabled') === true) state.enabled.push(name)
      if (unit.get('ActiveState') === 'failed') {
        findings.error(
          'boot',
          `the unit ${name}.service failed (${unit.get('Result') ?? '?'})`,
          `journalctl -u ${name} -n 50`,
        )
      }
    }
    return state
  },
}

/** Whether the daemons start at boot, and no daemon of the base system conflicts with them. */
async function checkBoot(context: DoctorContext, findings: Findings): Promise<void> {
  const { system } = context.probe
  const isGreylisting = !(context.daemon.kind === 'status' && context.daemon.status.mode === 'block-lists')
  const wanted: readonly DaemonName[] = isGreylisting ? ['spamd', 'spamlogd'] : ['spamd']
  const state = await READ_BOOT_STATE[system](context, wanted, findings)
  if (state === undefined) return
  const { enabled, rivals } = state
  if (rivals.length > 0) {
    findings.error(
      'boot',
      `${rivals.join(' and ')} of the base system is enabled too: it uses the same ports`,
      system === 'openbsd'
        ? `rcctl disable ${rivals.join(' ')}`
        : `sysrc ${rivals.map((name) => `${name}_enable=NO`).join(' ')}`,
    )
  }
  const missing = wanted.filter((name) => !enabled.includes(name))
  if (missing.length === 0) {
    findings.ok('boot', `${wanted.join(' and ')} start at boot`)
    return
  }
  const command = {
    openbsd: `rcctl enable ${missing.map((name) => `spamdctl_${name}`).join(' ')}`,
    freebsd: `sysrc ${missing.map((name) => `spamdctl_${name}_enable=YES`).join(' ')}`,
    linux: `systemctl enable ${missing.join(' ')}`,
  }[system]
  findings.warning('boot', `${missing.join(' and ')} will not start at the next boot`, command)
}

async function isSet({ probe }: DoctorContext, variable: string): Promise<boolean> {
  const value = outputOf(await probe.run('sysrc', ['-n', variable]))?.trim() ?? ''
  return /^(yes|true|on|1)$/i.test(value)
}

/** Properties that `systemctl show` prints; undefined without systemd. */
export function parseUnit(text: string | undefined): Map<string, string> | undefined {
  if (text === undefined) return undefined
  return new Map(
    text.split('\n').flatMap((line) => {
      const at = line.indexOf('=')
      return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)] as const]
    }),
  )
}
