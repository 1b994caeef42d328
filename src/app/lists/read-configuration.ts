import { resolve } from 'node:path'
import { MAX_CONF_BYTES, parseSpamdConf } from '../../codec/spamd-conf/spamd-conf.js'
import type { ConfDiagnostic, ListEntry, SpamdList } from '../../codec/spamd-conf/spamd-list.js'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { PatientFile, readPatiently } from '../../platform/patient-read.js'
import { toDisplayText } from '../wire-text.js'
import type { Configuration, ConfiguredList, Problem } from './configured-list.js'
import type { ListSource } from './list-source.js'

/** Maximum size of a message file: what spamd accepts. */
const MAX_MESSAGE_BYTES = 1024 * 1024

/** What the configuration was read from, with the lists as the parser gave them: for printing them again. */
export interface ReadConfiguration extends Configuration {
  entries: readonly ListEntry[]
}

/**
 * Reads spamd.conf and the message files that it names. Errors are returned as problems, in the original's
 * words where it has any, with place and fix as their hint.
 */
export async function readConfiguration(path: string): Promise<ReadConfiguration> {
  let content: Buffer
  try {
    // One byte more than allowed, so that the parser notices the excess.
    content = await readPatiently(path, MAX_CONF_BYTES + 1)
  } catch (error) {
    const reason = reasonOf(error)
    const problem: Problem = {
      message: `Can't find "all" in spamd config: ${reason}`,
      hint: `${path}: ${reason}; name another file with --conf`,
      isError: true,
    }
    return { entries: [], lists: [], problems: [problem], isUsable: false }
  }
  const { lists, diagnostics } = parseSpamdConf(content, { fileName: path })
  const general = diagnostics.filter(
    (diagnostic) => diagnostic.severity === 'warning' || diagnostic.list === undefined,
  )
  return {
    entries: lists,
    lists: await Promise.all(lists.map(configuredList)),
    problems: general.map(toProblem),
    isUsable: !diagnostics.some(
      (diagnostic) => diagnostic.severity === 'error' && diagnostic.list === undefined,
    ),
  }
}

async function configuredList(entry: ListEntry): Promise<ConfiguredList> {
  if (!entry.isUsable) {
    return {
      name: entry.name,
      colour: entry.colour ?? 'unknown',
      source: undefined,
      message: undefined,
      isNever: entry.isNever,
      isException: entry.colour !== 'black',
      problems: [toProblem(entry.diagnostic)],
    }
  }
  const list: ConfiguredList = {
    name: entry.name,
    colour: entry.colour,
    source: sourceOf(entry),
    message: undefined,
    isNever: entry.isNever,
    isException: entry.isException,
    problems: [],
  }
  if (entry.message === undefined) return list
  try {
    return { ...list, message: await readMessage(entry.message) }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return { ...list, problems: [{ message: error.message, hint: error.hint, isError: true }] }
  }
}

function sourceOf(list: SpamdList): ListSource {
  const { name, colour, method, location, column, minEntries } = list
  const { isEmptyOk, isAsRoot, isPrivateAllowed, isWideOk } = list
  return {
    ...{ name, colour, method, location, column, minEntries },
    ...{ isEmptyOk, isAsRoot, isPrivateAllowed, isWideOk },
  }
}

async function readMessage(message: NonNullable<SpamdList['message']>): Promise<string> {
  if (message.kind === 'text') return message.text
  let file: PatientFile
  try {
    file = await PatientFile.open(resolve('/', message.path))
  } catch (error) {
    throw messageFailure(`Can't open message from ${message.path}`, error)
  }
  try {
    return (await file.readUpTo(MAX_MESSAGE_BYTES)).toString('latin1')
  } catch (error) {
    throw messageFailure(`Can't read from ${message.path}`, error)
  } finally {
    await file.close()
  }
}

function messageFailure(what: string, error: unknown): AppError {
  return new AppError('ERR_CONF_MESSAGE', `${what}: ${reasonOf(error)}`, { cause: error })
}

function toProblem(diagnostic: ConfDiagnostic): Problem {
  const { fileName, line, column, message, fix, original } = diagnostic
  const place = `${fileName}:${line}:${column}: ${message}`
  const isError = diagnostic.severity === 'error'
  if (original === undefined) return { message: place, hint: fix, isError }
  return { message: toDisplayText(original), hint: `${place}; ${fix}`, isError }
}
