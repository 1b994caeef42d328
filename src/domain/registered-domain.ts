/**
 * Second-level names below which the registries of many countries register domains: `example.co.uk`. One that is
 * missing only makes a group wider, one too many makes it narrower.
 */
const SHARED_SECOND_LEVELS: ReadonlySet<string> = new Set(
  'ac co com edu go gob gouv gov gv id info mil name ne net nhs nom or org plc sch web'.split(' '),
)
const COUNTRY_LABEL = /^[a-z]{2}$/

/**
 * The part of a domain that somebody registered, as far as its form tells: the last two labels, or three below a
 * second level that a country shares (`a.b.example.co.uk` is `example.co.uk`). A good guess for deciding who makes
 * room first, for nothing else: a list of all public suffixes would have to be kept up to date.
 */
export function registeredDomain(domain: string): string {
  const last = domain.lastIndexOf('.')
  const second = startOfLabel(domain, last)
  if (second === 0) return domain
  const isShared =
    COUNTRY_LABEL.test(domain.slice(last + 1)) && SHARED_SECOND_LEVELS.has(domain.slice(second, last))
  return domain.slice(isShared ? startOfLabel(domain, second - 1) : second)
}

/** Where the label begins that ends before a dot; 0 when there is no dot. */
function startOfLabel(domain: string, dot: number): number {
  return dot <= 0 ? 0 : domain.lastIndexOf('.', dot - 1) + 1
}
