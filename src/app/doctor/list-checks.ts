/**
 * spamd.conf and its lists: valid, files exist, all used, sources available, copies up to date; and who
 * fetches them.
 */
import { countText } from '../../codec/count-text.js'
import { formatDuration } from '../../codec/duration.js'
import { AppError } from '../../platform/app-error.js'
import { describeSource } from '../lists/list-source.js'
import { type ListState, readListStates } from '../lists/list-states.js'
import type { ReadConfiguration } from '../lists/read-configuration.js'
import { readConfiguration } from '../lists/read-configuration.js'
import { toDisplayText } from '../wire-text.js'
import type { DoctorContext } from './context.js'
import type { Findings } from './finding.js'
import { addToCrontab, findSchedule } from './schedule.js'

/** A list from a daily source that is older than this was missed twice. */
const STALE_SEC = 3 * 86_400
const SETUP_TIMER = 'spamd-setup.timer'

/** Checks `conf`, `conf.unused`, `lists`, `lists.file`, `lists.loaded`, `schedule`. */
export async function checkLists(context: DoctorContext, findings: Findings): Promise<void> {
  const { probe, settings } = context
  if (probe.stat(settings.conf).kind === 'missing') {
    findings.info('conf', `no ${settings.conf}: no block lists are used`)
    return
  }
  const configuration = await readConfiguration(settings.conf)
  for (const { message, hint, isError } of configuration.problems) {
    if (isError) findings.error('conf', message, hint)
    else findings.warning('conf', message, hint)
  }
  if (!configuration.isUsable) return
  for (const { problems } of configuration.lists) {
    for (const { message, hint } of problems) findings.error('conf', message, hint)
  }
  if (configuration.problems.length === 0)
    findings.ok('conf', `${settings.conf} is valid, ${countText(configuration.lists.length, 'list')}`)
  checkUnused(context, findings, configuration)
  checkFiles(context, findings, configuration)
  const states = await readStates(context, findings, configuration)
  checkStates(context, findings, states)
  checkLoaded(context, findings, configuration)
  await checkSchedule(context, findings, states)
}

/** Records that look like lists but are not named in `all`. */
function checkUnused(
  { probe, settings }: DoctorContext,
  findings: Findings,
  { lists }: ReadConfiguration,
): void {
  const file = probe.readFile(settings.conf)
  if (file.kind !== 'text') return
  const used = new Set(lists.map(({ name }) => name))
  const records = file.text.replace(/\\\r?\n/g, '').split('\n')
  for (const record of records) {
    const [, name, fields] = /^([^#:\s][^:|]*)[^:]*:(.*)$/.exec(record) ?? []
    if (name === undefined || name === 'all' || used.has(name)) continue
    if (!/:?(?:^|:)\s*(?:black|white)\s*:/.test(`:${fields}`)) continue
    if (records.some((other) => other.includes(`tc=${name}:`))) continue
    findings.warning(
      'conf.unused',
      `list "${toDisplayText(name)}" is defined, but not listed in "all"`,
      `add ${toDisplayText(name)} to "all" in ${settings.conf}, or remove the record`,
    )
  }
}

function checkFiles({ probe }: DoctorContext, findings: Findings, { lists }: ReadConfiguration): void {
  for (const { name, source } of lists) {
    if (source?.method !== 'file') continue
    const path = `/${source.location.replace(/^\/+/, '')}`
    const facts = probe.stat(path)
    if (facts.kind === 'missing')
      findings.error(
        'lists.file',
        `list "${toDisplayText(name)}": file ${path} does not exist`,
        `touch ${path}`,
      )
    else if (facts.kind === 'unreadable')
      findings.info('lists.file', `list "${toDisplayText(name)}": cannot read ${path}: ${facts.reason}`)
  }
}

async function readStates(
  { probe, settings }: DoctorContext,
  findings: Findings,
  configuration: ReadConfiguration,
): Promise<ListState[]> {
  try {
    return await readListStates(configuration, settings.stateDir, probe.nowSec())
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    findings.info('lists', error.message, error.hint ?? 'run doctor as root')
    return []
  }
}

function checkStates(
  { probe, settings }: DoctorContext,
  findings: Findings,
  states: readonly ListState[],
): void {
  let fresh = 0
  for (const { name, source, entries, lastSuccessSec, lastError } of states) {
    if (source === undefined || source.method === 'file') continue
    const shown = toDisplayText(name)
    const why = lastError === undefined ? '' : `: ${lastError}`
    if (lastSuccessSec === undefined) {
      // The copy was fetched while the clock was ahead.
      const message =
        entries === undefined
          ? `list "${shown}" was never fetched from ${describeSource(source)}${why}`
          : `list "${shown}" has not been fetched since the clock was set back${why}`
      findings.warning('lists', message, `spamd-setup -d`)
    } else {
      const ageSec = probe.nowSec() - lastSuccessSec
      if (ageSec > STALE_SEC)
        findings.warning('lists', `list "${shown}" is ${formatDuration(ageSec)} old${why}`, 'spamd-setup -d')
      else if (lastError !== undefined)
        findings.info(
          'lists',
          `list "${shown}": the last good copy is used, ${formatDuration(ageSec)} old${why}`,
        )
      else fresh += 1
    }
  }
  if (fresh > 0)
    findings.ok('lists', `${countText(fresh, 'list is', 'lists are')} fresh (state in ${settings.stateDir})`)
}

/** Whether the running spamd has the black lists that spamd.conf names. */
function checkLoaded({ daemon }: DoctorContext, findings: Findings, { lists }: ReadConfiguration): void {
  if (daemon.kind !== 'status') return
  const loaded = new Set(daemon.status.lists.map(({ name }) => name))
  const missing = lists.filter(({ name, colour }) => colour === 'black' && !loaded.has(name))
  const names = missing.map(({ name }) => toDisplayText(name))
  if (missing.length > 0)
    findings.warning('lists.loaded', `spamd has not loaded the lists ${names.join(', ')}`, 'spamd-setup')
  else if (lists.length > 0) findings.ok('lists.loaded', 'spamd has all lists of spamd.conf')
}

async function checkSchedule(
  { probe }: DoctorContext,
  findings: Findings,
  states: readonly ListState[],
): Promise<void> {
  if (!states.some(({ source }) => source !== undefined && source.method !== 'file')) return
  const tries = states.flatMap(({ lastTrySec, lastSuccessSec }) => lastTrySec ?? lastSuccessSec ?? [])
  const last = tries.length === 0 ? undefined : probe.nowSec() - Math.max(...tries)
  const lastText =
    last === undefined ? 'it has never run' : `it last fetched a list ${formatDuration(last)} ago`
  const schedule = await findSchedule(probe, { timer: SETUP_TIMER, command: /^[^#\n]*spamd-setup/m })
  if (schedule === 'timer' || schedule === 'cron') {
    const who = schedule === 'timer' ? 'a systemd timer' : 'cron'
    tellSchedule(findings, `${who} runs spamd-setup`, last, lastText)
    return
  }
  if (schedule === 'unseen') {
    findings.info('schedule', `cannot see root's crontab; ${lastText}`, 'run doctor as root')
    return
  }
  const fix =
    probe.system === 'linux'
      ? `systemctl enable --now ${SETUP_TIMER}`
      : addToCrontab(`${probe.system === 'openbsd' ? '~' : '17'} * * * * /usr/local/bin/spamd-setup`)
  findings.warning('schedule', `neither cron nor a timer runs spamd-setup; ${lastText}`, fix)
}

function tellSchedule(findings: Findings, what: string, lastSec: number | undefined, lastText: string): void {
  const isLate = lastSec === undefined || lastSec > STALE_SEC
  if (isLate) findings.warning('schedule', `${what}, but ${lastText}`, 'spamd-setup -d')
  else findings.ok('schedule', `${what}; ${lastText}`)
}
