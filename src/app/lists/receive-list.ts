/** The content of a list being received: parsed, and stored as the copy that may become the last good one. */
import { createListParser, type ListSummary } from '../../codec/lists/list-lines.js'
import { isRemote, type Validator } from '../../feeds/feed.js'
import type { CopyWriter, ListCopy, ListStore } from '../../feeds/list-store.js'
import { AppError } from '../../platform/app-error.js'
import type { ListSource } from './list-source.js'
import type { SettleOptions } from './settle-options.js'
import { type SourceFailure, toFailure } from './settled-source.js'
import { sizeOf } from './width-guards.js'

/** What was received; the copy is not yet the last good one. */
export interface Fetched {
  summary: ListSummary
  writer: CopyWriter | undefined
  storeFailure: SourceFailure | undefined
}

/** Reads a body to its end. Rejects with the failure of the body; one of the store only stops the copy. */
export async function receiveList(
  source: ListSource,
  options: SettleOptions,
  body: AsyncIterable<Uint8Array>,
): Promise<Fetched> {
  const parser = createListParser({ column: source.column })
  let writer: CopyWriter | undefined
  let storeFailure: SourceFailure | undefined
  const giveUpStoring = async (error: unknown) => {
    if (!(error instanceof AppError)) throw error
    storeFailure = toFailure(error)
    await writer?.discard()
    writer = undefined
  }
  if (!options.isReadOnly) {
    try {
      writer = await options.store.writeCopy(source.name)
    } catch (error) {
      await giveUpStoring(error)
    }
  }
  let receivedBytes = 0
  try {
    for await (const chunk of body) {
      parser.push(chunk)
      receivedBytes += chunk.length
      options.onProgress(source, receivedBytes)
      try {
        await writer?.write(chunk)
      } catch (error) {
        await giveUpStoring(error)
      }
    }
  } catch (error) {
    await writer?.discard()
    throw error
  }
  return { summary: parser.end(), writer, storeFailure }
}

/** Makes the copy the last good one: its SHA-256, or why it could not be. */
export async function keepCopy(
  source: ListSource,
  options: SettleOptions,
  facts: { validator: Validator; stamp: string | undefined },
  summary: ListSummary,
  writer: CopyWriter,
): Promise<SourceFailure | string> {
  try {
    return await writer.commit({
      listName: source.name,
      method: source.method,
      location: source.location,
      fetchedSec: options.nowSec,
      ...facts,
      entries: summary.accepted,
      ...(isRemote(source.method) ? { size: sizeOf(summary) } : {}),
    })
  } catch (error) {
    await writer.discard()
    if (!(error instanceof AppError)) throw error
    return toFailure(error)
  }
}

/** The content of the copy, or undefined when there is none that can be trusted. */
export async function parseCopy(
  source: ListSource,
  store: ListStore,
  facts: ListCopy | undefined,
): Promise<ListSummary | undefined> {
  if (facts === undefined) return undefined
  const parser = createListParser({ column: source.column })
  try {
    for await (const chunk of store.readCopy(source.name)) parser.push(chunk)
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
  const summary = parser.end()
  return summary.failure === undefined ? summary : undefined
}
