import { runProcess } from './run-process.js'

/**
 * Reports the state of the service to systemd if requested (`NOTIFY_SOCKET`). Node has no datagram Unix
 * sockets, so systemd-notify(1) sends the message: the unit needs `NotifyAccess=all`. A failure is ignored:
 * systemd's own time-out reports it. Source: sd_notify(3).
 */
export async function notifySystemd(
  state: 'READY=1' | 'RELOADING=1' | 'STOPPING=1',
  environment: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  if (environment.NOTIFY_SOCKET === undefined) return
  await runProcess({
    program: 'systemd-notify',
    args: [`--pid=${process.pid}`, state],
    timeoutMs: 5_000,
    maxStdoutBytes: 1_000,
  }).catch(() => undefined)
}
