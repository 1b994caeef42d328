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
  /** Latin-1, one character per byte; no semicolon, which ends it in the protocol of spamd. */
  name: string
  colour: 'black' | 'white'
  /** Present for black lists only. */
  message: ListMessage | undefined
  method: ListMethod
  /** Path, URL without scheme, or command line. */
  location: string
  /** `:column#N:`, from 1: the column of a table that contains the addresses. */
  column: number | undefined
  /** `:min#N:`: fewer entries mean that something is wrong with the source. */
  minEntries: number | undefined
  /** `:empty_ok:`: the list may shrink, even to nothing. */
  isEmptyOk: boolean
  /** `:as_root:`: a file is opened, or a command run, with the rights that spamd-setup was started with. */
  isAsRoot: boolean
  /** `:allow_private:`: a server on the Internet may redirect to an address of the inside. */
  isPrivateAllowed: boolean
  /** `:wide_ok:`: the list may hold very wide networks and grow as it likes. */
  isWideOk: boolean
  /** `:never:`: nothing in this list is ever blocked by a downloaded list. */
  isNever: boolean
  /** A white list for the black list before it; false for black lists, and for a `:never:` list without `:white:`. */
  isException: boolean
  /** The black list from which a white list removes addresses; undefined for one before any black list. */
  appliesTo: string | undefined
  /** Where `all` names it. */
  position: TextPosition
}

/** A list that `all` names but that cannot be used; its place in the order still counts. */
export interface UnusableList {
  isUsable: false
  name: string
  /** Undefined when not even that is known: it must be treated as a white list that failed. */
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
   * The original's last message before it gives up, without its name and not yet escaped; undefined when it
   * continues.
   */
  original: string | undefined
}
