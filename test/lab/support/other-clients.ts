/** Exim and OpenSMTPD as senders with queues of their own, beside the Postfix of the outside machine. */
import type { Machine } from './machine.js'
import { until } from './until.js'

/** A mail server that only sends. */
export interface OtherClient {
  name: string
  /** Address that its connections come from. */
  address: string
  start(machine: Machine): Promise<void>
  /** Puts a message into the queue. */
  send(machine: Machine, from: string, to: string, message: Buffer): Promise<void>
  /** What it has logged. */
  log(machine: Machine): Promise<string>
}

/** Sends everything to one server, from one address. */
export function exim(address: string, server: string): OtherClient {
  const configuration = `
primary_hostname = exim.sender.example
exim_user = Debian-exim
exim_group = Debian-exim
never_users =
spool_directory = /var/spool/exim
log_file_path = /var/log/exim/%slog
local_interfaces = 127.0.0.1
daemon_smtp_ports = 2525
disable_ipv6 = true
host_lookup =
begin routers
out:
  driver = manualroute
  transport = out
  route_list = * ${server} byname
  self = send
begin transports
out:
  driver = smtp
  interface = ${address}
  helo_data = exim.sender.example
  tls_verify_hosts =
  tls_try_verify_hosts =
begin retry
* * F,1h,2s
`
  const words = ['-C', '/etc/exim-lab.conf']
  return {
    name: 'Exim',
    address,
    async start(machine) {
      await machine.write('/etc/exim-lab.conf', configuration)
      const script = `
        getent passwd Debian-exim >/dev/null || useradd --system --home /var/spool/exim --shell /bin/false Debian-exim
        mkdir -p /var/spool/exim /var/log/exim && chown Debian-exim:Debian-exim /var/spool/exim /var/log/exim
        exim4 -C /etc/exim-lab.conf -bd -q2s`
      await machine.run('sh', '-ec', script)
    },
    async send(machine, from, to, message) {
      const { code, stderr } = await machine.feed(message, 'exim4', ...words, '-i', '-f', from, to)
      if (code !== 0) throw new Error(`exim4: ${stderr}`)
    },
    log: (machine) => machine.run('cat', '/var/log/exim/mainlog'),
  }
}

/**
 * OpenSMTPD; its users have Debian's names. Mail comes to it by SMTP, since `sendmail` is Postfix's here. Its first retry is
 * 400 seconds away and no setting changes that, so that its queue is run by smtpctl(8).
 */
export function openSmtpd(address: string, server: string): OtherClient {
  const configuration = `
queue ttl 1h
listen on lo port 2526
action out relay host smtp://${server} src ${address} helo opensmtpd.sender.example
match from local for any action out
`
  return {
    name: 'OpenSMTPD',
    address,
    async start(machine) {
      await machine.write('/etc/smtpd-lab.conf', configuration)
      const script = `
        for user in opensmtpd opensmtpq; do
          getent passwd $user >/dev/null || useradd --system --home /var/lib/opensmtpd/empty --shell /bin/false $user
        done
        mkdir -p /var/lib/opensmtpd/empty
        # It looks up names of both ends: with nobody at that address the answer is "no" at once.
        echo nameserver 127.0.0.1 >/etc/resolv.conf
        # Without its group, which the package gives it when it is installed, smtpctl refuses to work.
        chgrp opensmtpq /usr/sbin/smtpctl && chmod 2755 /usr/sbin/smtpctl
        setsid smtpd -dv -f /etc/smtpd-lab.conf >/var/log/opensmtpd 2>&1 </dev/null &`
      await machine.run('sh', '-ec', script)
      await until(
        async () => (await machine.try('smtpctl', 'show', 'status')).code === 0,
        () => 'OpenSMTPD',
      )
      machine.spawn('sh', '-c', 'while smtpctl schedule all >/dev/null 2>&1; do sleep 2; done')
    },
    async send(machine, from, to, message) {
      const words = ['-s', 'smtp://127.0.0.1:2526', '-F', from, to]
      const { code, stderr } = await machine.feed(message, 'smtp', ...words)
      if (code !== 0) throw new Error(`smtp: ${stderr}`)
    },
    log: (machine) => machine.run('cat', '/var/log/opensmtpd'),
  }
}
