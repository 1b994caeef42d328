/** Settings that work, but are probably not intended: reported by `spamd --check` and at startup. */
import { networkInterfaces } from 'node:os'
import type { SpamdConfig } from '../../app/spamd-config.js'

/** Ports below it belong to root. */
const FIRST_OPEN_PORT = 1024

/** The properties of the machine on which warnings depend. */
export interface StartWarningParts {
  platform: string
  ownAddresses: readonly string[]
}

const systemWarningParts = (): StartWarningParts => ({
  platform: process.platform,
  ownAddresses: Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).map(({ address }) => address),
  ),
})

/** One line each, without program name. */
export function startWarnings(
  config: SpamdConfig,
  parts: StartWarningParts = systemWarningParts(),
): string[] {
  const { settings, isBlackOnly, isPortFromServices } = config
  const warnings: string[] = []
  if (isPortFromServices && settings.port < FIRST_OPEN_PORT) {
    warnings.push(
      `port ${settings.port} comes from the service "spamd" in services(5), which some systems assign to another program: set SPAMD_PORT=8025`,
    )
  }
  if (!isBlackOnly) warnings.push(...timeWarnings(config))
  if (!isBlackOnly && config.lowPriorityMx.length > 0 && seesNoDestination(config, parts)) {
    const own = config.lowPriorityMx.filter((ip) => parts.ownAddresses.includes(ip))
    warnings.push(
      own.length > 0
        ? `-M ${own.join(', ')}: all redirected connections have this machine's own address as destination, so every client would be trapped: use a TPROXY socket (--listen-fd)`
        : '-M: redirected connections do not show the address that the client connected to, so no client will be trapped: use a TPROXY socket (--listen-fd)',
    )
  }
  if (!isBlackOnly) warnings.push(...poolWarnings(config))
  return warnings
}

/** Times in -G with which no client can pass. All three negative is how tests of the original call it. */
function timeWarnings({ passSec, greyExpireSec, whiteExpireSec }: SpamdConfig): string[] {
  if (passSec >= 0 && greyExpireSec <= passSec) {
    return [
      `-G: a tuple passes after ${passSec} s and is forgotten after ${greyExpireSec} s, so no client can ever pass`,
    ]
  }
  if (passSec >= 0 && whiteExpireSec <= 0) {
    return [`-G: a client that passed is forgotten after ${whiteExpireSec} s, so no client can ever pass`]
  }
  return []
}

/** A network this wide is shared by unrelated customers. */
const WIDE_PREFIX = { 4: 20, 6: 48 } as const

function poolWarnings({ greyPrefix4, greyPrefix6, isLearning }: SpamdConfig): string[] {
  const warnings = ([4, 6] as const).flatMap((family) => {
    const bits = family === 4 ? greyPrefix4 : greyPrefix6
    if (bits === undefined || bits >= WIDE_PREFIX[family]) return []
    return `--grey-prefix${family} ${bits}: a /${bits} contains many customers of a provider, and any of them can open networks for the others: use /${WIDE_PREFIX[family]} or longer`
  })
  if (isLearning) {
    warnings.push('--learn: every client that retries passes, so greylisting stops hardly any spam')
  }
  return warnings
}

/** Redirection hides the original destination, except with TPROXY sockets and divert-to of OpenBSD's pf. */
function seesNoDestination(config: SpamdConfig, { platform }: StartWarningParts): boolean {
  if (platform === 'openbsd' || config.settings.firewall === 'none' || config.listenFds.length > 0)
    return false
  // A daemon on the very address and port needs no redirection.
  return !config.lowPriorityMx.every((ip) => config.listenAddresses.includes(ip))
}

/** The addresses and ports of a start, for the log: `0.0.0.0 port 8025, :: port 8025`. */
export function listeningPlaces({ listenAddresses, listenFds, settings }: SpamdConfig): string {
  return [
    ...listenFds.map((fd) => `inherited socket ${fd}`),
    ...listenAddresses.map((address) => `${address} port ${settings.port}`),
  ].join(', ')
}
