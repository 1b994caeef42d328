/**
 * Second-level names below which the registries of many countries register domains: `example.co.uk`. A missing
 * one only makes a group wider, a superfluous one makes it narrower.
 */
const SHARED_SECOND_LEVELS: ReadonlySet<string> = new Set(
  'ac co com edu go gob gouv gov gv id info mil name ne net nhs nom or org plc sch web'.split(' '),
)
const COUNTRY_LABEL = /^[a-z]{2}$/

/**
 * The registered part of a domain, guessed from its form: the last two labels, or three below a shared second level of
 * a country (`a.b.example.co.uk` is `example.co.uk`). Good enough for deciding whose tuples are evicted first, but for
 * nothing else: a list of all public suffixes would have to be kept up to date.
 */
export function registeredDomain(domain: string): string {
  const last = domain.lastIndexOf('.')
  const second = startOfLabel(domain, last)
  if (second === 0) return domain
  const isShared =
    COUNTRY_LABEL.test(domain.slice(last + 1)) && SHARED_SECOND_LEVELS.has(domain.slice(second, last))
  return domain.slice(isShared ? startOfLabel(domain, second - 1) : second)
}

/** The start of the label that ends before a dot; 0 if there is no dot. */
function startOfLabel(domain: string, dot: number): number {
  return dot <= 0 ? 0 : domain.lastIndexOf('.', dot - 1) + 1
}
