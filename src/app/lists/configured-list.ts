import { isRemote } from '../../feeds/feed.js'
import type { ListSource } from './list-source.js'

/** A message for people: one line, and one more when the fix is known. */
export interface Problem {
  /** Lower case, no full stop (except the original's own texts), not yet escaped for a terminal. */
  message: string
  hint?: string | undefined
  /** Makes the exit code 1. */
  isError: boolean
}

/** One list of `all`, in its place. */
export interface ConfiguredList {
  /** One character a byte. */
  name: string
  /** `unknown`: the record is missing or broken, so it may have been meant as either. */
  colour: 'black' | 'white' | 'unknown'
  /** Undefined when the record does not say where the list comes from. */
  source: ListSource | undefined
  /** What spamd sends to clients on a black list, one character per byte; undefined when there is none. */
  message: string | undefined
  /** `:never:`: its addresses are removed from every downloaded black list. */
  isNever: boolean
  /** It is a white list for the black list before it; false for a `:never:` list that is nothing else. */
  isException: boolean
  /** What is wrong with the record. */
  problems: Problem[]
}

/** The lists of spamd.conf as a run uses them. */
export interface Configuration {
  lists: ConfiguredList[]
  /** What is wrong with the file as a whole. */
  problems: Problem[]
  /** False when the file is unusable: there is no `all`. */
  isUsable: boolean
}

/** True for a list that comes from a server. */
export function isDownloaded({ source }: ConfiguredList): boolean {
  return source !== undefined && isRemote(source.method)
}
