/** The questions of `spamdctl init`, and the input and output of its planners. */
import type { PlannedFile } from './planned-file.js'

/** The answers, at most one per question. */
export interface InitAnswers {
  /** Outside interface: mail from the Internet arrives there. */
  outside: string
  /**
   * The site's own mail servers, addresses or networks: hosts that they send mail to become WHITE. May be
   * empty.
   */
  mailServers: readonly string[]
  /** `blacklist`: no greylisting, only listed hosts go to spamd. */
  mode: 'greylist' | 'blacklist'
  /** Names of the catalogue, in the order in which they are applied. */
  lists: readonly string[]
  /** Address of the second gateway, on the cable between both; undefined when there is none. */
  peer: string | undefined
  /** Where the packet filter logs: `nflog:25` on Linux, `pflog1` on pf. */
  log: string
}

/** A program that is run after writing the files, by argument vector. */
export interface InitCommand {
  argv: readonly [string, ...string[]]
  purpose: string
  /** The command is skipped when this one succeeds: what it creates exists already. */
  unless?: readonly [string, ...string[]]
  /** If it fails, the run stops; else the failure is reported and the rest is done. */
  isNeeded: boolean
}

/** What init writes, runs, and leaves to the administrator. */
export interface InitPlan {
  files: PlannedFile[]
  commands: InitCommand[]
  /** One line each: steps that the administrator must do. */
  byHand: string[]
}

/** What a planner is given. */
export interface InitInput {
  answers: InitAnswers
  /** Address of this machine from which the second gateway is reached; undefined when unknown. */
  ownAddress: string | undefined
  /** Text of a file below docs/examples. */
  example: (path: string) => string
  /** True when this path exists on the machine that is set up. */
  isThere: (path: string) => boolean
  /** Folder of the installed programs: `/usr/bin`. */
  programFolder: string
}
