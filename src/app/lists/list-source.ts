import type { FeedMethod } from '../../feeds/feed.js'

/** A list of spamd.conf as far as fetching it goes. */
export interface ListSource {
  name: string
  colour: 'black' | 'white'
  method: FeedMethod
  /** Path, URL without scheme, or command line. */
  location: string
  /** `:column#N:` of a CSV list. */
  column: number | undefined
  /** `:min#N:`: fewer entries are a failure. */
  minEntries: number | undefined
  /** `:empty_ok:`: any shrinking, even to nothing, is genuine. */
  isEmptyOk: boolean
  /** `:as_root:`: opened or run with the rights that spamd-setup was started with. */
  isAsRoot?: boolean
  /** `:allow_private:`: redirects from the Internet to the inside are followed. */
  isPrivateAllowed?: boolean
  /** `:wide_ok:`: the list may hold very wide items and grow as it likes. */
  isWideOk: boolean
}

/** The display name of a source: a path, a command or a URL without the user and password in it. */
export function describeSource(source: Pick<ListSource, 'method' | 'location'>): string {
  if (source.method === 'file' || source.method === 'exec') return source.location
  return `${source.method}://${source.location.replace(/^[^/@]*@/, '')}`
}
