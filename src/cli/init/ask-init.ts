/** The questions of `spamdctl init`; a question answered by a flag is not asked. */
import type { System } from '../../app/init/detect-system.js'
import type { InitAnswers } from '../../app/init/init-types.js'
import { STARTER_LISTS } from '../../app/init/run-init.js'
import { OptionProblem, type OptionValues } from '../option-reader.js'

/** Asks one question; returns the trimmed answer, '' for none. */
export type Ask = (question: string) => Promise<string>

/**
 * The answers from flags, and from at most six questions where `ask` is given. Without it (no terminal, or
 * --yes) defaults are used; throws `OptionProblem` when there is none for the outside interface.
 */
export async function collectAnswers(
  options: OptionValues,
  system: System,
  defaultInterface: string | undefined,
  ask: Ask | undefined,
): Promise<InitAnswers> {
  const answer = async (name: string, question: string, fallback: string): Promise<string> => {
    const given = options.last(name)
    if (given !== undefined) return given
    const shown = fallback === '' ? '' : ` [${fallback}]`
    return (await ask?.(`${question}${shown}: `)) || fallback
  }
  const answers = async (name: string, question: string, fallback: readonly string[]): Promise<string[]> => {
    const given = options.all(name)
    const text = given.length > 0 ? given.join(' ') : await answer(name, question, fallback.join(' '))
    const words = text.split(/[\s,]+/).filter((word) => word !== '')
    return words.length === 1 && words[0] === 'none' ? [] : words
  }
  const outside = await answer('outside', '1/6 outside interface', defaultInterface ?? '')
  if (outside === '') {
    throw new OptionProblem('cannot tell which interface is the outside one', {
      hint: 'name it with --outside',
    })
  }
  const mailServers = await answers(
    'mail-server',
    '2/6 addresses of your own mail servers (none: this host)',
    ['none'],
  )
  const mode = await answer(
    'mode',
    '3/6 greylist unknown hosts, or use block lists only (greylist, blacklist)',
    'greylist',
  )
  if (mode !== 'greylist' && mode !== 'blacklist') {
    throw new OptionProblem(`mode: must be greylist or blacklist: ${mode}`)
  }
  const lists = await answers('list', '4/6 block lists (spamdctl lists catalogue), or none', STARTER_LISTS)
  const peer = await answer('peer', '5/6 address of a second gateway, or none', 'none')
  const log = await answer('log', '6/6 packet log device', system === 'debian' ? 'nflog:25' : 'pflog1')
  return { outside, mailServers, mode, lists, peer: peer === 'none' ? undefined : peer, log }
}
