/** Node, native modules and the user of the daemons. */
import type { SqliteFault } from '../../db/sqlite-fault.js'
import type { DoctorContext } from './context.js'
import type { Findings } from './finding.js'

/** Source: `engines` of package.json. */
const OLDEST_NODE = [20, 19] as const
/** Oldest release line that still gets fixes. Source: nodejs.org, releases; 20 ended in April 2026. */
const OLDEST_MAINTAINED = 22

/** Checks `node.version`, `node.sqlite`, `user`. */
export async function checkRuntime(context: DoctorContext, findings: Findings): Promise<void> {
  checkNode(context.probe.nodeVersion, findings)
  checkSqlite(context.sqliteFault(), findings)
  const { user } = context.settings
  if ((await context.probe.findUser(user)) === undefined) {
    const command = {
      openbsd: `useradd -d /nonexistent -s /sbin/nologin -L daemon ${user}`,
      freebsd: `pw useradd ${user} -d /nonexistent -s /usr/sbin/nologin`,
      linux: `useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin ${user}`,
    }[context.probe.system]
    findings.error('user', `there is no user ${user} to run the daemons`, command)
  } else findings.ok('user', `the daemons run as ${user}`)
}

function checkNode(version: string, findings: Findings): void {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number)
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    findings.error('node.version', `Node ${version} is too old: ${OLDEST_NODE.join('.')} or later is needed`)
  } else if (major < OLDEST_MAINTAINED) {
    findings.info('node.version', `Node ${version} works, but no longer gets security updates`)
  } else findings.ok('node.version', `Node ${version}`)
}

function checkSqlite(fault: SqliteFault | undefined, findings: Findings): void {
  if (fault === undefined) {
    findings.ok('node.sqlite', 'better-sqlite3 loads')
    return
  }
  const { reason, isOtherNode } = fault
  findings.error(
    'node.sqlite',
    isOtherNode
      ? 'better-sqlite3 was built for another Node'
      : `better-sqlite3 does not load: ${reason.split('\n')[0]}`,
    isOtherNode ? 'npm rebuild better-sqlite3' : 'npm install better-sqlite3',
  )
}
