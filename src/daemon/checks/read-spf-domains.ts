import type { SenderCheckConfig } from '../../app/sender-check-config.js'
import { SpfDomains } from '../../app/spf-domains.js'
import { AppError } from '../../platform/app-error.js'
import { errnoText } from '../../platform/errno-text.js'
import type { SpamdResources } from '../process/spamd-resources.js'

/**
 * The domains of --grey-spf FILE; undefined without a file, which means all. Rejects with `AppError` when the file is
 * missing, cannot be read or has a line that is no domain.
 */
export async function readSpfDomains(
  { spf }: Pick<SenderCheckConfig, 'spf'>,
  resources: Pick<SpamdResources, 'readSpfDomains'>,
): Promise<SpfDomains | undefined> {
  const path = spf?.domainsFile
  if (path === undefined) return undefined
  const content = await resources.readSpfDomains()
  if (content === undefined) {
    throw new AppError('ERR_SPF_DOMAINS', `--grey-spf ${path}: ${errnoText('ENOENT')}`, {
      hint: 'create the file, one domain per line, or give "all"',
    })
  }
  return new SpfDomains(content, path)
}
