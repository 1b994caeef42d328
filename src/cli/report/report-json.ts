import type { ReportData } from '../../app/report/report-data.js'
import { toDisplayText } from '../../app/wire-text.js'
import { formatUtcTime } from '../../codec/utc-time.js'
import { sendersJson } from '../losing/render-losing.js'

/** The data behind every chart of the report as one object; times are ISO 8601 in UTC, durations seconds. */
// eslint-disable-next-line complexity -- a flat table: what a closed database leaves out is null, field by field
export function reportJson(data: ReportData): string {
  const { madeSec, sinceSec, stepSec, host, version, passSec, status, findings, database, lists } = data
  const value = {
    made: formatUtcTime(madeSec),
    since: formatUtcTime(sinceSec),
    stepSec,
    host,
    version,
    passSec,
    spamd: status.spamd.state,
    spamlogd: status.spamlogd.state,
    entries: database?.counts ?? null,
    waiting: database?.waiting ?? null,
    steps:
      database?.stats.rows.map(({ startSec, counts }) => ({ start: formatUtcTime(startSec), ...counts })) ??
      null,
    totals: database?.stats.totals ?? null,
    funnel: database?.stats.funnel ?? null,
    delays: database?.stats.delays ?? null,
    histogram: database?.stats.histogram ?? null,
    top: database?.stats.top ?? null,
    topSince: database?.stats.topSinceSec === undefined ? null : formatUtcTime(database.stats.topSinceSec),
    tarpit:
      database?.tarpit.map(({ startSec, seconds }) => ({ start: formatUtcTime(startSec), seconds })) ?? null,
    losing: database === undefined ? null : sendersJson(database.losing),
    lists: lists.map((list) => ({ ...list, name: toDisplayText(list.name) })),
    sync: (status.spamd.state === 'running' ? status.spamd.status.sync : undefined) ?? null,
    findings: findings.map(({ fix, ...finding }) => ({ ...finding, fix: fix ?? null })),
  }
  return `${JSON.stringify(value, undefined, 2)}\n`
}
