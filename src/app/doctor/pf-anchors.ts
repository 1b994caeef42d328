/** The rules of pf with those of its anchors inserted. Source: pf.conf(5), ANCHORS; pfctl(8), -a. */
import { type PfRule, parsePfRules } from '../../codec/system/pf-rules.js'
import type { CommandOutput } from '../../platform/system-probe.js'
import { outputOf } from './context.js'

type Pfctl = (...args: string[]) => Promise<CommandOutput>

/** Anchors in anchors; pf itself allows 64. */
const MAX_DEPTH = 8
/** Maximum number of anchors read: each is a run of pfctl, and proxies create one for each client. */
const MAX_ANCHORS = 64

/** Filter rules, or translation rules of FreeBSD, in the order in which pf evaluates them. */
export async function readPfRules(pfctl: Pfctl, sort: 'rules' | 'nat'): Promise<PfRule[]> {
  let askedCount = 0
  const read = async (path: string, within: readonly PfRule[]): Promise<PfRule[]> => {
    const place = path === '' ? [] : ['-a', path]
    const rules = parsePfRules(outputOf(await pfctl(...place, '-s', sort)) ?? '')
    const all: PfRule[] = []
    for (const rule of rules) {
      if (rule.anchor === undefined) all.push({ ...rule, within })
      else {
        for (const name of await namesOf(pfctl, path, rule.anchor)) {
          askedCount += 1
          if (askedCount > MAX_ANCHORS || within.length === MAX_DEPTH) break
          all.push(...(await read(name, [...within, rule])))
        }
      }
    }
    return all
  }
  return await read('', [])
}

/** The full paths that the name of an anchor stands for; absolute with a leading slash, else below `path`. */
async function namesOf(pfctl: Pfctl, path: string, name: string): Promise<string[]> {
  const whole = name.startsWith('/') ? name.slice(1) : path === '' ? name : `${path}/${name}`
  if (!whole.endsWith('*')) return [whole]
  const parent = whole.replace(/\/?\*$/, '')
  const listed = outputOf(await pfctl(...(parent === '' ? [] : ['-a', parent]), '-s', 'Anchors')) ?? ''
  return listed
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}
