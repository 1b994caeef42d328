/** Names of link types for error messages. Source: the LINKTYPE_ list of tcpdump.org. */
const LINK_TYPE_NAMES: Readonly<Record<number, string>> = {
  0: 'NULL',
  1: 'ETHERNET',
  9: 'PPP',
  12: 'RAW',
  14: 'RAW',
  101: 'RAW',
  105: 'IEEE802_11',
  108: 'LOOP',
  113: 'LINUX_SLL',
  117: 'PFLOG',
  239: 'NFLOG',
  276: 'LINUX_SLL2',
}

/** `1 (ETHERNET)`, or the bare number of a type without a known name. */
export function formatLinkType(linkType: number): string {
  const name = LINK_TYPE_NAMES[linkType]
  return name === undefined ? String(linkType) : `${linkType} (${name})`
}
