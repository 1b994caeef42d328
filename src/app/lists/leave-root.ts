/**
 * What a run of spamd-setup started by root does with its privileges: it uses them where needed, and then
 * becomes an unprivileged user permanently, before it uses the network or the state folder.
 */
import { join } from 'node:path'
import { escapeControl } from '../../codec/escape.js'
import {
  closeOpenedSources,
  type OpenedSource,
  openSourceAsRoot,
  sourceKey,
} from '../../feeds/opened-source.js'
import {
  closeFormerState,
  type FormerState,
  giveStateFolder,
  openFormerState,
} from '../../feeds/state-folder.js'
import type { Firewall } from '../../firewall/backend.js'
import { AppError } from '../../platform/app-error.js'
import { lesserUserAt } from '../../platform/lesser-rights.js'
import { dropPrivileges, findUser, isRoot, type SystemUser } from '../../platform/privileges.js'
import { ReservedSockets } from '../../platform/reserved-port.js'
import { currentSystem, formerStateDir, SETTING_TABLE, type Settings } from '../../platform/settings.js'
import type { Configuration, Problem } from './configured-list.js'

/** Sockets for lists that vanished from spamd.conf and are to be cleared; more wait for the next run. */
const SPARE_SOCKETS = 16

/** The packet filter, accessed through a process that keeps root. */
export interface FirewallHelper {
  firewall: Firewall
  /** Ends that process. */
  stop(): Promise<void>
}

/** Starts it, while we are root. */
export type StartFirewallHelper = (settings: Settings) => Promise<FirewallHelper>

/** What is left of the rights. */
export interface Unprivileged {
  /** The user we have become; undefined when unchanged. */
  user: SystemUser | undefined
  sockets: ReservedSockets | undefined
  helper: FirewallHelper | undefined
  /** Sources that root opened, by `sourceKey`. */
  opened: ReadonlyMap<string, OpenedSource>
  /** What an earlier version left. */
  former: FormerState | undefined
  problems: Problem[]
  /** Gives back what was not used. */
  close(): Promise<void>
}

export interface LeaveRootRequest {
  settings: Settings
  /** The user was named by flag or environment, so it must exist. */
  isUserGiven: boolean
  configuration: Configuration
  /** Lists go to the configuration port. */
  needsPort: boolean
  needsFirewall: boolean
  /** Lists go to the Unix socket of spamd, which the group of its user may use. */
  needsControlSocket: boolean
  isDryRun: boolean
  maxSourceBytes: number
  sourceTimeoutMs: number
  startFirewallHelper: StartFirewallHelper
  /** Receives the standard error of `:as_root:` commands that succeeded, one character per byte. */
  onMessages(text: string): void
}

/**
 * Gives up root. Without root, or if the user is missing (with a warning), nothing happens. Errors:
 * `ERR_SETUP_USER`, and those of what is opened.
 */
export async function leaveRoot(request: LeaveRootRequest): Promise<Unprivileged> {
  const { settings, isDryRun } = request
  const stay: Unprivileged = {
    user: undefined,
    sockets: undefined,
    helper: undefined,
    opened: new Map(),
    problems: [],
    former: undefined,
    close: async () => undefined,
  }
  const oldFolder = isDryRun ? undefined : formerStateDir(settings.stateDir)
  const openFormer = () => (oldFolder === undefined ? undefined : openFormerState(oldFolder))
  if (!isRoot()) return { ...stay, former: openFormer() }
  const user = await findUser(settings.feedUser)
  if (user === undefined && request.isUserGiven) {
    throw new AppError('ERR_SETUP_USER', `no such user ${settings.feedUser}`, {
      hint: createHint(settings.feedUser),
    })
  }
  if ((user === undefined || user.uid === 0) && !isDryRun) refuseForeignFolder(settings.stateDir)
  if (user === undefined) return { ...stay, former: openFormer(), problems: [missingUser(settings.feedUser)] }
  if (user.uid === 0) return { ...stay, former: openFormer() }

  const rights: Unprivileged = { ...stay, user }
  rights.close = async () => {
    rights.sockets?.close()
    closeOpenedSources(rights.opened)
    if (rights.former !== undefined) closeFormerState(rights.former)
    await rights.helper?.stop()
  }
  try {
    if (request.needsPort) rights.sockets = bindSockets(request.configuration, rights.problems)
    if (!isDryRun) {
      giveStateFolder(settings.stateDir, user)
      rights.former = openFormer()
    }
    rights.opened = await openSources(request)
    const groups = request.needsControlSocket ? await groupOf(settings.user) : []
    if (request.needsFirewall) rights.helper = await request.startFirewallHelper(settings)
    dropPrivileges(user, groups)
    return rights
  } catch (error) {
    await rights.close()
    throw error
  }
}

function bindSockets(configuration: Configuration, problems: Problem[]): ReservedSockets | undefined {
  const names = new Set(configuration.lists.map(({ name }) => name))
  try {
    return new ReservedSockets('127.0.0.1', names.size + SPARE_SOCKETS)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    problems.push({ message: error.message, hint: error.hint, isError: true })
    return undefined
  }
}

async function openSources(request: LeaveRootRequest): Promise<Map<string, OpenedSource>> {
  const opened = new Map<string, OpenedSource>()
  for (const { source } of request.configuration.lists) {
    if (source?.isAsRoot !== true || opened.has(sourceKey(source))) continue
    if (source.method !== 'file' && source.method !== 'exec') continue
    const limits = { maxBytes: request.maxSourceBytes, timeoutMs: request.sourceTimeoutMs }
    opened.set(sourceKey(source), await openSourceAsRoot(source, limits, request.onMessages))
  }
  return opened
}

async function groupOf(userName: string): Promise<number[]> {
  const user = await findUser(userName)
  return user === undefined ? [] : [user.gid]
}

/** Root without an unprivileged user to become writes no state where another user could put links. */
function refuseForeignFolder(stateDir: string): void {
  const owner = lesserUserAt(join(stateDir, 'run.lock'))
  if (owner === undefined) return
  throw new AppError(
    'ERR_SETUP_STATE',
    `cannot use ${stateDir} as root: ${owner.owned} belongs to ${owner.name}`,
    {
      hint: `name that user with --user, or a folder that only root can write with SPAMD_STATE_DIR`,
    },
  )
}

function missingUser(name: string): Problem {
  return {
    message: `warning: no such user ${escapeControl(name)}: lists are fetched and read as root`,
    hint: createHint(name),
    isError: false,
  }
}

function createHint(name: string): string {
  const isBsd = currentSystem() !== 'linux'
  const command =
    currentSystem() === 'freebsd'
      ? `pw useradd ${name} -d /nonexistent -s /usr/sbin/nologin`
      : isBsd
        ? `useradd -L daemon -d /var/empty -s /sbin/nologin ${name}`
        : `useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin ${name}`
  const other =
    name === SETTING_TABLE.feedUser.defaults.linux ? 'or name another with --user' : 'or leave out --user'
  return `create it: ${command}; ${other}`
}
