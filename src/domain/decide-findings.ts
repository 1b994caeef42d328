/**
 * What DNS said about attempts after their answers, as values: SPF lets the servers of a domain wait together, lists of
 * good senders let a client in, and lists of bad ones let it wait on.
 *
 * A first attempt never passes by SPF alone, since anybody can publish a record: the domain, sender and recipient must
 * have been seen before, and passtime be over. `draft.now` is the time of the attempts, not of what was learnt.
 */
import { type Cause, tupleText } from './change.js'
import { isBeforeReset, makeRoom, promote, selectAttempts, trap } from './decide-attempts.js'
import { hasPoolPassed, keepPool, openFurther, openPool, type SeenPool, seePool } from './decide-pools.js'
import type { Draft, Selection } from './draft.js'
import type { EntryTimes } from './entry.js'
import { hasPassed, newTuple } from './greylist-rules.js'
import { NO_TUPLE } from './held.js'
import { openedNetwork, poolKeyText, poolTuple } from './pool-key.js'
import type { AttemptFinding, GreyPolicy, PoolAttempt, TupleOutcome } from './requests.js'

const PROMOTION: Cause = { rule: 'promotion' }
const DNS_LIST: Cause = { rule: 'dns-list' }

/** What has to be on hand to decide findings. */
export function selectFindings(
  findings: readonly AttemptFinding[],
  policy: Pick<GreyPolicy, 'maxTuplesPerAddress'>,
): Selection {
  const attempts = findings.map((finding) => ({
    ...finding.attempt,
    pools: [...(finding.attempt.pools ?? []), ...spfPools(finding)],
  }))
  const selection = selectAttempts(attempts, policy)
  for (const { clientIp, pools } of attempts) {
    for (const { key } of pools) {
      const network = openedNetwork(key, clientIp)
      selection.pools.add(network)
      selection.trapsIn.add(network)
      selection.poolCounts.add(poolKeyText(key))
    }
  }
  for (const { attempt, isSpfFail } of findings) {
    if (isSpfFail === true) selection.poolsAround.add(attempt.clientIp)
  }
  return selection
}

/** Decides findings in order; outcomes in the same order. `repeated`: the client goes on waiting. */
export function decideFindings(
  draft: Draft,
  findings: readonly AttemptFinding[],
  policy: GreyPolicy,
): TupleOutcome[] {
  return findings.map((finding, index) => {
    draft.begin(index)
    return decideFinding(draft, finding, policy)
  })
}

/** What counts for a pass by SPF; the address opens nothing but itself, so that no list has to be asked. */
function spfPools({ spfPass }: AttemptFinding): PoolAttempt[] {
  return spfPass === undefined ? [] : [{ key: { kind: 'spf', domain: spfPass.domain }, mayOpen: true }]
}

function decideFinding(draft: Draft, finding: AttemptFinding, policy: GreyPolicy): TupleOutcome {
  const { attempt, isSpfFail = false, isAllowListed = false } = finding
  const { clientIp, tuple, mayPromote } = attempt
  // A server that forwards mail fails the SPF of its senders, and one that is WHITE is known to be a server.
  if (isSpfFail && draft.host(clientIp).entry?.kind !== 'WHITE') {
    const trapped = trap(draft, attempt, policy, 'trapped-spf')
    if (trapped !== undefined) return trapped
  }
  let evictedCount = 0
  const shared = (attempt.pools ?? []).flatMap((pool) => knownPool(draft, pool, finding))
  const [spf] = spfPools(finding).map((pool) => seePool(draft, pool, tuple, policy))
  if (spf !== undefined) {
    if (!spf.isKnown) evictedCount += makeRoom(draft, spf.tuple.ip, policy.maxTuplesPerAddress)
    keepPool(draft, spf)
  }
  const waiting: TupleOutcome = { result: 'repeated', isNewHost: false, evictedCount }
  if (!mayPromote) return waiting
  const pools = spf === undefined ? shared : [...shared, spf]
  const text = tupleText(tuple)
  const own = draft.tuple(text)
  const isOwnVoid = own.entry === undefined || isBeforeReset(draft, tuple.ip, own)
  const passed = pools.filter((pool) => hasPoolPassed(draft, pool, clientIp))
  const seen = !isOwnVoid && hasPassed(own.entry!, draft.now) ? own.entry! : passed[0]?.entry
  const wasKnown = draft.host(clientIp).entry !== undefined
  const first = own.entry ?? newTuple(policy.greyExpireSec, draft.now)
  const times: EntryTimes | undefined = seen ?? (isAllowListed ? { ...first, pass: draft.now } : undefined)
  const promotion =
    times === undefined
      ? 'refused'
      : promote(draft, clientIp, times, policy, seen === undefined ? DNS_LIST : PROMOTION)
  const opened = openBy(draft, finding, { passed, spf, wasKnown, ownCount: own.entry?.bcount ?? 0 }, policy)
  const openedPart = opened.length === 0 ? {} : { opened }
  if (promotion === 'refused') return { ...waiting, ...openedPart }
  if (own.entry !== undefined) draft.putTuple(text, tuple, NO_TUPLE, PROMOTION)
  return {
    result: 'promoted',
    isNewHost: promotion === 'new',
    evictedCount,
    ...(seen === undefined ? {} : { waitedSec: draft.now - seen.first }),
    ...openedPart,
  }
}

/** A key that the attempt was counted under when it was recorded. */
function knownPool(draft: Draft, attempt: PoolAttempt, finding: AttemptFinding): SeenPool[] {
  const tuple = poolTuple(attempt.key, finding.attempt.tuple)
  const text = tupleText(tuple)
  const { entry } = draft.tuple(text)
  return entry === undefined ? [] : [{ attempt, text, tuple, isKnown: true, entry }]
}

interface Openers {
  /** Keys that have passed. */
  passed: readonly SeenPool[]
  spf: SeenPool | undefined
  /** The address had an entry before. */
  wasKnown: boolean
  ownCount: number
}

function openBy(
  draft: Draft,
  { attempt: { clientIp }, spfPass }: AttemptFinding,
  { passed, spf, wasKnown, ownCount }: Openers,
  policy: GreyPolicy,
): string[] {
  const opened: (string | undefined)[] = []
  for (const pool of passed) {
    if (pool !== spf && !wasKnown) opened.push(openPool(draft, pool, clientIp, ownCount, policy))
  }
  if (spf !== undefined && spfPass?.isOfDomain === true) {
    // A domain is known by any server of its own that came back: its record tells the others from strangers.
    opened.push(
      passed.includes(spf)
        ? openPool(draft, spf, clientIp, 0, policy)
        : openFurther(draft, spf.attempt.key, clientIp, spf.entry),
    )
  }
  return opened.filter((network) => network !== undefined)
}
