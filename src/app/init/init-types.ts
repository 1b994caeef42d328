/** What `spamdctl init` asks, what its planners take, and what they give. */
import type { PlannedFile } from './planned-file.js'

/** The answers, at most one a question. */
export interface InitAnswers {
  /** Interface to the outside: strangers' mail comes in there. */
  outside: string
  /** The site's own mail servers, addresses or networks: whom they write to becomes WHITE. May be empty. */
  mailServers: readonly string[]
  /** `blacklist`: nobody is greylisted, only listed hosts go to spamd. */
  mode: 'greylist' | 'blacklist'
  /** Names of the catalogue, in the order in which they are applied. */
  lists: readonly string[]
  /** Address of the second gateway, on the cable between both; undefined when there is none. */
  peer: string | undefined
  /** Where the packet filter logs: `nflog:25` on Linux, `pflog1` on pf. */
  log: string
}

/** A program that is run behind the files, by argument vector. */
export interface InitCommand {
  argv: readonly [string, ...string[]]
  purpose: string
  /** The command is left out when this one succeeds: what it makes is there. */
  unless?: readonly [string, ...string[]]
  /** Going on is pointless when it fails; else the failure is told and the rest is done. */
  isNeeded: boolean
}

/** What init writes, runs, and leaves to the administrator. */
export interface InitPlan {
  files: PlannedFile[]
  commands: InitCommand[]
  /** One line each: what cannot be done for the administrator. */
  byHand: string[]
}

/** What a planner is given. */
export interface InitInput {
  answers: InitAnswers
  /** Address of this machine that the second gateway is reached from; undefined when that cannot be told. */
  ownAddress: string | undefined
  /** Text of a file below docs/examples. */
  example: (path: string) => string
  /** True when something is there under this path of the machine that is set up. */
  isThere: (path: string) => boolean
  /** Folder of the installed programs: `/usr/bin`. */
  programFolder: string
}
