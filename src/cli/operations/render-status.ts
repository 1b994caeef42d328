/** `spamdctl status` for people and for programs. */

import { describeSource } from '../../app/lists/list-source.js'
import { type SuiteStatus, wantedWhite } from '../../app/status.js'
import { toDisplayText } from '../../app/wire-text.js'
import { countText } from '../../codec/count-text.js'
import { formatDuration } from '../../codec/duration.js'
import { escapeControl } from '../../codec/escape.js'
import { formatUtcTime } from '../../codec/utc-time.js'
import { styled, type Terminal, wrapped } from './terminal.js'

const MIB = 1024 * 1024
const LABEL_WIDTH = 11

/** One screen; ages are relative to the current time. */
export function renderStatus(status: SuiteStatus, terminal: Terminal): string {
  const lines: string[] = []
  const add = (label: string, text: string): void => {
    lines.push(wrapped(terminal, label.padEnd(LABEL_WIDTH), escapeControl(text)))
  }
  addDaemons(status, add)
  addDatabase(status, add)
  addTables(status, add)
  addPools(status, add)
  addSenders(status, add)
  addExceptions(status, add)
  addLists(status, add)
  addPeers(status, add)
  if (status.troubles.length === 0) add('warnings', 'none')
  for (const [index, { level, message }] of status.troubles.entries()) {
    const label = (index === 0 ? 'warnings' : '').padEnd(LABEL_WIDTH)
    const word = styled(terminal, level === 'critical' ? 'red' : 'yellow', level)
    lines.push(wrapped(terminal, `${label}${word}: `, escapeControl(message), LABEL_WIDTH + level.length + 2))
  }
  return lines.join('')
}

type Add = (label: string, text: string) => void

function since(status: SuiteStatus, startedSec: number | undefined): string {
  if (startedSec === undefined) return 'running'
  const age = formatDuration(Math.max(0, status.timeSec - startedSec))
  return `running since ${formatUtcTime(startedSec).replace('T', ' ')} (${age})`
}

function addDaemons(status: SuiteStatus, add: Add): void {
  const { spamd, spamlogd } = status
  if (spamd.state !== 'running') {
    const word = { stopped: 'not running', silent: 'does not answer', unseen: 'cannot be queried' }[
      spamd.state
    ]
    add('spamd', `${word}: ${spamd.reason}`)
  } else {
    const { listen, configPort, startedSec, pid, mode, connections } = spamd.status
    const kind = mode === 'greylisting' ? 'greylisting' : 'block lists only'
    add('spamd', `${since(status, startedSec)}, pid ${pid}, ${kind}`)
    const places = listen.map(({ address, port }) => `${address} port ${port}`)
    add('', `listens on ${places.join(', ') || 'nothing at the moment'}; configuration port ${configPort}`)
    add('', `${connections.total} connections, ${connections.black} of them from block lists or traps`)
  }
  switch (spamlogd.state) {
    case 'running':
      add(
        'spamlogd',
        `${since(status, spamlogd.process.startedSec)}, pid ${spamlogd.process.pid}${spamlogd.device === undefined ? '' : `, watches ${spamlogd.device}`}`,
      )
      break
    case 'stopped':
      add('spamlogd', 'not running')
      break
    case 'unneeded':
      add('spamlogd', 'not running, and not needed with block lists only')
      break
    case 'unseen':
      add('spamlogd', 'processes cannot be listed')
  }
}

function addDatabase(status: SuiteStatus, add: Add): void {
  const { database, spamd } = status
  const sinceSec = spamd.state === 'running' ? spamd.status.aloneSinceSec : undefined
  if (sinceSec !== undefined)
    add('alone', `since ${formatUtcTime(sinceSec)}: the database server is unreachable`)
  if ('reason' in database) add('database', database.isUnneeded ? 'none, and none needed' : database.reason)
  else {
    const { counts, sizeBytes } = database
    const size = sizeBytes === undefined ? '' : ` (${(sizeBytes / MIB).toFixed(1)} MiB)`
    add('database', `${database.path}${size}`)
    add(
      'entries',
      Object.entries(counts)
        .filter(([kind, count]) => kind !== 'POOL' || count > 0)
        .map(([kind, count]) => `${count} ${kind}`)
        .join(', '),
    )
  }
  if (spamd.state !== 'running' || spamd.status.mode === 'block-lists') return
  const scan = spamd.status.lastScan
  if (scan === undefined) add('last scan', 'none has finished yet')
  else {
    const age = formatDuration(Math.max(0, status.timeSec - scan.atSec))
    const result = scan.isComplete ? `${scan.promotedCount} promoted, ${scan.deletedCount} expired` : 'FAILED'
    add('last scan', `${age} ago: ${result}, took ${Math.round(scan.durationMs)} ms`)
  }
}

function addTables(status: SuiteStatus, add: Add): void {
  const { tables } = status
  if (tables.kind === 'unseen') {
    add('tables', `cannot be read: ${tables.reason}`)
    return
  }
  const wanted = wantedWhite(status)
  const texts = [...tables.counts].map(
    ([name, count]) =>
      `${name} ${count}${name === 'spamd-white' && wanted !== undefined ? ` (of ${wanted} WHITE)` : ''}`,
  )
  add('tables', texts.join(', ') || 'no tables of spamd exist')
}

/** Whether pools of senders are recognised, or learn-only mode is on. */
function addPools({ spamd }: SuiteStatus, add: Add): void {
  if (spamd.state !== 'running') return
  const { greyPrefix4, greyPrefix6, poolExpireSec, pools, senders } = spamd.status
  const keys = [
    ...(greyPrefix4 === undefined ? [] : [`/${greyPrefix4} of IPv4`]),
    ...(greyPrefix6 === undefined ? [] : [`/${greyPrefix6} of IPv6`]),
    ...(senders?.spf === undefined ? [] : ['SPF']),
  ]
  if (keys.length === 0) return
  const open = pools?.networkCount ?? 0
  add(
    'pools',
    `known by ${keys.join(' and ')}, networks open: ${open}, each for ${formatDuration(poolExpireSec)}`,
  )
}

/** Which DNS queries about senders are used, and whether they are answered. */
function addSenders({ spamd }: SuiteStatus, add: Add): void {
  const senders = spamd.state === 'running' ? spamd.status.senders : undefined
  if (senders === undefined) return
  const { spf, dnswl, dnsbl, answered, failed } = senders
  const asked = [
    ...(spf === undefined ? [] : [`SPF of ${spf === 'all' ? 'all domains' : 'the domains of a file'}`]),
    ...dnswl.map((zone) => `dnswl ${zone}`),
    ...dnsbl.map((zone) => `dnsbl ${zone}`),
  ]
  add('dns', `${asked.join(', ')}; ${answered} queries answered, ${failed} failed`)
}

/** Exceptions of `spamdctl allow`, if there are any. */
function addExceptions({ database, timeSec }: SuiteStatus, add: Add): void {
  if (!('allowed' in database) || database.allowed.sourceCount === 0) return
  const { sourceCount, networkCount, oldestSec } = database.allowed
  const age =
    oldestSec === undefined
      ? ''
      : `, oldest DNS answer ${formatDuration(Math.max(0, timeSec - oldestSec))} old`
  const count = `${sourceCount} ${sourceCount === 1 ? 'exception' : 'exceptions'}`
  add('allow', `${count}, ${networkCount} ${networkCount === 1 ? 'network' : 'networks'}${age}`)
}

function addLists(status: SuiteStatus, add: Add): void {
  const { lists } = status
  if (lists === undefined || lists.length === 0) {
    add('lists', 'none configured')
    return
  }
  for (const [index, { name, colour, entries, lastSuccessSec, source, lastError }] of lists.entries()) {
    const age =
      lastSuccessSec === undefined
        ? 'never received'
        : `${formatDuration(status.timeSec - lastSuccessSec)} old`
    const parts = [
      `${toDisplayText(name)} (${colour})`,
      ...(entries === undefined ? [] : [countText(entries, 'entry', 'entries')]),
    ]
    if (source?.method !== 'file' || lastSuccessSec !== undefined) parts.push(age)
    if (lastError !== undefined) parts.push(`last attempt failed: ${lastError}`)
    add(index === 0 ? 'lists' : '', parts.join(', '))
  }
}

function addPeers(status: SuiteStatus, add: Add): void {
  if (status.spamd.state !== 'running') return
  const { sync } = status.spamd.status
  if (sync === undefined) {
    add('peers', 'none: nothing is synchronised')
    return
  }
  const heard = (sync.heard ?? []).map(
    ({ address, lastSec }) => `${address} heard ${formatDuration(Math.max(0, status.timeSec - lastSec))} ago`,
  )
  const missed = (sync.state?.peers ?? [])
    .filter(({ missingSinceSec }) => missingSinceSec !== undefined)
    .map(({ address, missingCount }) => `${missingCount} changes of ${address} were missed: pull them`)
  const silent = sync.peers.filter(
    ({ address }) => !(sync.heard ?? []).some((peer) => peer.address === address),
  )
  add(
    'peers',
    [...heard, ...silent.map(({ name }) => `${name} not heard`), ...missed].join(', ') || 'none heard',
  )
}

/** Everything as one object; times are ISO 8601 in UTC. */
export function statusJson(status: SuiteStatus): string {
  const { spamd, spamlogd, database, tables, lists, troubles, timeSec } = status
  const time = (sec: number | undefined): string | null => (sec === undefined ? null : formatUtcTime(sec))
  const value = {
    time: formatUtcTime(timeSec),
    spamd:
      spamd.state === 'running'
        ? {
            state: 'running',
            ...spamd.status,
            startedSec: undefined,
            started: time(spamd.status.startedSec),
            lastScan: spamd.status.lastScan && {
              ...spamd.status.lastScan,
              atSec: undefined,
              at: time(spamd.status.lastScan.atSec),
            },
          }
        : spamd,
    spamlogd:
      spamlogd.state === 'running'
        ? {
            state: 'running',
            pid: spamlogd.process.pid,
            user: spamlogd.process.user,
            started: time(spamlogd.process.startedSec),
            device: spamlogd.device ?? null,
          }
        : spamlogd,
    database: 'reason' in database ? { path: database.path, reason: database.reason } : database,
    tables: tables.kind === 'counts' ? Object.fromEntries(tables.counts) : null,
    lists: (lists ?? []).map((list) => ({
      name: toDisplayText(list.name),
      colour: list.colour,
      source: list.source === undefined ? null : describeSource(list.source),
      entries: list.entries ?? null,
      lastSuccess: time(list.lastSuccessSec),
      lastError: list.lastError ?? null,
    })),
    troubles,
  }
  return `${JSON.stringify(value, undefined, 2)}\n`
}
