/** Real Postfix on a machine of the lab: a queue that retries, and a server that delivers to a mailbox. */
import type { Machine } from './machine.js'
import { until } from './until.js'

/** How a sender domain reaches the world: from which address, by which name, to which server. */
export interface Sender {
  /** Domain of the envelope sender. */
  domain: string
  /** Address that its connections come from. */
  address: string
  helo: string
  /** The server, as Postfix writes it: `[192.0.2.25]` or `[ipv6:2001:db8::25]`. */
  server: string
}

export interface PostfixOptions {
  /** Domain whose mail it delivers, all to one mailbox. */
  domain: string
  hostname: string
  senders: readonly Sender[]
  /** Lines for main.cf beside these. */
  settings?: readonly string[]
}

const SERVICES = `
smtp      inet  n - n - - smtpd
pickup    unix  n - n 1 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 1 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
tlsmgr    unix  - - n 1000? 1 tlsmgr
postlog   unix-dgram n - n - 1 postlogd
`
const MAILBOX = '/var/mailbox'

/** See the head of the file. */
export class Postfix {
  readonly #machine: Machine
  readonly #options: PostfixOptions

  constructor(machine: Machine, options: PostfixOptions) {
    this.#machine = machine
    this.#options = options
  }

  async start(): Promise<void> {
    const { domain, hostname, senders, settings = [] } = this.#options
    const main = [
      'compatibility_level = 3.6',
      'maillog_file = /var/log/postfix.log',
      `myhostname = ${hostname}`,
      'mydestination =',
      'mynetworks = 127.0.0.0/8 [::1]/128',
      'inet_interfaces = all',
      'inet_protocols = all',
      'disable_dns_lookups = yes',
      'smtp_host_lookup = native',
      'smtpd_peername_lookup = no',
      'alias_maps =',
      'biff = no',
      'message_size_limit = 30000000',
      `virtual_mailbox_domains = ${domain}`,
      `virtual_mailbox_base = ${MAILBOX}`,
      'virtual_mailbox_limit = 0',
      'virtual_mailbox_maps = static:all/',
      'virtual_minimum_uid = 100',
      'virtual_uid_maps = static:5000',
      'virtual_gid_maps = static:5000',
      'smtpd_recipient_restrictions = reject_unauth_destination',
      'sender_dependent_default_transport_maps = texthash:/etc/postfix/senders',
      // A queue that is in a hurry.
      'queue_run_delay = 1s',
      'minimal_backoff_time = 2s',
      'maximal_backoff_time = 4s',
      'smtp_destination_concurrency_limit = 50',
      'default_destination_concurrency_failed_cohort_limit = 0',
      ...settings,
    ]
    const services = senders.map(
      ({ address, helo }, index) =>
        `client${index} unix - - n - - smtp -o ${address.includes(':') ? `smtp_bind_address6=${address}` : `smtp_bind_address=${address}`} -o smtp_helo_name=${helo}`,
    )
    const table = senders.map(({ domain: from, server }, index) => `@${from} client${index}:${server}`)
    const machine = this.#machine
    await machine.write('/etc/postfix/main.cf', lines(main))
    await machine.write('/etc/postfix/master.cf', SERVICES + lines(services))
    await machine.write('/etc/postfix/senders', lines(table))
    const script = `
      getent group postdrop >/dev/null || groupadd --system postdrop
      getent passwd postfix >/dev/null || useradd --system --home /var/spool/postfix --shell /bin/false postfix
      mkdir -p /var/spool/postfix /var/lib/postfix ${MAILBOX}
      chown postfix /var/lib/postfix && chown 5000:5000 ${MAILBOX}
      postfix start`
    await machine.run('sh', '-ec', script)
    await until(
      async () =>
        (await machine.try('bash', '-c', 'exec 3<>/dev/tcp/127.0.0.1/25 && head -n 1 <&3')).code === 0,
      () => `Postfix on ${machine.name}`,
    )
  }

  /** Puts a message into the queue. */
  async send(from: string, to: string | readonly string[], message: Buffer): Promise<void> {
    const { code, stderr } = await this.#machine.feed(message, 'sendmail', '-i', '-f', from, ...[to].flat())
    if (code !== 0) throw new Error(`sendmail: ${stderr}`)
  }

  /** What has been logged so far. */
  log(): Promise<string> {
    return this.#machine.run('cat', '/var/log/postfix.log')
  }

  /** The deliveries so far in which the other side answered with a status such as `deferred` or `sent`. */
  async deliveries(status: string, to: string): Promise<string[]> {
    const log = await this.log()
    return log.split('\n').filter((line) => line.includes(`to=<${to}>`) && line.includes(`status=${status}`))
  }

  /** How many messages wait in the queue. */
  async queued(): Promise<number> {
    const { stdout } = await this.#machine.try('postqueue', '-j')
    return stdout.split('\n').filter((line) => line !== '').length
  }

  /** Digest by message id of everything in the mailbox, one each time that it was delivered. */
  async mailbox(): Promise<Map<string, string[]>> {
    const script = `
      cd ${MAILBOX}/all/new 2>/dev/null || exit 0
      for file in *; do
        [ -f "$file" ] || continue
        id=$(sed -n '/^X-Lab-Id: /{s///p;q}' "$file")
        printf '%s %s\\n' "$id" "$(sed -n '/^X-Lab-Id: /,$p' "$file" | sha256sum)"
      done`
    const found = new Map<string, string[]>()
    for (const line of (await this.#machine.run('env', 'LC_ALL=C', 'sh', '-c', script)).split('\n')) {
      const [id, digest] = line.split(' ')
      if (id === undefined || digest === undefined) continue
      found.set(id, [...(found.get(id) ?? []), digest])
    }
    return found
  }
}

const lines = (texts: readonly string[]): string => texts.map((text) => `${text}\n`).join('')
