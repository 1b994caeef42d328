import { escapeControl } from '../escape.js'
import {
  type CapabilityField,
  type CapabilityRecord,
  findCapability,
  hasName,
  type TextPosition,
} from './getcap.js'

/** Maximum nesting of includes. Source: getcap(3), MAX_RECURSION. */
const MAX_INCLUDE_DEPTH = 32
/**
 * Maximum number of fields of one record with all its includes: enough for the longest `all`. Each nesting could
 * double them.
 */
const MAX_FIELDS = 16384

/** The fields of a record with its includes resolved, or where and why one cannot be resolved. */
export type ResolvedFields =
  | { ok: true; fields: CapabilityField[] }
  | { ok: false; position: TextPosition; message: string; fix: string }

/** Finds records by name; of several with one name, the first counts. */
export class RecordIndex {
  readonly #records: readonly CapabilityRecord[]
  readonly #bySingleName = new Map<string, CapabilityRecord>()

  constructor(records: readonly CapabilityRecord[]) {
    this.#records = records
    for (const record of records) {
      for (const name of record.names.split('|')) {
        if (!this.#bySingleName.has(name)) this.#bySingleName.set(name, record)
      }
    }
  }

  find(name: string): CapabilityRecord | undefined {
    if (!name.includes('|')) return this.#bySingleName.get(name)
    return this.#records.find((record) => hasName(record, name))
  }
}

/**
 * Puts the fields of the named record in place of each `tc=NAME`, again and again. Unlike in the original, `:tc=`
 * inside a quoted message is text. `fields` says where a field ends: in the record `all`, quotes have no meaning.
 */
export function resolveRecord(
  record: CapabilityRecord,
  index: RecordIndex,
  fields: 'quoted' | 'unquoted' = 'quoted',
): ResolvedFields {
  const resolver = new IncludeResolver(index, fields)
  const failure = resolver.append(record, [record])
  return failure ?? { ok: true, fields: resolver.fields }
}

type IncludeFailure = ResolvedFields & { ok: false }

class IncludeResolver {
  readonly fields: CapabilityField[] = []
  readonly #index: RecordIndex
  readonly #isUnquoted: boolean
  #visitedFields = 0

  constructor(index: RecordIndex, fields: 'quoted' | 'unquoted') {
    this.#index = index
    this.#isUnquoted = fields === 'unquoted'
  }

  append(record: CapabilityRecord, path: readonly CapabilityRecord[]): IncludeFailure | undefined {
    for (const field of this.#isUnquoted ? record.unquotedFields : record.fields) {
      this.#visitedFields += 1
      if (this.#visitedFields > MAX_FIELDS) {
        const message = `more than ${MAX_FIELDS} fields including those of tc=`
        return { ok: false, position: field.position, message, fix: 'include less' }
      }
      const include = findCapability([field], 'tc', '=')
      if (include.kind !== 'present') {
        this.fields.push(field)
        continue
      }
      const failure = this.#include(include.value, field, path)
      if (failure !== undefined) return failure
    }
    return undefined
  }

  #include(
    name: string,
    { position }: CapabilityField,
    path: readonly CapabilityRecord[],
  ): IncludeFailure | undefined {
    const shown = escapeControl(name)
    const target = this.#index.find(name)
    if (target === undefined) {
      const message = `tc= includes "${shown}", but there is no such record`
      return { ok: false, position, message, fix: `add a record ${shown}, or remove this tc=` }
    }
    if (path.includes(target)) {
      const message = `tc= includes "${shown}" in a loop`
      return { ok: false, position, message, fix: 'remove one tc= of the loop' }
    }
    if (path.length > MAX_INCLUDE_DEPTH) {
      const message = `tc= is nested more than ${MAX_INCLUDE_DEPTH} deep`
      return { ok: false, position, message, fix: 'nest fewer' }
    }
    return this.append(target, [...path, target])
  }
}
