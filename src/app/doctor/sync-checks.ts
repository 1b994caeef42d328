/** Synchronisation: the key, who can read it, whether peers have the same; and the clocks of all. */
import { formatDuration } from '../../codec/duration.js'
import { AppError } from '../../platform/app-error.js'
import type { SyncStatus } from '../control-protocol.js'
import { fingerprintOf, readSyncKeyFile } from '../sync/sync-key.js'
import { type DoctorContext, findProgram, outputOf } from './context.js'
import { startCommand } from './daemon-checks.js'
import type { Findings } from './finding.js'

const READABLE_BY_OTHERS = 0o004
/** Peers that have not been heard from for a day are probably gone: every mail is an event. */
const SILENT_SEC = 86_400
/** Times in entries are compared between gateways. */
const NOTICED_SKEW_SEC = 5

/** Checks `key`, `key.same`, `peers`, `peers.skew`, `clock`. */
export async function checkSync(context: DoctorContext, findings: Findings): Promise<void> {
  await checkClock(context, findings)
  const sync = context.daemon.kind === 'status' ? context.daemon.status.sync : undefined
  const senders = findProgram(context.processes, 'spamlogd').filter(({ words }) =>
    words.some((word) => word.startsWith('-Y')),
  )
  if (sync === undefined && senders.length === 0) {
    if (context.daemon.kind === 'status')
      findings.info('peers', 'this gateway is alone: spamd runs without -y and -Y')
    return
  }
  await checkKey(context, findings, sync?.keyFingerprint)
  if (sync === undefined) return
  checkRefused(context, findings, sync)
  if (sync.listening !== undefined || sync.multicast !== undefined)
    checkHeard(context, findings, sync.heard ?? [])
  checkMissed(findings, sync)
}

function checkRefused({ settings }: DoctorContext, findings: Findings, { received }: SyncStatus): void {
  const { hmac = 0, clock = 0 } = received?.refused ?? {}
  if (hmac > 0) {
    findings.error(
      'key.same',
      `${hmac} messages were signed with another key`,
      `compare "spamdctl sync-key --show" on all gateways, copy ${settings.key}`,
    )
  }
  if (clock > 0) {
    findings.error(
      'peers.skew',
      `${clock} messages were refused, since the clocks differ by more than an hour`,
      'start the time daemon on all gateways',
    )
  }
}

function checkHeard(
  context: DoctorContext,
  findings: Findings,
  heard: NonNullable<SyncStatus['heard']>,
): void {
  if (heard.length === 0)
    findings.warning('peers', 'no peer has been heard from since spamd started', 'spamdctl sync-status')
  for (const { address, lastSec, skewSec } of heard) {
    const ageSec = context.probe.nowSec() - lastSec
    const message = `${address} was last heard ${formatDuration(ageSec)} ago`
    if (ageSec > SILENT_SEC) findings.warning('peers', message, `ssh ${address} spamdctl doctor`)
    else findings.ok('peers', message)
    if (Math.abs(skewSec) > NOTICED_SKEW_SEC) {
      findings.warning(
        'peers.skew',
        `the clock of ${address} is ${formatDuration(Math.abs(skewSec))} ${skewSec > 0 ? 'ahead' : 'behind'}, or its messages are late`,
        'start the time daemon on all gateways',
      )
    }
  }
}

function checkMissed(findings: Findings, { state }: SyncStatus): void {
  for (const { address, missingCount, missingSinceSec } of state?.peers ?? []) {
    if (missingSinceSec === undefined) continue
    findings.warning(
      'peers.missed',
      `${missingCount} changes of ${address} were missed`,
      `spamdctl pull ${address} --since`,
    )
  }
}

async function checkKey(
  context: DoctorContext,
  findings: Findings,
  inUse: string | undefined,
): Promise<void> {
  const { probe, settings } = context
  const facts = probe.stat(settings.key)
  if (facts.kind === 'missing') {
    findings.error('key', `there is no key ${settings.key}: anyone can forge messages`, 'spamdctl sync-key')
    return
  }
  if (facts.kind === 'found' && (facts.mode & READABLE_BY_OTHERS) !== 0) {
    findings.error('key', `every user can read the key ${settings.key}`, `chmod o= ${settings.key}`)
  } else if (facts.kind === 'found') await checkKeyReader(context, findings, facts)
  let content: Buffer | undefined
  try {
    content = readSyncKeyFile(settings.key)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    findings.info('key.same', `cannot read ${settings.key}`, 'run doctor as root')
    return
  }
  if (content === undefined) return
  const fingerprint = fingerprintOf(content)
  if (inUse !== undefined && inUse !== fingerprint) {
    findings.error(
      'key.same',
      `spamd still uses key ${inUse}, but ${settings.key} contains ${fingerprint}`,
      startCommand(context, 'spamd', 'reload'),
    )
  } else findings.ok('key.same', `spamd uses the key in ${settings.key}, ${fingerprint}`)
}

/** A daemon that is started without root reads the key as its own user. */
async function checkKeyReader(
  context: DoctorContext,
  findings: Findings,
  facts: { uid: number; gid: number; mode: number },
): Promise<void> {
  const { probe, settings } = context
  const starters = [...findProgram(context.processes, 'spamd'), ...findProgram(context.processes, 'spamlogd')]
  const runsAsRoot = starters.some(({ process }) => ['root', '0'].includes(process.user))
  const user = await probe.findUser(settings.user)
  const mayRead =
    user !== undefined &&
    ((facts.uid === user.uid && (facts.mode & 0o400) !== 0) ||
      (facts.gid === user.gid && (facts.mode & 0o040) !== 0))
  if (starters.length > 0 && !runsAsRoot && !mayRead) {
    findings.error(
      'key',
      `${settings.user}, the user of the daemons, cannot read ${settings.key}`,
      `chown root:${settings.user} ${settings.key}; chmod 0640 ${settings.key}`,
    )
  } else findings.ok('key', `${settings.key} is readable by the daemons only`)
}

async function checkClock({ probe }: DoctorContext, findings: Findings): Promise<void> {
  const [program, args, good, bad, fix] = {
    openbsd: [
      'ntpctl',
      ['-s', 'status'],
      /clock synced/,
      /clock unsynced/,
      'rcctl enable ntpd; rcctl start ntpd',
    ],
    freebsd: [
      'ntpq',
      ['-c', 'rv'],
      /sync_(?:ntp|pps|uhf_radio|local)/,
      /leap_alarm|sync_unspec/,
      'sysrc ntpd_enable=YES; service ntpd start',
    ],
    linux: [
      'timedatectl',
      ['show'],
      /^NTPSynchronized=yes$/m,
      /^NTPSynchronized=no$/m,
      'timedatectl set-ntp true',
    ],
  }[probe.system] as [string, string[], RegExp, RegExp, string]
  const text = outputOf(await probe.run(program, args))
  if (text === undefined)
    findings.info('clock', `cannot see whether the clock is synchronised: ${program} gives no answer`, fix)
  else if (good.test(text)) findings.ok('clock', 'the clock is synchronised')
  else if (bad.test(text))
    findings.warning(
      'clock',
      'the clock is not synchronised: times of entries and of peers will not agree',
      fix,
    )
  else findings.info('clock', `cannot tell from ${program} whether the clock is synchronised`, fix)
}
