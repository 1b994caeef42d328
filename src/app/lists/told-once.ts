import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFileWith } from '../../platform/replace-file.js'

const FILE_NAME = 'told.json'
const FILE_MODE = 0o644
const MAX_BYTES = 65_536

/**
 * The topics whose message is not the one that was told last; undefined means no message. Stored in the state
 * folder unless the run may change nothing. If the note cannot be read or written, the message is reported
 * again.
 */
export async function findNews(
  stateDir: string,
  messages: ReadonlyMap<string, string | undefined>,
  { isReadOnly }: { isReadOnly: boolean },
): Promise<Set<string>> {
  const news = new Set<string>()
  if (messages.size === 0) return news
  const path = join(stateDir, FILE_NAME)
  const told = await readTold(path)
  let isChanged = false
  for (const [topic, message] of messages) {
    if (told.get(topic) === message) continue
    isChanged = true
    if (message === undefined) told.delete(topic)
    else {
      told.set(topic, message)
      news.add(topic)
    }
  }
  if (isChanged && !isReadOnly) {
    try {
      await replaceFileWith(path, Buffer.from(`${JSON.stringify([...told])}\n`), FILE_MODE)
    } catch {
      // Then the next run reports it once more.
    }
  }
  return news
}

async function readTold(path: string): Promise<Map<string, string>> {
  try {
    const content = await readFile(path)
    if (content.length > MAX_BYTES) return new Map()
    const entries = JSON.parse(content.toString('utf8')) as unknown
    if (!Array.isArray(entries)) return new Map()
    return new Map(
      entries.filter(
        (entry): entry is [string, string] =>
          Array.isArray(entry) && entry.length === 2 && entry.every((text) => typeof text === 'string'),
      ),
    )
  } catch {
    return new Map()
  }
}
