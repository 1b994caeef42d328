/** The lists of a spamd.conf, as values. */
import type { Diagnostic } from '../diagnostic.js'
import type { TextPosition } from './getcap.js'
import type { ListMessage } from './spamd-conf-fields.js'

/** How a list is fetched. */
export const LIST_METHODS = ['file', 'exec', 'http', 'https', 'ftp'] as const
export type ListMethod = (typeof LIST_METHODS)[number]

/** A list of spamd.conf that can be fetched. */
export interface SpamdList {
  isUsable: true
  /** Latin-1, one character per byte; without semicolons, since one ends the name in the protocol of spamd. */
  name: string
  colour: 'black' | 'white'
  /** Present for black lists only. */
  message: ListMessage | undefined
  method: ListMethod
  /** Path, URL without scheme, or command line. */
  location: string
  /** `:column#N:`, from 1: the column of a table that contains the addresses. */
  column: number | undefined
  /** `:min#N:`: the list is refused if it has fewer entries. */
  minEntries: number | undefined
  /** `:empty_ok:`: the list may shrink, even to nothing. */
  isEmptyOk: boolean
  /** `:as_root:`: the file is opened, or the command run, with the rights with which spamd-setup was started. */
  isAsRoot: boolean
  /** `:allow_private:`: a server on the Internet may redirect to a private address. */
  isPrivateAllowed: boolean
  /** `:wide_ok:`: the list may contain very wide networks and grow without limit. */
  isWideOk: boolean
  /** `:never:`: no downloaded list may block anything in this list. */
  isNever: boolean
  /**
   * True for a white list, which applies to the black list before it; false for black lists, and for a `:never:` list
   * without `:white:`.
   */
  isException: boolean
  /** The black list from which a white list removes addresses; undefined for one before any black list. */
  appliesTo: string | undefined
  /** Position of its name in `all`. */
  position: TextPosition
}

/** A list that `all` names but that cannot be used; its place in the order still matters. */
export interface UnusableList {
  isUsable: false
  name: string
  /** Undefined if even that is unknown: it must be treated as a failed white list. */
  colour: 'black' | 'white' | undefined
  /** For a white list the black list before it, as in `SpamdList`. */
  appliesTo: string | undefined
  isNever: boolean
  diagnostic: ConfDiagnostic
}

/** A list that `all` names, usable or not. */
export type ListEntry = SpamdList | UnusableList

/** A finding about spamd.conf. */
export interface ConfDiagnostic extends Diagnostic {
  /** The list that it is about; undefined for the file as a whole. */
  list: string | undefined
  /**
   * The original's last message before it gives up, without the program name and not yet escaped; undefined if it
   * continues.
   */
  original: string | undefined
}
