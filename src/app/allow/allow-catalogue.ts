/**
 * Large senders that are known to retry from pools of addresses, with a domain whose SPF record names the
 * networks of their servers. Collected in November 2026 without DNS queries: the current networks are what
 * `spamdctl allow add --dry-run` shows. Retrying from another address is legitimate; whether to exempt a
 * sender is the administrator's choice.
 */

interface CatalogueSender {
  /** Argument of `spamdctl allow add`. */
  domain: string
  who: string
  what: string
}

/** In alphabetical order of `who`. */
const ALLOW_CATALOGUE: readonly CatalogueSender[] = [
  { domain: 'amazonses.com', who: 'Amazon SES', what: 'mail that companies send through Amazon' },
  { domain: 'icloud.com', who: 'Apple iCloud', what: 'mailboxes' },
  { domain: '_spf.google.com', who: 'Google Mail and Workspace', what: 'mailboxes' },
  { domain: 'servers.mcsv.net', who: 'Mailchimp', what: 'newsletters' },
  {
    domain: 'spf.mandrillapp.com',
    who: 'Mailchimp Transactional',
    what: 'mail that companies send through it',
  },
  { domain: 'mailgun.org', who: 'Mailgun', what: 'mail that companies send through it' },
  { domain: 'facebookmail.com', who: 'Meta', what: 'notifications and codes' },
  { domain: 'spf.protection.outlook.com', who: 'Microsoft 365 and Outlook.com', what: 'mailboxes' },
  { domain: 'sendgrid.net', who: 'SendGrid', what: 'mail that companies send through it' },
]

/** The catalogue as commands with comments, for people to choose from. */
export function formatAllowCatalogue(): string {
  const width = Math.max(...ALLOW_CATALOGUE.map(({ domain }) => domain.length))
  const lines = ALLOW_CATALOGUE.map(
    ({ domain, who, what }) => `spamdctl allow add ${domain.padEnd(width)}  # ${who}: ${what}\n`,
  )
  return `# Large senders known to retry from pools of addresses, November 2026. Add --dry-run to see
# which networks a domain's record names today. Everyone who sends through such a service bypasses spamd.
${lines.join('')}`
}
