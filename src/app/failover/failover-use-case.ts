/**
 * `spamdctl failover plan`: reads the description, checks it, and compares each node's files with the
 * installed ones.
 */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { AppError, isSystemError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { programFolder, readExample } from '../examples.js'
import { type FileStep, planFileStep } from '../init/planned-file.js'
import { pullSetup } from '../init/pull-setup.js'
import {
  type FailoverNode,
  findFailoverFaults,
  needsPassphrase,
  parseFailoverDescription,
} from './failover-description.js'
import { planFailoverNode } from './plan-failover.js'

/** A description is a page of text. */
const MAX_DESCRIPTION_BYTES = 256 * 1024

/** One node's part of the plan. */
export interface PlannedNode {
  name: string
  /** True when the files were compared with those of this machine; else every file is shown whole. */
  isHere: boolean
  steps: FileStep[]
  /** Manual steps after the files, in order. */
  commands: string[]
}

/**
 * The plan, or why it cannot work. `passphrase` is in the text of the files and must not reach a terminal
 * unless requested.
 */
export type FailoverPlan =
  | { ok: true; nodes: PlannedNode[]; passphrase: string | undefined }
  | { ok: false; faults: string[] }

/**
 * Plans both nodes, or the one named. Errors: `ERR_FAILOVER_READ` (`cannot read PATH: reason`), `ERR_FAILOVER_FORMAT`,
 * `ERR_FAILOVER_NODE` (no node of that name). `root`: where this machine's files are, `/` but in tests.
 */
export function planFailover(
  path: string,
  options: { root: string; nodeName?: string | undefined; hostName?: string | undefined },
): FailoverPlan {
  const plan = parseFailoverDescription(readText(path, MAX_DESCRIPTION_BYTES))
  const passphrase = needsPassphrase(plan) ? readPassphrase(plan.passphraseFile) : undefined
  const faults = findFailoverFaults(plan, passphrase)
  if (faults.length > 0) return { ok: false, faults }
  const hostName = options.hostName ?? hostname()
  const wanted = plan.nodes.filter(({ name }) => options.nodeName === undefined || name === options.nodeName)
  if (wanted.length === 0) {
    const names = plan.nodes.map(({ name }) => name).join(' and ')
    throw new AppError('ERR_FAILOVER_NODE', `no node ${options.nodeName}: the description has ${names}`)
  }
  const nodes = wanted.map((node): PlannedNode => {
    const isHere = isSameHost(node.name, hostName) || options.nodeName !== undefined
    const present = (file: string) => (isHere ? readPresent(join(options.root, file)) : undefined)
    const peer = plan.nodes.find((other) => other !== node) as FailoverNode
    const pulls = pullSetup(plan.system === 'linux' ? 'debian' : plan.system, {
      peer: peer.syncAddress.split('/')[0]!,
      ownAddress: node.syncAddress.split('/')[0],
      example: readExample,
      isThere: (file) => present(file) !== undefined,
      programFolder: options.root === '/' ? programFolder() : '/usr/bin',
    })
    const { files, steps } = planFailoverNode({
      plan,
      node,
      peer,
      passphrase: passphrase ?? '',
      present,
      pulls,
    })
    return {
      name: node.name,
      isHere,
      steps: files.map((file) => planFileStep(file, present(file.path))),
      commands: steps,
    }
  })
  return { ok: true, nodes, passphrase }
}

/** Host names are equal when one is the other with a domain appended. */
function isSameHost(one: string, other: string): boolean {
  const short = (name: string) => name.toLowerCase().split('.')[0]
  return short(one) === short(other)
}

function readPassphrase(path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  try {
    const [first = ''] = readFileSync(path, 'utf8').split(/\r?\n/)
    return first === '' ? undefined : first
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return undefined
    throw readError(path, error)
  }
}

function readPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return undefined
    throw readError(path, error)
  }
}

function readText(path: string, maxBytes: number): string {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    throw readError(path, error)
  }
  if (bytes.length > maxBytes) {
    throw new AppError('ERR_FAILOVER_READ', `cannot read ${path}: larger than ${maxBytes / 1024} KiB`)
  }
  return bytes.toString('utf8')
}

function readError(path: string, error: unknown): AppError {
  const isDenied = isSystemError(error) && error.code === 'EACCES'
  return new AppError('ERR_FAILOVER_READ', `cannot read ${path}: ${reasonOf(error)}`, {
    cause: error,
    hint: isDenied ? 'run it as root' : undefined,
  })
}
