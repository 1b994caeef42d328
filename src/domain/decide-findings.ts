/**
 * Decides what DNS answered about attempts after their reply: SPF lets the servers of a domain count as one
 * client, DNS allow lists let a client pass, and DNS block lists keep it waiting.
 *
 * A first attempt never passes by SPF alone, because anyone can publish a record: domain, sender and
 * recipient must have been seen before, and passtime must have elapsed. `draft.now` is the time of the
 * attempts, not of the answers.
 */
import { type Cause, tupleText } from './change.js'
import { isBeforeReset, makeRoomFor, openedPart, promote, selectAttempts, trap } from './decide-attempts.js'
import { hasPoolPassed, keepPool, openFurther, openPool, type SeenPool, seePool } from './decide-pools.js'
import type { Draft, Selection } from './draft.js'
import type { EntryTimes } from './entry.js'
import { hasPassed, newTuple } from './greylist-rules.js'
import { type HeldTuple, NO_TUPLE } from './held.js'
import { openedNetwork, poolKeyText, poolTuple } from './pool-key.js'
import type { AttemptFinding, GreyPolicy, PoolAttempt, TupleOutcome } from './requests.js'

const PROMOTION: Cause = { rule: 'promotion' }
const DNS_LIST: Cause = { rule: 'dns-list' }

/** What must be loaded to decide findings. */
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

/** Decides findings in order; outcomes in the same order. `repeated`: the client keeps waiting. */
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

/** What counts for a pass by SPF. The address opens only itself, so no list has to be checked. */
function spfPools({ spfPass }: AttemptFinding): PoolAttempt[] {
  return spfPass === undefined ? [] : [{ key: { kind: 'spf', domain: spfPass.domain }, mayOpen: true }]
}

function decideFinding(draft: Draft, finding: AttemptFinding, policy: GreyPolicy): TupleOutcome {
  const { attempt } = finding
  const { clientIp, tuple } = attempt
  const trapped = trapBySpf(draft, finding, policy)
  if (trapped !== undefined) return trapped
  let evictedCount = 0
  const shared = (attempt.pools ?? []).flatMap((pool) => knownPool(draft, pool, finding))
  const [spf] = spfPools(finding).map((pool) => seePool(draft, pool, tuple, policy))
  if (spf !== undefined) {
    evictedCount += makeRoomFor(draft, spf.tuple, policy.maxTuplesPerAddress)
    keepPool(draft, spf)
  }
  const waiting: TupleOutcome = { result: 'repeated', isNewHost: false, evictedCount }
  if (!attempt.mayPromote) return waiting
  const text = tupleText(tuple)
  const own = draft.tuple(text)
  const pools = spf === undefined ? shared : [...shared, spf]
  const passed = pools.filter((pool) => hasPoolPassed(draft, pool, clientIp))
  const seen = ownPassed(draft, tuple.ip, own) ?? passed[0]?.entry
  const wasKnown = draft.host(clientIp).entry !== undefined
  const promotion = letIn(draft, finding, own.entry, seen, policy)
  const opened = openBy(draft, finding, { passed, spf, wasKnown, ownCount: own.entry?.bcount ?? 0 }, policy)
  if (promotion === 'refused') return { ...waiting, ...openedPart(opened) }
  if (own.entry !== undefined) draft.putTuple(text, tuple, NO_TUPLE, PROMOTION)
  return {
    result: 'promoted',
    isNewHost: promotion === 'new',
    evictedCount,
    ...(seen === undefined ? {} : { waitedSec: draft.now - seen.first }),
    ...openedPart(opened),
  }
}

/** A server that forwards mail fails the SPF of its senders; one that is WHITE is known to be a server. */
function trapBySpf(
  draft: Draft,
  { attempt, isSpfFail }: AttemptFinding,
  policy: GreyPolicy,
): TupleOutcome | undefined {
  if (isSpfFail !== true || draft.host(attempt.clientIp).entry?.kind === 'WHITE') return undefined
  return trap(draft, attempt, policy, 'trapped-spf')
}

/** The client's own tuple when it has waited long enough. */
function ownPassed(draft: Draft, ip: string, own: HeldTuple): EntryTimes | undefined {
  if (own.entry === undefined || isBeforeReset(draft, ip, own)) return undefined
  return hasPassed(own.entry, draft.now) ? own.entry : undefined
}

/** Promotes the client if one of the times `seen` has passed, or at once if it is on an allow list. */
function letIn(
  draft: Draft,
  { attempt: { clientIp }, isAllowListed }: AttemptFinding,
  own: EntryTimes | undefined,
  seen: EntryTimes | undefined,
  policy: GreyPolicy,
): ReturnType<typeof promote> {
  if (seen !== undefined) return promote(draft, clientIp, seen, policy, PROMOTION)
  if (isAllowListed !== true) return 'refused'
  const first = own ?? newTuple(policy.greyExpireSec, draft.now)
  return promote(draft, clientIp, { ...first, pass: draft.now }, policy, DNS_LIST)
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
    // Any server that retried makes its domain known: the record distinguishes the domain's other servers
    // from other hosts.
    opened.push(
      passed.includes(spf)
        ? openPool(draft, spf, clientIp, 0, policy)
        : openFurther(draft, spf.attempt.key, clientIp, spf.entry),
    )
  }
  return opened.filter((network) => network !== undefined)
}
