import { createSecureContext, type SecureContext } from 'node:tls'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'

/**
 * What STARTTLS is done with: every protocol version and cipher that the library allows by default, no client
 * certificates. Throws `ERR_SPAMD_TLS` with the original's text when certificate and key do not fit.
 */
export function secureContextOf(certificate: Buffer, key: Buffer): SecureContext {
  try {
    return createSecureContext({ cert: certificate, key })
  } catch (error) {
    throw new AppError('ERR_SPAMD_TLS', `failed to configure TLS - ${reasonOf(error)}`, {
      hint: '-C needs a certificate and -K its key, both in PEM format',
      cause: error,
    })
  }
}
